"""CREATE, DROP and ALTER: which of them are the dialect's, and schemas."""

from __future__ import annotations

from .cursor import Cursor
from .query import read_query
from .rewriting import Edit
from .statements import CreateSchema, DropSchema, Statement, Unsupported
from .topics import alter_topic, create_topic, drop_topic

__all__ = ["read_alter", "read_create", "read_drop"]

_TABLE_HINT = "CREATE TEMP TABLE keeps a table in memory for this session"
_INDEX_HINT = "topics need none: filters on _offset and _produced_at skip batches"
_MODIFIERS = ("OR", "REPLACE", "GLOBAL", "LOCAL", "MUTABLE", "CACHED", "UNIQUE", "TEMP", "TEMPORARY")


def read_create(cursor: Cursor) -> Statement | None:
    """CREATE of topics and schemas, and the statements that come later; ``None`` for those of DataFusion."""
    position = cursor.tokens[0].start
    cursor.expect("CREATE")
    first = cursor.position
    modifiers: list[str] = []
    while modifier := cursor.accept_any(*_MODIFIERS):
        modifiers.append(modifier)
    kind = cursor.keyword()
    statement: Statement | None = None
    if kind == "TOPIC":
        if modifiers not in ([], ["GLOBAL"]):
            cursor.index = 1
            cursor.grammar = "CREATE [GLOBAL] TOPIC name (...)"
            raise cursor.error("TOPIC or GLOBAL TOPIC")
        cursor.expect("TOPIC")
        statement = create_topic(cursor, is_global=modifiers == ["GLOBAL"])
    elif kind == "TABLE":
        statement = _create_table(cursor, modifiers, first, position)
    elif kind == "INDEX" and modifiers in ([], ["UNIQUE"]):
        statement = Unsupported("CREATE INDEX", _INDEX_HINT, position)
    elif kind == "SCHEMA" and not modifiers:
        cursor.expect("SCHEMA")
        statement = _create_schema(cursor)
    return statement


def read_drop(cursor: Cursor) -> Statement | None:
    """DROP TOPIC, SCHEMA and INDEX; ``None`` for those of DataFusion."""
    position = cursor.tokens[0].start
    cursor.expect("DROP")
    if cursor.accept("TOPIC"):
        return drop_topic(cursor)
    if cursor.accept("SCHEMA"):
        return _drop_schema(cursor)
    if cursor.at("INDEX"):
        return Unsupported("DROP INDEX", _INDEX_HINT, position)
    return None


def read_alter(cursor: Cursor) -> Statement | None:
    """ALTER TOPIC and TABLE; ``None`` for the rest, which DataFusion refuses."""
    position = cursor.tokens[0].start
    cursor.expect("ALTER")
    if cursor.accept("TOPIC"):
        return alter_topic(cursor)
    if cursor.at("TABLE"):
        return Unsupported("ALTER TABLE", "drop the table and create it anew, or use ALTER TOPIC for a topic", position)
    return None


def _create_table(cursor: Cursor, modifiers: list[str], first: int, position: int) -> Statement:
    if "TEMP" in modifiers or "TEMPORARY" in modifiers:
        # DataFusion keeps every table in memory and refuses the word: it gets CREATE [OR REPLACE] TABLE.
        replace = "OR REPLACE " if modifiers[:2] == ["OR", "REPLACE"] else ""
        return read_query(cursor, [Edit(first, cursor.position, replace)])
    if "CACHED" in modifiers:
        return Unsupported("CREATE CACHED TABLE", "CREATE TEMP TABLE name AS query keeps a copy in memory", position)
    return Unsupported("CREATE TABLE", _TABLE_HINT, position)


def _create_schema(cursor: Cursor) -> Statement:
    cursor.grammar = "CREATE SCHEMA [IF NOT EXISTS] name"
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.name("the schema's name")
    cursor.finish()
    return CreateSchema(name, if_not_exists)


def _drop_schema(cursor: Cursor) -> Statement:
    cursor.grammar = "DROP SCHEMA [IF EXISTS] name [CASCADE | RESTRICT]"
    if_exists = cursor.accept("IF", "EXISTS")
    name = cursor.name("the schema's name")
    cascade = cursor.accept_any("CASCADE", "RESTRICT") == "CASCADE"
    cursor.finish()
    return DropSchema(name, if_exists, cascade)
