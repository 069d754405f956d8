"""Topics: made, altered, truncated, dropped and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .fragment import Fragment, Name
from .query import Query

__all__ = [
    "AlterTopicAddColumn",
    "AlterTopicRename",
    "AlterTopicReset",
    "AlterTopicSet",
    "ColumnDefinition",
    "CreateTopic",
    "CreateTopicAs",
    "DropTopic",
    "ShowCreateTopic",
    "ShowTopics",
    "TruncateTopic",
]


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column as written: ``type_text`` (with its array or struct brackets) is for DataFusion to read."""

    name: str
    type_text: Fragment
    nullable: bool
    comment: str | None
    position: int


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """``CREATE [GLOBAL] TOPIC [IF NOT EXISTS] name (columns) [WITH (options)]``."""

    name: Name
    is_global: bool
    if_not_exists: bool
    columns: tuple[ColumnDefinition, ...]
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CreateTopicAs:
    """``CREATE [GLOBAL] TOPIC [IF NOT EXISTS] name [WITH (options)] AS query``."""

    name: Name
    is_global: bool
    if_not_exists: bool
    options: Mapping[str, str]
    query: Query


@dataclass(frozen=True, slots=True)
class AlterTopicAddColumn:
    """``ALTER TOPIC name ADD COLUMN [IF NOT EXISTS] column type [COMMENT 'text']``."""

    name: Name
    if_not_exists: bool
    column: ColumnDefinition


@dataclass(frozen=True, slots=True)
class AlterTopicSet:
    """``ALTER TOPIC name SET (key = value, ...)``."""

    name: Name
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AlterTopicReset:
    """``ALTER TOPIC name RESET (key, ...)``."""

    name: Name
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlterTopicRename:
    """``ALTER TOPIC name RENAME TO new_name``."""

    name: Name
    new_name: Name


@dataclass(frozen=True, slots=True)
class TruncateTopic:
    """``TRUNCATE TOPIC name BEFORE offset | TIMESTAMP '...'``; ``before`` is an expression."""

    name: Name
    before: Fragment


@dataclass(frozen=True, slots=True)
class DropTopic:
    """``DROP TOPIC [IF EXISTS] name``."""

    name: Name
    if_exists: bool


@dataclass(frozen=True, slots=True)
class ShowTopics:
    """``SHOW TOPICS [LIKE 'pattern']``; ``pattern`` is an expression."""

    pattern: Fragment | None


@dataclass(frozen=True, slots=True)
class ShowCreateTopic:
    """``SHOW CREATE TOPIC name``."""

    name: Name
