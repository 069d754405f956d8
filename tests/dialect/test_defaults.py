"""Calls that leave arguments out."""

from __future__ import annotations

import pytest

from jammi_sql.dialect.defaults import DefaultArguments, default_edits
from jammi_sql.dialect.rewriting import Rewriting
from jammi_sql.dialect.tokens import tokenize

DEFAULTS = {
    "none_given": DefaultArguments(1, ("random()",)),
    "f": DefaultArguments(3, ("'a'", "2")),
}


def completed(text: str) -> str:
    return Rewriting(text, default_edits(tokenize(text), DEFAULTS)).fragment(0, len(text)).text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("SELECT none_given()", "SELECT none_given(random())"),
        ("SELECT NONE_GIVEN ( )", "SELECT NONE_GIVEN ( random())"),
        ('SELECT "none_given"()', 'SELECT "none_given"(random())'),
        ("f(x)", "f(x, 'a', 2)"),
        ("f(x, y)", "f(x, y, 2)"),
        ("f(g(1, 2))", "f(g(1, 2), 'a', 2)"),
        ("f([1, 2], {'a': 1, 'b': 2})", "f([1, 2], {'a': 1, 'b': 2}, 2)"),
        ("f(f(x))", "f(f(x, 'a', 2), 'a', 2)"),
        ("f(none_given() -- why\n)", "f(none_given(random()) -- why\n, 'a', 2)"),
        ("WHERE f('a,b(') = 1", "WHERE f('a,b(', 'a', 2) = 1"),
        ("VALUES (1, none_given()), (2, none_given())", "VALUES (1, none_given(random())), (2, none_given(random()))"),
    ],
)
def test_missing_arguments_are_written_into_the_call(written: str, expected: str) -> None:
    assert completed(written) == expected


@pytest.mark.parametrize(
    "text",
    [
        "f(x, y, z)",
        "f(x, y, z, w)",
        "f()",
        "none_given(1)",
        'SELECT "None_Given"()',
        "s.none_given()",
        "'none_given()' -- none_given()",
        "none_given",
        "SELECT none_given, (x)",
        "INSERT INTO f (x, y) VALUES (1, 2)",
        "CREATE TABLE f (x INT)",
        "CREATE TABLE IF NOT EXISTS f (x INT)",
        "WITH f (x) AS (SELECT 1) SELECT 1",
        "SELECT * FROM t AS f (x)",
        ") none_given(",
        "f(x, (1), (2))",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert completed(text) == text
