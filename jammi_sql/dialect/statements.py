"""The statements that the dialect knows, one frozen dataclass each.

The parser produces them from tokens, the planner consumes them. None holds a value from a user's
literal except where the literal is a name or an option: expressions stay text (``Fragment``) and are
evaluated by DataFusion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "AlterTopicAddColumn",
    "AlterTopicRename",
    "AlterTopicReset",
    "AlterTopicSet",
    "Begin",
    "ColumnDefinition",
    "Commit",
    "CreateSchema",
    "CreateTopic",
    "CreateTopicAs",
    "Describe",
    "DropSchema",
    "DropTopic",
    "Explain",
    "Fragment",
    "Insert",
    "InsertRow",
    "Modify",
    "Name",
    "Query",
    "Release",
    "ResetSetting",
    "ResetTenant",
    "Rollback",
    "RollbackTo",
    "Savepoint",
    "SetSetting",
    "SetTenant",
    "ShowCreateTopic",
    "ShowSetting",
    "ShowTenant",
    "ShowTopics",
    "Statement",
    "SubscribeCall",
    "TruncateTopic",
    "Unsupported",
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
class Query:
    """Everything that DataFusion plans by itself: SELECT, EXPLAIN, DDL of its own, SET, SHOW, COPY ... TO.

    ``keyword`` is the first word in upper case. ``words`` are all identifiers in the text, folded: the
    names that the statement may refer to.
    """

    keyword: str
    body: Fragment
    subscribes: tuple[SubscribeCall, ...]
    words: frozenset[str]


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
class InsertRow:
    """The one row of ``INSERT INTO target head VALUES (values)``, which ``executemany`` fills many times.

    ``values`` has, for each column, the expression and the places of the placeholders in its text (start, end, key).
    """

    head: Fragment
    values: tuple[tuple[Fragment, tuple[tuple[int, int, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Insert:
    """``INSERT INTO target ... [RETURNING ...]``.

    ``body`` is the text after the target and before RETURNING, so that the planner may put another relation in the
    target's place. ``parameters`` are the places of the placeholders in ``body.body.text`` (start, end, key), which the
    planner wraps in ``arrow_cast``, since DataFusion does not cast bare ones in VALUES. ``row`` is there where
    the source is VALUES with one row. ``returning`` is the select list.
    """

    target: Name
    body: Query
    parameters: tuple[tuple[int, int, str], ...]
    row: InsertRow | None
    returning: Fragment | None


@dataclass(frozen=True, slots=True)
class Modify:
    """UPDATE, DELETE, MERGE or TRUNCATE TABLE of ``target``: DataFusion's where the target is, refused on a topic."""

    keyword: str
    target: Name
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
    | TruncateTopic
    | DropTopic
    | ShowTopics
    | Describe
    | ShowCreateTopic
    | Insert
    | Modify
    | CreateSchema
    | DropSchema
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
