"""CREATE, DROP, ALTER and TRUNCATE: which of them are the dialect's, and schemas."""

from __future__ import annotations

from .cached import create_cached_table
from .cursor import Cursor
from .indexes import create_index, drop_index
from .query import read_query
from .rewriting import Edit
from .statements import CreateSchema, DropSchema, Statement, Unsupported
from .tables import alter_table, create_table, drop_table, truncate_table
from .topics import alter_topic, create_topic, drop_topic, truncate_topic

__all__ = ["read_alter", "read_create", "read_drop", "read_truncate"]

_MODIFIERS = ("OR", "REPLACE", "GLOBAL", "LOCAL", "MUTABLE", "CACHED", "UNIQUE", "TEMP", "TEMPORARY")


def read_create(cursor: Cursor) -> Statement | None:
    """CREATE of topics, tables, indexes and schemas; ``None`` for those of DataFusion."""
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
        cursor.expect("INDEX")
        statement = create_index(cursor, unique=modifiers == ["UNIQUE"])
    elif kind == "SCHEMA" and not modifiers:
        cursor.expect("SCHEMA")
        statement = _create_schema(cursor)
    return statement


def read_drop(cursor: Cursor) -> Statement | None:
    """DROP TOPIC, TABLE, INDEX and SCHEMA; ``None`` for those of DataFusion."""
    cursor.expect("DROP")
    if cursor.accept("TOPIC"):
        return drop_topic(cursor)
    if cursor.accept("SCHEMA"):
        return _drop_schema(cursor)
    if cursor.accept("TABLE"):
        return drop_table(cursor)
    if cursor.accept("INDEX"):
        return drop_index(cursor)
    return None


def read_alter(cursor: Cursor) -> Statement | None:
    """ALTER TOPIC and TABLE; ``None`` for the rest, which DataFusion refuses."""
    cursor.expect("ALTER")
    if cursor.accept("TOPIC"):
        return alter_topic(cursor)
    if cursor.accept("TABLE"):
        return alter_table(cursor)
    return None


def read_truncate(cursor: Cursor) -> Statement:
    """``TRUNCATE TOPIC name BEFORE ...`` and ``TRUNCATE [TABLE] name``."""
    cursor.expect("TRUNCATE")
    if cursor.at("TOPIC") and cursor.peek(1) is not None and cursor.symbol(1) != ".":
        cursor.expect("TOPIC")
        return truncate_topic(cursor)
    return truncate_table(cursor)


def _create_table(cursor: Cursor, modifiers: list[str], first: int, position: int) -> Statement:
    if "TEMP" in modifiers or "TEMPORARY" in modifiers:
        # DataFusion keeps every table in memory and refuses the word: it gets CREATE [OR REPLACE] TABLE.
        replace = "OR REPLACE " if modifiers[:2] == ["OR", "REPLACE"] else ""
        return read_query(cursor, [Edit(first, cursor.position, replace)])
    if modifiers == ["CACHED"]:
        cursor.expect("TABLE")
        return create_cached_table(cursor)
    if modifiers[:2] == ["OR", "REPLACE"]:
        hint = "drop the table first; CREATE OR REPLACE TEMP TABLE keeps one in memory for this session"
        return Unsupported("CREATE OR REPLACE TABLE", hint, position)
    if modifiers not in ([], ["GLOBAL"], ["MUTABLE"], ["GLOBAL", "MUTABLE"]):
        cursor.index = 1
        cursor.grammar = "CREATE [GLOBAL] [MUTABLE] TABLE name (...), or CREATE TEMP TABLE name (...)"
        raise cursor.error("TABLE, GLOBAL, MUTABLE or TEMP")
    cursor.expect("TABLE")
    return create_table(cursor, is_global="GLOBAL" in modifiers)


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
