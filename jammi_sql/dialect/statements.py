"""The statements that the dialect knows, one frozen dataclass each.

The parser produces them from tokens, the planner consumes them. None holds a value from a user's
literal except where the literal is a name or an option: expressions stay text (``Fragment``) and are
evaluated by DataFusion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "AlterTableAddColumn",
    "AlterTableDropColumn",
    "AlterTableRename",
    "AlterTableRenameColumn",
    "AlterTopicAddColumn",
    "AlterTopicRename",
    "AlterTopicReset",
    "AlterTopicSet",
    "AsofComparison",
    "AsofJoin",
    "Assignment",
    "Attach",
    "Begin",
    "Call",
    "ColumnDefinition",
    "Commit",
    "CopyFrom",
    "CreateCachedTable",
    "CreateIndex",
    "CreateSchema",
    "CreateTable",
    "CreateTableAs",
    "CreateTopic",
    "CreateTopicAs",
    "Delete",
    "Describe",
    "Detach",
    "DropIndex",
    "DropSchema",
    "DropTable",
    "DropTopic",
    "Explain",
    "Fragment",
    "Insert",
    "InsertRow",
    "Kill",
    "Merge",
    "MergeClause",
    "Name",
    "OnConflict",
    "Query",
    "RefreshSource",
    "RefreshTable",
    "Release",
    "RemoteCall",
    "ResetSetting",
    "ResetTenant",
    "Rollback",
    "RollbackTo",
    "Savepoint",
    "SetSetting",
    "SetTenant",
    "ShowCreateTable",
    "ShowCreateTopic",
    "ShowSetting",
    "ShowSources",
    "ShowTenant",
    "ShowTopics",
    "Statement",
    "SubscribeCall",
    "TableColumn",
    "TruncateTable",
    "TruncateTopic",
    "Unsupported",
    "Update",
]


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier path such as ``jammi.events.changes``; parts are folded or unquoted already."""

    parts: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """A stretch of the user's SQL, handed to DataFusion as it stands but for parameters.

    ``text`` has every parameter as ``$1`` or ``$name`` and every ``subscribe(...)`` as the name of its
    relation. ``origins`` are pairs (index in ``text``, index in the whole input) at which a run of
    unchanged characters begins, so that an error's place in ``text`` can be shown in the input.
    """

    text: str
    origins: tuple[tuple[int, int], ...]

    def origin(self, index: int) -> int:
        """The index in the user's input of the character at ``index`` of ``text``."""
        start, source = self.origins[0]
        for candidate_start, candidate_source in self.origins:
            if candidate_start > index:
                break
            start, source = candidate_start, candidate_source
        return source + (index - start)


@dataclass(frozen=True, slots=True)
class SubscribeCall:
    """One ``subscribe(...)`` in a query, replaced there by the relation ``relation``.

    ``topic`` and the values of ``options`` (keys ``from``, ``until``, ``idle_timeout``) are expressions.
    ``position`` is the index of the word ``subscribe`` in the input.
    """

    relation: str
    topic: Fragment
    options: Mapping[str, Fragment]
    position: int


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """One ``remote_query('source', 'text')`` in a query, replaced there by the relation ``relation``; both are expressions."""

    relation: str
    source: Fragment
    text: Fragment
    position: int


@dataclass(frozen=True, slots=True)
class AsofComparison:
    """``first operator second`` in the condition of an as-of join, as written: which side is whose is not known yet.

    ``operator`` is ``=``, or ``>=``, ``>``, ``<=`` or ``<`` for the times. ``position`` is where ``first`` begins,
    ``sign`` where the operator does.
    """

    first: Fragment
    operator: str
    second: Fragment
    position: int
    sign: int


@dataclass(frozen=True, slots=True)
class AsofJoin:
    """``left ASOF [LEFT] JOIN right ON comparisons``.

    In the query's text an ordinary join is in its place: with the relation ``relation`` for ``right``, under the name
    ``alias``, on the condition ``"{relation}_on"``, which the engine fills in. ``left`` and ``right`` are the two sides as
    table references, and ``context`` is ``WITH ...`` with what they may name, or empty. ``subscribe`` is the place of the
    ``subscribe`` that the left side begins with, and its alias.
    """

    relation: str
    keeps_left: bool
    context: Fragment
    left: Fragment
    right: Fragment
    alias: str | None
    comparisons: tuple[AsofComparison, ...]
    subscribe: tuple[int, str] | None
    position: int


@dataclass(frozen=True, slots=True)
class Query:
    """Everything that DataFusion plans by itself: SELECT, EXPLAIN, DDL of its own, SET, SHOW, COPY ... TO.

    ``keyword`` is the first word in upper case. ``words`` are all identifiers in the text, folded: the
    names that the statement may refer to.
    """

    keyword: str
    body: Fragment
    subscribes: tuple[SubscribeCall, ...]
    words: frozenset[str]
    remotes: tuple[RemoteCall, ...] = ()
    asofs: tuple[AsofJoin, ...] = ()
    """Each after those that it reads."""


