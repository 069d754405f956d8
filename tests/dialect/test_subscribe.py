"""Where ``subscribe(...)`` is a relation, and what its arguments may be."""

from __future__ import annotations

import pytest

from jammi_sql.dialect.statements import CreateTopicAs, Delete, Explain, Insert, Merge, Query
from jammi_sql.errors import StatementSyntaxError

from .pairs import one, plain, query

S = '"__subscribe_1"'
A = f"{S} AS subscribe"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM subscribe('t')", f"SELECT * FROM {A}"),
        ("SELECT * FROM SUBSCRIBE ( 't' )", f"SELECT * FROM {A}"),
        ("SELECT * FROM subscribe('t') AS s", f"SELECT * FROM {S} AS s"),
        ("SELECT * FROM subscribe('t') s", f"SELECT * FROM {S} s"),
        ("SELECT * FROM subscribe('t') \"S\"", f'SELECT * FROM {S} "S"'),
        ("SELECT * FROM subscribe('t') WHERE a = 1", f"SELECT * FROM {A} WHERE a = 1"),
        ("SELECT * FROM subscribe('t')LIMIT 1", f"SELECT * FROM {A}LIMIT 1"),
        ("SELECT * FROM subscribe('t') LEFT JOIN b ON x", f"SELECT * FROM {A} LEFT JOIN b ON x"),
        ("SELECT * FROM subscribe('t'), b", f"SELECT * FROM {A}, b"),
        ("SELECT * FROM (subscribe('t') JOIN b ON x)", f"SELECT * FROM ({A} JOIN b ON x)"),
        ("SELECT * FROM a, subscribe('t') s", f"SELECT * FROM a, {S} s"),
        ("SELECT * FROM a JOIN subscribe('t') s ON x", f"SELECT * FROM a JOIN {S} s ON x"),
        ("SELECT * FROM a JOIN b ON f(a, b), subscribe('t') s", f"SELECT * FROM a JOIN b ON f(a, b), {S} s"),
        ("SELECT * FROM LATERAL subscribe('t') s", f"SELECT * FROM {S} s"),
        ("SELECT (SELECT max(a) FROM subscribe('t'))", f"SELECT (SELECT max(a) FROM {A})"),
        ("WITH c AS (SELECT * FROM subscribe('t')) SELECT * FROM c", f"WITH c AS (SELECT * FROM {A}) SELECT * FROM c"),
        ("FROM subscribe('t')", f"FROM {A}"),
        ("SELECT 1 UNION SELECT a FROM subscribe('t')", f"SELECT 1 UNION SELECT a FROM {A}"),
        ("SELECT * FROM subscribe('t') UNION SELECT 1", f"SELECT * FROM {A} UNION SELECT 1"),
        ("COPY (SELECT * FROM subscribe('t')) TO 'f'", f"COPY (SELECT * FROM {A}) TO 'f'"),
        ("CREATE VIEW v AS SELECT * FROM subscribe('t')", f"CREATE VIEW v AS SELECT * FROM {A}"),
        ("SELECT a IS DISTINCT FROM b FROM subscribe('t')", f"SELECT a IS DISTINCT FROM b FROM {A}"),
        ("SELECT extract(year FROM x) FROM subscribe('t')", f"SELECT extract(year FROM x) FROM {A}"),
        ("SELECT * FROM f(1, 2), subscribe('t') s", f"SELECT * FROM f(1, 2), {S} s"),
        ("SELECT subscribe FROM subscribe('t') GROUP BY 1", f"SELECT subscribe FROM {A} GROUP BY 1"),
    ],
)
def test_a_call_in_table_position_becomes_a_relation(text: str, expected: str) -> None:
    statement = query(text)
    assert statement.body.text == expected
    (call,) = statement.subscribes
    assert call.relation == "__subscribe_1"
    assert call.topic.text == "'t'"
    assert text[call.position :].lower().startswith("subscribe")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT subscribe(x) FROM t",
        "SELECT a, subscribe('t') FROM t",
        "SELECT subscribe FROM t",
        "SELECT t.subscribe FROM t",
        "SELECT * FROM subscribe",
        "SELECT * FROM subscribe WHERE a IN (1)",
        "SELECT * FROM t subscribe",
        "SELECT * FROM t AS subscribe(a, b)",
        "SELECT * FROM t, u WHERE a IN (b, subscribe('t'))",
        "SELECT * FROM t WHERE subscribe('t')",
        "SELECT * FROM t ORDER BY a, subscribe(b)",
        "SELECT * FROM t GROUP BY a, subscribe(b)",
        "SELECT a IS DISTINCT FROM subscribe(b)",
        "SELECT a IS NOT DISTINCT FROM b, subscribe(b)",
        "SELECT extract(year FROM subscribe(x))",
        "SELECT trim(BOTH 'x' FROM a), subscribe(b)",
        "SELECT * FROM jammi.subscribe('t')",
        "SELECT * FROM \"subscribe\"('t')",
        "SELECT 'FROM subscribe(1)' -- FROM subscribe('t')",
        "SELECT * FROM f(a, subscribe('t'))",
    ],
)
def test_a_column_an_alias_and_a_scalar_function_of_that_name_are_left_alone(text: str) -> None:
    statement = query(text)
    assert statement.subscribes == ()
    assert statement.body.text == text


