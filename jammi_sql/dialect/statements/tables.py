"""Tables, cached ones and indexes: made, altered, refreshed, dropped and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .fragment import Fragment, Name
from .query import Query

__all__ = [
    "AlterTableAddColumn",
    "AlterTableDropColumn",
    "AlterTableRename",
    "AlterTableRenameColumn",
    "CreateCachedTable",
    "CreateIndex",
    "CreateTable",
    "CreateTableAs",
    "DropIndex",
    "DropTable",
    "RefreshTable",
    "ShowCreateTable",
    "TableColumn",
]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table: ``type_text`` is for DataFusion to read, ``default`` an expression for it to compute.

    PRIMARY KEY and UNIQUE behind a column are among the table's constraints.
    """

    name: str
    type_text: Fragment
    nullable: bool
    default: Fragment | None
    comment: str | None
    position: int


@dataclass(frozen=True, slots=True)
class CreateTable:
    """``CREATE [GLOBAL] [MUTABLE] TABLE [IF NOT EXISTS] name (columns and constraints) [WITH (options)]``.

    The columns of ``primary_key`` (empty without one) are not nullable. ``unique`` has the columns of each UNIQUE
    constraint.
    """

    name: Name
    is_global: bool
    if_not_exists: bool
    columns: tuple[TableColumn, ...]
    primary_key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CreateTableAs:
    """``CREATE [GLOBAL] [MUTABLE] TABLE [IF NOT EXISTS] name [WITH (options)] AS query``."""

    name: Name
    is_global: bool
    if_not_exists: bool
    options: Mapping[str, str]
    query: Query


@dataclass(frozen=True, slots=True)
class CreateCachedTable:
    """``CREATE CACHED TABLE [IF NOT EXISTS] name AS query [WITH (options)]``.

    ``query`` is its text as it was written, since it is run again and again, ``query_position`` where that begins, ``words``
    the identifiers in it.
    """

    name: Name
    if_not_exists: bool
    query: str
    query_position: int
    words: frozenset[str]
    options: Mapping[str, str]
    options_position: int


@dataclass(frozen=True, slots=True)
class RefreshTable:
    """``REFRESH TABLE name``."""

    name: Name


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """``CREATE [UNIQUE] INDEX [IF NOT EXISTS] name ON table (columns)``; ``position`` is that of the first column."""

    name: Name
    table: Name
    columns: tuple[str, ...]
    unique: bool
    if_not_exists: bool
    position: int


@dataclass(frozen=True, slots=True)
class DropIndex:
    """``DROP INDEX [IF EXISTS] name``."""

    name: Name
    if_exists: bool


@dataclass(frozen=True, slots=True)
class AlterTableAddColumn:
    """``ALTER TABLE name ADD [COLUMN] [IF NOT EXISTS] column type [NOT NULL] [DEFAULT expr] [COMMENT 'text']``."""

    name: Name
    if_not_exists: bool
    column: TableColumn


@dataclass(frozen=True, slots=True)
class AlterTableDropColumn:
    """``ALTER TABLE name DROP [COLUMN] [IF EXISTS] column``."""

    name: Name
    column: str
    if_exists: bool
    position: int


@dataclass(frozen=True, slots=True)
class AlterTableRenameColumn:
    """``ALTER TABLE name RENAME [COLUMN] column TO new_name``."""

    name: Name
    column: str
    new_name: str
    position: int
    new_position: int


@dataclass(frozen=True, slots=True)
class AlterTableRename:
    """``ALTER TABLE name RENAME TO new_name``."""

    name: Name
    new_name: Name


@dataclass(frozen=True, slots=True)
class DropTable:
    """``DROP TABLE [IF EXISTS] name``; ``body`` is the whole statement, for relations of DataFusion's own."""

    name: Name
    if_exists: bool
    body: Query


@dataclass(frozen=True, slots=True)
class ShowCreateTable:
    """``SHOW CREATE TABLE name``. ``body`` is the statement itself, for views and relations of DataFusion's own."""

    name: Name
    body: Query
