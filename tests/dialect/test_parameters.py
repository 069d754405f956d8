"""Parameters in the three styles, and what looks like one."""

from __future__ import annotations

import pytest

from jammi_sql.dialect import parse
from jammi_sql.dialect.statements import Query
from jammi_sql.errors import StatementSyntaxError

from .pairs import only, query


@pytest.mark.parametrize(
    ("text", "expected", "keys"),
    [
        ("SELECT ?", "SELECT $1", ("1",)),
        ("SELECT ?, ?", "SELECT $1, $2", ("1", "2")),
        ("SELECT ??", "SELECT $1 $2", ("1", "2")),
        ("SELECT ?a", "SELECT $1 a", ("1",)),
        ("LIMIT?", "LIMIT $1", ("1",)),
        ("SELECT ?::int", "SELECT $1::int", ("1",)),
        ("SELECT '?', \"?\", $$?$$ -- ?\n, ? /* ? */", "SELECT '?', \"?\", $$?$$ -- ?\n, $1 /* ? */", ("1",)),
        ("SELECT $2, $1, $2", "SELECT $2, $1, $2", ("1", "2")),
        ("SELECT $10, $9", "SELECT $10, $9", ("9", "10")),
        ("SELECT $b, $a, $b", "SELECT $b, $a, $b", ("b", "a")),
        ("SELECT :b, :A, :b", "SELECT $b, $A, $b", ("b", "A")),
        ("SELECT :a, $b", "SELECT $a, $b", ("a", "b")),
        ("LIMIT:n", "LIMIT $n", ("n",)),
        ("SELECT :a::int", "SELECT $a::int", ("a",)),
        ("SELECT x::int", "SELECT x::int", ()),
        ("SELECT a[1:2], a[x:y], a[x :y], a[:y]", "SELECT a[1:2], a[x:y], a[x :y], a[:y]", ()),
        ("SELECT {'a':b, c:d}", "SELECT {'a':b, c:d}", ()),
        ("SELECT {'a':e'\\'', 'b':x'41'}", "SELECT {'a':e'\\'', 'b':x'41'}", ()),
        ("SELECT {'a': :b}", "SELECT {'a': $b}", ("b",)),
        ("SELECT a[:x + 1: :y]", "SELECT a[:x + 1: $y]", ("y",)),
        ("SELECT a[(:x):y]", "SELECT a[($x):y]", ("x",)),
        ("SELECT [:a, :b]", "SELECT [$a, $b]", ("a", "b")),
        ("[:a]", "[$a]", ("a",)),
        ("SELECT ARRAY[:a]", "SELECT ARRAY[$a]", ("a",)),
        ("SELECT a[CASE WHEN p THEN :a ELSE :b END:3]", "SELECT a[CASE WHEN p THEN $a ELSE $b END:3]", ("a", "b")),
        (
            "SELECT * FROM t WHERE a = :x AND b IN (:y, :z)",
            "SELECT * FROM t WHERE a = $x AND b IN ($y, $z)",
            ("x", "y", "z"),
        ),
        ("SELECT f(a => :x)", "SELECT f(a => $x)", ("x",)),
        ("SELECT a FROM t FETCHX :n", "SELECT a FROM t FETCHX $n", ("n",)),
        ("SELECT a:b FROM t", "SELECT a:b FROM t", ()),
    ],
)
def test_parameters_become_placeholders_of_datafusion(text: str, expected: str, keys: tuple[str, ...]) -> None:
    assert query(text).body.text == expected
    assert only(text).parameters == keys


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("SELECT ?, $1", 10),
        ("SELECT $1, :a", 11),
        ("SELECT :a, ?", 11),
        ("SELECT $1, $a", 11),
        ("SELECT $0", 7),
        ("SELECT $01", 7),
        ("SELECT $1a", 7),
        ("SELECT $", 7),
        ("SELECT ?1", 7),
        ("SELECT :a$b", 7),
        ("SELECT $123456", 7),
    ],
)
def test_malformed_and_mixed_parameters_are_syntax_errors(text: str, position: int) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        only(text)
    assert caught.value.position == position
    assert "?" in (caught.value.hint or "")


def test_each_statement_of_a_script_counts_its_own_parameters() -> None:
    first, second = parse("SELECT ?, ?; SELECT ?")
    assert (first.parameters, second.parameters) == (("1", "2"), ("1",))


def test_the_placeholders_of_prepare_are_its_own() -> None:
    parsed = only("PREPARE p AS SELECT $1 + $2")
    assert parsed.parameters == ()
    assert query(parsed.text).body.text == parsed.text


def test_the_origin_of_rewritten_text_is_the_place_in_the_input() -> None:
    text = "SELECT 1; SELECT a, ? , b FROM subscribe('t', from => ?) WHERE c = ?"
    statement = parse(text)[1].statement
    assert isinstance(statement, Query)
    body = statement.body
    assert body.text == ' SELECT a, $1 , b FROM "__subscribe_1" AS subscribe WHERE c = $3'
    for word in ("SELECT a", ", b", "FROM", "WHERE", "c ="):
        assert text[body.origin(body.text.index(word)) :].startswith(word)
    assert text[body.origin(body.text.index("$1"))] == "?"
    assert body.origin(body.text.index("$3")) == len(text) - 1
    assert text[body.origin(body.text.index('"__sub')) :].startswith("subscribe(")
    start = statement.subscribes[0].options["from"]
    assert (start.text, text[start.origin(0)]) == ("$2", "?")
