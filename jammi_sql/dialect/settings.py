"""SET, SHOW and RESET of the tenant and of the engine's settings; DESCRIBE; what SHOW shows of topics."""

from __future__ import annotations

from .cursor import Cursor
from .keywords import QUERY_STARTS
from .query import read_query
from .rewriting import Edit
from .statements import (
    Describe,
    ResetSetting,
    ResetTenant,
    SetSetting,
    SetTenant,
    ShowCreateTable,
    ShowSetting,
    ShowSources,
    ShowTenant,
    Statement,
)
from .topics import show_create_topic, show_topics

__all__ = ["read_describe", "read_reset", "read_set", "read_show"]

_SETTING = "the setting's name"
_DESCRIBED = QUERY_STARTS | {"ANALYZE", "DELETE", "INSERT", "UPDATE", "VERBOSE"}


def read_set(cursor: Cursor) -> Statement | None:
    """``SET tenant = ...`` and ``SET jammi.setting = ...``; ``None`` for settings of DataFusion."""
    cursor.expect("SET")
    position = cursor.position
    if _at_tenant(cursor):
        cursor.grammar = "SET tenant = 'uuid'"
        cursor.expect("TENANT")
        _expect_equals(cursor)
        return SetTenant(cursor.rest("the tenant's UUID as '...'"))
    if not _at_setting(cursor):
        return None
    cursor.grammar = "SET jammi.setting = value"
    name = _setting_name(cursor)
    _expect_equals(cursor)
    return SetSetting(name, cursor.rest("a value"), position)


def read_show(cursor: Cursor) -> Statement | None:
    """``SHOW`` of topics, tenant, sources and ``jammi.setting``; ``None`` for what DataFusion shows."""
    cursor.expect("SHOW")
    position = cursor.position
    if cursor.accept("TOPICS"):
        return show_topics(cursor)
    if cursor.accept("CREATE", "TOPIC"):
        return show_create_topic(cursor)
    if cursor.accept("CREATE", "TABLE"):
        cursor.grammar = "SHOW CREATE TABLE name"
        table = cursor.name("the table's name")
        cursor.finish()
        return ShowCreateTable(table, read_query(cursor))
    if cursor.accept("SOURCES"):
        cursor.grammar = "SHOW SOURCES"
        cursor.finish()
        return ShowSources()
    if _at_tenant(cursor):
        cursor.grammar = "SHOW tenant"
        cursor.expect("TENANT")
        cursor.finish()
        return ShowTenant()
    if not _at_setting(cursor):
        return None
    cursor.grammar = "SHOW jammi.setting"
    name = _setting_name(cursor)
    cursor.finish()
    return ShowSetting(name, position)


def read_reset(cursor: Cursor) -> Statement | None:
    """``RESET tenant`` and ``RESET jammi.setting``; ``None`` for settings of DataFusion."""
    cursor.expect("RESET")
    position = cursor.position
    if _at_tenant(cursor):
        cursor.grammar = "RESET tenant"
        cursor.expect("TENANT")
        cursor.finish()
        return ResetTenant()
    if not _at_setting(cursor):
        return None
    cursor.grammar = "RESET jammi.setting"
    name = _setting_name(cursor)
    cursor.finish()
    return ResetSetting(name, position)


def read_describe(cursor: Cursor) -> Statement | None:
    """``DESCRIBE [TABLE] name``; ``None`` for DESCRIBE of a query."""
    cursor.grammar = "DESCRIBE name"
    cursor.accept_any("DESCRIBE", "DESC")
    edits: list[Edit] = []
    following = cursor.peek(1)
    if following is not None and following.kind in {"word", "quoted"}:
        if cursor.keyword() == "TABLE":
            # DataFusion does not take this word here.
            table = cursor.tokens[cursor.index]
            edits.append(Edit(table.start, following.start, ""))
        if cursor.keyword() in {"TABLE", "EXTENDED", "FORMATTED"}:
            cursor.index += 1
    if cursor.symbol() == "(" or (cursor.keyword() in _DESCRIBED and cursor.peek(1) is not None):
        return None
    name = cursor.name("a relation's name")
    cursor.finish()
    return Describe(name, read_query(cursor, edits))


def _at_tenant(cursor: Cursor) -> bool:
    return cursor.at("TENANT") and cursor.symbol(1) != "."


def _at_setting(cursor: Cursor) -> bool:
    return cursor.at("JAMMI") and cursor.symbol(1) == "."


def _setting_name(cursor: Cursor) -> str:
    return ".".join(cursor.name(_SETTING).parts[1:])


def _expect_equals(cursor: Cursor) -> None:
    if not cursor.accept_symbol("=") and not cursor.accept("TO"):
        raise cursor.error("= or TO")
