"""CREATE, ALTER, TRUNCATE and DROP TOPIC, SHOW TOPICS and SHOW CREATE TOPIC."""

from __future__ import annotations

from ..errors import StatementSyntaxError
from .columns import read_column, read_columns
from .cursor import Cursor
from .options import read_keys, read_options
from .query import rest_query
from .statements import (
    AlterTopicAddColumn,
    AlterTopicRename,
    AlterTopicReset,
    AlterTopicSet,
    CreateTopic,
    CreateTopicAs,
    DropTopic,
    ShowCreateTopic,
    ShowTopics,
    Statement,
    TruncateTopic,
)

__all__ = [
    "alter_topic",
    "create_topic",
    "drop_topic",
    "show_create_topic",
    "show_topics",
    "truncate_topic",
]

_TOPIC = "the topic's name"


def create_topic(cursor: Cursor, *, is_global: bool) -> Statement:
    """After ``CREATE [GLOBAL] TOPIC``."""
    cursor.grammar = (
        "CREATE [GLOBAL] TOPIC [IF NOT EXISTS] name (column type [NOT NULL] [COMMENT 'text'], ...) "
        "[WITH (key = value, ...)], or CREATE TOPIC name [WITH (...)] AS query"
    )
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.name(_TOPIC)
    columns = read_columns(cursor) if cursor.symbol() == "(" else None
    options = read_options(cursor) if cursor.accept("WITH") else {}
    if columns is not None:
        cursor.finish()
        return CreateTopic(name, is_global, if_not_exists, columns, options)
    if not cursor.accept("AS"):
        raise cursor.error("AS and a query" if options else "the columns in parentheses, or AS and a query")
    return CreateTopicAs(name, is_global, if_not_exists, options, rest_query(cursor))


def alter_topic(cursor: Cursor) -> Statement:
    """After ``ALTER TOPIC``."""
    cursor.grammar = (
        "ALTER TOPIC name ADD COLUMN [IF NOT EXISTS] column type [COMMENT 'text'], SET (key = value, ...), "
        "RESET (key, ...) or RENAME TO new_name"
    )
    name = cursor.name(_TOPIC)
    statement: Statement
    if cursor.accept("ADD"):
        cursor.expect("COLUMN")
        if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
        column = read_column(cursor)
        if not column.nullable:
            raise StatementSyntaxError(
                "a column that is added later cannot be NOT NULL",
                position=column.position,
                hint="leave NOT NULL out: the batches before it read as NULL",
            )
        statement = AlterTopicAddColumn(name, if_not_exists, column)
    elif cursor.accept("SET"):
        statement = AlterTopicSet(name, read_options(cursor))
    elif cursor.accept("RESET"):
        statement = AlterTopicReset(name, read_keys(cursor))
    elif cursor.accept("RENAME"):
        cursor.expect("TO")
        statement = AlterTopicRename(name, cursor.name("the new name"))
    else:
        raise cursor.error("ADD COLUMN, SET, RESET or RENAME TO")
    cursor.finish()
    return statement


def truncate_topic(cursor: Cursor) -> Statement:
    """After ``TRUNCATE TOPIC``."""
    cursor.grammar = "TRUNCATE TOPIC name BEFORE offset, or BEFORE TIMESTAMP '...'"
    name = cursor.name(_TOPIC)
    cursor.expect("BEFORE")
    return TruncateTopic(name, cursor.rest("an offset or a timestamp"))


def drop_topic(cursor: Cursor) -> Statement:
    """After ``DROP TOPIC``."""
    cursor.grammar = "DROP TOPIC [IF EXISTS] name"
    if_exists = cursor.accept("IF", "EXISTS")
    name = cursor.name(_TOPIC)
    cursor.finish()
    return DropTopic(name, if_exists)


def show_topics(cursor: Cursor) -> Statement:
    """After ``SHOW TOPICS``."""
    cursor.grammar = "SHOW TOPICS [LIKE 'pattern']"
    pattern = cursor.rest("a pattern") if cursor.accept("LIKE") else None
    cursor.finish()
    return ShowTopics(pattern)


def show_create_topic(cursor: Cursor) -> Statement:
    """After ``SHOW CREATE TOPIC``."""
    cursor.grammar = "SHOW CREATE TOPIC name"
    name = cursor.name(_TOPIC)
    cursor.finish()
    return ShowCreateTopic(name)