@dataclass(frozen=True, slots=True)
class Explain:
    """``EXPLAIN [ANALYZE] [VERBOSE] [FORMAT f]`` of a statement of the dialect or of a query with ``subscribe``.

    ``prefix`` is the user's text from EXPLAIN up to the statement.
    """

    prefix: str
    analyze: bool
    statement: Statement


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
class Call:
    """``CALL procedure(arguments)``."""

    procedure: Name
    arguments: tuple[Fragment, ...]


@dataclass(frozen=True, slots=True)
class Kill:
    """``KILL 'query id'``; ``query`` is an expression."""

    query: Fragment


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
class Describe:
    """``DESCRIBE name`` or ``DESC name``. ``body`` is the statement itself, for relations of DataFusion's own."""

    name: Name
    body: Query


@dataclass(frozen=True, slots=True)
class ShowCreateTopic:
    """``SHOW CREATE TOPIC name``."""

    name: Name


@dataclass(frozen=True, slots=True)
class ShowCreateTable:
    """``SHOW CREATE TABLE name``. ``body`` is the statement itself, for views and relations of DataFusion's own."""

    name: Name
    body: Query


@dataclass(frozen=True, slots=True)
class InsertRow:
    """The one row of ``INSERT INTO target head VALUES (values)``, which ``executemany`` fills many times.

    ``values`` has, for each column, the expression and the places of the placeholders in its text (start, end, key).
    """

    head: Fragment
    values: tuple[tuple[Fragment, tuple[tuple[int, int, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """``column = value`` after SET; ``value`` is ``None`` for the word DEFAULT.

    ``column`` is without the table's name or alias that may stand before it.
    """

    column: str
    value: Fragment | None
    position: int


@dataclass(frozen=True, slots=True)
class OnConflict:
    """``ON CONFLICT [(columns)] DO NOTHING | DO UPDATE SET assignments [WHERE condition]``.

    ``columns`` is ``None`` where none are named, which DO NOTHING alone may leave out. The row that was to be inserted
    is called ``excluded`` in the expressions.
    """

    columns: tuple[str, ...] | None
    action: Literal["nothing", "update"]
    assignments: tuple[Assignment, ...]
    condition: Fragment | None
    position: int


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO target [AS alias] [(columns)] source [ON CONFLICT ...] [RETURNING ...]``.

    ``body`` is the text from the columns up to ON CONFLICT or RETURNING, so that the planner may put another relation
    in the target's place. ``parameters`` are the places of the placeholders in ``body.body.text`` (start, end, key),
    which the planner wraps in ``arrow_cast``, since DataFusion does not cast bare ones in VALUES. ``row`` is there where
    the source is VALUES with one row. ``returning`` is the select list.

    ``source`` is ``body`` without the columns, with ``source_parameters`` in it; ``None`` for DEFAULT VALUES, where
    ``default_values`` is true. ``defaults`` are the words DEFAULT that are a value of a VALUES row: start and end in
    ``source.body.text`` and the index of the value in its row. The subscribes of ``body`` and ``source`` are those of the
    whole statement.
    """

    target: Name
    body: Query
    parameters: tuple[tuple[int, int, str], ...]
    row: InsertRow | None
    returning: Fragment | None
    alias: str | None
    columns: tuple[str, ...] | None
    column_positions: tuple[int, ...]
    source: Query | None
    source_parameters: tuple[tuple[int, int, str], ...]
    defaults: tuple[tuple[int, int, int], ...]
    default_values: bool
    on_conflict: OnConflict | None


@dataclass(frozen=True, slots=True)
class CopyFrom:
    """``COPY target [(columns)] FROM 'file' | stdin [(option value, ...)]``.

    ``source`` is a string literal or a placeholder; ``None`` for stdin. ``position`` is that of the source.
    """

    target: Name
    columns: tuple[str, ...] | None
    column_positions: tuple[int, ...]
    source: Fragment | None
    position: int
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Update:
    """``UPDATE target [[AS] alias] SET assignments [FROM source] [WHERE condition] [RETURNING returning]``.

    ``body`` is the whole statement, here and in the other changes, for relations of DataFusion's own; its subscribes
    are those of all the fragments.
    """

    target: Name
    alias: str | None
    assignments: tuple[Assignment, ...]
    source: Fragment | None
    condition: Fragment | None
    returning: Fragment | None
    body: Query


@dataclass(frozen=True, slots=True)
class Delete:
    """``DELETE FROM target [[AS] alias] [USING source] [WHERE condition] [RETURNING returning]``."""

    target: Name
    alias: str | None
    source: Fragment | None
    condition: Fragment | None
    returning: Fragment | None
    body: Query


@dataclass(frozen=True, slots=True)
class MergeClause:
    """``WHEN kind [AND condition] THEN action``.

    ``assignments`` are those of UPDATE SET. ``columns`` (``None`` where none are named) and ``values`` are those of
    INSERT, a value ``None`` for the word DEFAULT; INSERT DEFAULT VALUES has no values at all.
    """

    kind: Literal["matched", "not matched", "not matched by source"]
    condition: Fragment | None
    action: Literal["update", "delete", "insert", "nothing"]
    assignments: tuple[Assignment, ...]
    columns: tuple[str, ...] | None
    values: tuple[Fragment | None, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Merge:
    """``MERGE INTO target [[AS] alias] USING source [[AS] alias [(columns)]] ON condition clauses [RETURNING ...]``.

    ``source`` is a name or a query in parentheses, without its alias. A ``subscribe(...)`` without an alias has the
    alias ``subscribe``.
    """

    target: Name
    target_alias: str | None
    source: Fragment
    source_alias: str | None
    source_columns: tuple[str, ...] | None
    on: Fragment
    clauses: tuple[MergeClause, ...]
    returning: Fragment | None
    body: Query


@dataclass(frozen=True, slots=True)
class TruncateTable:
    """``TRUNCATE [TABLE] name``."""

    name: Name
    body: Query


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
class CreateSchema:
    """``CREATE SCHEMA [IF NOT EXISTS] name``."""

    name: Name
    if_not_exists: bool


@dataclass(frozen=True, slots=True)
class DropSchema:
    """``DROP SCHEMA [IF EXISTS] name [CASCADE | RESTRICT]``."""

    name: Name
    if_exists: bool
    cascade: bool


@dataclass(frozen=True, slots=True)
class Attach:
    """``ATTACH [IF NOT EXISTS] 'uri' AS name [(TYPE type, option value, ...)]``; ``uri`` is an expression.

    ``options`` are without TYPE, which is ``kind``.
    """

    uri: Fragment
    name: str
    name_position: int
    if_not_exists: bool
    kind: str | None
    options: Mapping[str, str]
    position: int


@dataclass(frozen=True, slots=True)
class Detach:
    """``DETACH [IF EXISTS] name``."""

    name: str
    if_exists: bool
    position: int


@dataclass(frozen=True, slots=True)
class ShowSources:
    """``SHOW SOURCES``."""


@dataclass(frozen=True, slots=True)
class RefreshSource:
    """``REFRESH SOURCE name``."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class SetTenant:
    """``SET tenant = 'uuid'`` (or ``TO``); ``value`` is an expression."""

    value: Fragment


@dataclass(frozen=True, slots=True)
class ResetTenant:
    """``RESET tenant``."""


@dataclass(frozen=True, slots=True)
class ShowTenant:
    """``SHOW tenant``."""


@dataclass(frozen=True, slots=True)
class SetSetting:
    """``SET jammi.setting = value``; ``name`` without the prefix, ``value`` an expression or a bare word."""

    name: str
    value: Fragment
    position: int


@dataclass(frozen=True, slots=True)
class ShowSetting:
    """``SHOW jammi.setting``."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class ResetSetting:
    """``RESET jammi.setting``."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Begin:
    """``BEGIN [TRANSACTION | WORK]`` or ``START TRANSACTION``."""


@dataclass(frozen=True, slots=True)
class Commit:
    """``COMMIT [TRANSACTION | WORK]`` or ``END``."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """``ROLLBACK [TRANSACTION | WORK]`` or ``ABORT``."""


@dataclass(frozen=True, slots=True)
class Savepoint:
    """``SAVEPOINT name``."""

    name: str


@dataclass(frozen=True, slots=True)
class RollbackTo:
    """``ROLLBACK TO [SAVEPOINT] name``."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Release:
    """``RELEASE [SAVEPOINT] name``."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A statement of the language that is not built yet; ``what`` names it, ``hint`` says what to do instead."""

    what: str
    hint: str
    position: int


Statement = (
    Query
    | Explain
    | CreateTopic
    | CreateTopicAs
    | AlterTopicAddColumn
    | AlterTopicSet
    | AlterTopicReset
    | AlterTopicRename
    | Call
    | Kill
    | TruncateTopic
    | DropTopic
    | ShowTopics
    | Describe
    | ShowCreateTopic
    | ShowCreateTable
    | Insert
    | CopyFrom
    | Update
    | Delete
    | Merge
    | TruncateTable
    | CreateTable
    | CreateTableAs
    | CreateCachedTable
    | RefreshTable
    | CreateIndex
    | DropIndex
    | AlterTableAddColumn
    | AlterTableDropColumn
    | AlterTableRenameColumn
    | AlterTableRename
    | DropTable
    | CreateSchema
    | DropSchema
    | Attach
    | Detach
    | ShowSources
    | RefreshSource
    | SetTenant
    | ResetTenant
    | ShowTenant
    | SetSetting
    | ShowSetting
    | ResetSetting
    | Begin
    | Commit
    | Rollback
    | Savepoint
    | RollbackTo
    | Release
    | Unsupported
)