def test_several_calls_get_several_relations_in_the_order_of_the_text() -> None:
    text = "SELECT * FROM subscribe('a') x JOIN subscribe('b') y ON x.k = y.k"
    statement = query(text)
    assert statement.body.text == 'SELECT * FROM "__subscribe_1" x JOIN "__subscribe_2" y ON x.k = y.k'
    assert [call.topic.text for call in statement.subscribes] == ["'a'", "'b'"]
    assert [call.position for call in statement.subscribes] == [14, 36]


def test_the_relation_has_a_name_that_the_statement_does_not_use() -> None:
    (call,) = query("SELECT \"__subscribe_1\".a FROM __subscribe_1, subscribe('t')").subscribes
    assert call.relation not in {"__subscribe_1", "__subscribe_2"}


def test_options_are_expressions_in_any_order() -> None:
    text = "FROM subscribe(:topic, until => 'latest', FROM => TIMESTAMP '2020-01-01' + f(1, 2), idle_timeout => :i)"
    (call,) = query(text).subscribes
    assert call.topic.text == "$topic"
    assert {name: value.text for name, value in call.options.items()} == {
        "until": "'latest'",
        "from": "TIMESTAMP '2020-01-01' + f(1, 2)",
        "idle_timeout": "$i",
    }
    assert call.options["from"] == plain("TIMESTAMP '2020-01-01' + f(1, 2)", text.index("TIMESTAMP"))


def test_parameters_inside_a_call_are_counted_and_gone_from_the_body() -> None:
    statement = query("SELECT ? FROM subscribe(?, from => ?) WHERE a = ?")
    assert statement.body.text == f"SELECT $1 FROM {A} WHERE a = $4"
    assert statement.subscribes[0].topic.text == "$2"
    assert statement.subscribes[0].options["from"].text == "$3"


@pytest.mark.parametrize(
    ("call", "offset"),
    [
        ("subscribe()", 0),
        ("subscribe(from => 1)", 0),
        ("subscribe('t', since => 1)", 15),
        ("subscribe('t', from => 1, from => 2)", 26),
        ("subscribe('t', 'latest')", 15),
        ("subscribe('t', from => 1, 5)", 26),
        ("subscribe('t', from =>)", 20),
        ("subscribe('t', from => 1, (2), (3))", 24),
        ("subscribe('t',)", 14),
        ("subscribe(, 't')", 10),
        ("subscribe('t'", 9),
        ("subscribe('t', from => (1)", 9),
    ],
)
def test_bad_arguments_are_syntax_errors_that_name_the_options(call: str, offset: int) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        one(f"SELECT * FROM {call}")
    assert caught.value.position == 14 + offset
    assert "idle_timeout" in (caught.value.hint or "")


def test_calls_are_found_in_every_statement_that_holds_a_query() -> None:
    insert = one("INSERT INTO a SELECT * FROM subscribe('t', until => 5)")
    assert isinstance(insert, Insert)
    assert insert.body.subscribes
    delete = one("DELETE FROM a USING subscribe('t') s WHERE a.x = s.x")
    assert isinstance(delete, Delete)
    assert delete.body.subscribes
    merge = one("MERGE INTO a USING subscribe('t') s ON a.x = s.x WHEN MATCHED THEN DELETE")
    assert isinstance(merge, Merge)
    assert merge.body.subscribes
    create = one("CREATE TOPIC a AS SELECT * FROM subscribe('t')")
    assert isinstance(create, CreateTopicAs)
    assert create.query.subscribes
    explain = one("EXPLAIN SELECT * FROM subscribe('t')")
    assert isinstance(explain, Explain)
    assert isinstance(explain.statement, Query)
    assert explain.statement.subscribes
