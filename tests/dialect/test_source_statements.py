"""ATTACH, DETACH, SHOW SOURCES, REFRESH SOURCE and remote_query."""

from __future__ import annotations

import pytest

from jammi_sql.dialect import parse
from jammi_sql.dialect.statements import (
    Attach,
    Detach,
    Explain,
    Insert,
    Query,
    RefreshSource,
    ShowSources,
)
from jammi_sql.errors import StatementSyntaxError

from .pairs import one


def test_attach_has_an_address_a_name_and_options() -> None:
    statement = one("attach if not exists 'postgresql://h/d' as Pg (TYPE postgres, pool_size 3, password 'env:PW')")
    assert isinstance(statement, Attach)
    assert statement.uri.text == "'postgresql://h/d'"
    assert (statement.name, statement.kind, statement.if_not_exists) == ("pg", "postgres", True)
    assert statement.options == {"pool_size": "3", "password": "env:PW"}
    assert (statement.position, statement.name_position) == (21, 43)


def test_attach_takes_a_parameter_a_quoted_name_and_equals_signs() -> None:
    (parsed,) = parse('ATTACH ? AS "My Db" ("type" = sqlite, read_only = true)')
    statement = parsed.statement
    assert isinstance(statement, Attach)
    assert parsed.parameters == ("1",)
    assert statement.uri.text.strip() == "$1"
    assert (statement.name, statement.kind, statement.options) == ("My Db", "sqlite", {"read_only": "true"})


def test_attach_without_options() -> None:
    statement = one("ATTACH '/data/x.parquet' AS x")
    assert isinstance(statement, Attach)
    assert statement.kind is None and statement.options == {}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("ATTACH", 6),
        ("ATTACH x AS y", 7),
        ("ATTACH 'x'", 10),
        ("ATTACH 'x' AS", 13),
        ("ATTACH 'x' AS a.b", 15),
        ("ATTACH 'x' AS y ()", 17),
        ("ATTACH 'x' AS y (type)", 21),
        ("ATTACH 'x' AS y (type a, type b)", 25),
        ("ATTACH 'x' AS y nonsense", 16),
        ("DETACH", 6),
        ("DETACH a.b", 8),
        ("REFRESH", 7),
        ("REFRESH SOURCE", 14),
        ("REFRESH SOURCE a b", 17),
        ("SHOW SOURCES LIKE 'x'", 13),
    ],
)
def test_wrong_statements_say_where_and_what_to_write(text: str, position: int) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.hint


def test_detach_show_and_refresh() -> None:
    assert one("DETACH IF EXISTS pg") == Detach("pg", True, 17)
    assert one("DETACH pg") == Detach("pg", False, 7)
    assert one("SHOW SOURCES") == ShowSources()
    assert one("REFRESH SOURCE pg") == RefreshSource("pg", 15)


def test_remote_query_becomes_a_relation() -> None:
    statement = one("SELECT r.a FROM remote_query('pg', 'SELECT 1 AS a') r JOIN t ON t.a = r.a")
    assert isinstance(statement, Query)
    (call,) = statement.remotes
    assert (call.source.text, call.text.text, call.position) == ("'pg'", "'SELECT 1 AS a'", 16)
    assert statement.body.text == f'SELECT r.a FROM "{call.relation}" r JOIN t ON t.a = r.a'
    assert statement.subscribes == ()


def test_remote_query_without_an_alias_has_its_own_name() -> None:
    statement = one("SELECT remote_query.a FROM remote_query('pg', $1)")
    assert isinstance(statement, Query)
    assert statement.body.text == 'SELECT remote_query.a FROM "__remote_query_1" AS remote_query'


def test_remote_query_stands_beside_subscribe() -> None:
    statement = one("SELECT * FROM subscribe('t', until => 'latest') s, remote_query('pg', 'x') r")
    assert isinstance(statement, Query)
    assert len(statement.subscribes) == len(statement.remotes) == 1


def test_remote_query_is_found_in_changes_and_explain() -> None:
    insert = one("INSERT INTO t SELECT * FROM remote_query('pg', 'x')")
    assert isinstance(insert, Insert)
    assert insert.source is not None and len(insert.body.remotes) == len(insert.source.remotes) == 1
    explain = one("EXPLAIN SELECT * FROM remote_query('pg', 'x')")
    assert isinstance(explain, Explain)
    assert isinstance(explain.statement, Query) and len(explain.statement.remotes) == 1


def test_a_column_or_function_of_that_name_is_left_alone() -> None:
    for text in ("SELECT remote_query FROM t", "SELECT remote_query('a', 'b')", "SELECT a AS remote_query FROM t"):
        statement = one(text)
        assert isinstance(statement, Query)
        assert statement.remotes == () and statement.body.text == text


@pytest.mark.parametrize(
    "call", ["remote_query()", "remote_query('a')", "remote_query('a', 'b', 'c')", "remote_query('a',)"]
)
def test_remote_query_takes_two_arguments(call: str) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        parse(f"SELECT * FROM {call}")
    assert caught.value.hint and "remote_query(" in caught.value.hint
