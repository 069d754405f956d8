"""CALL: a procedure's name and its arguments."""

from __future__ import annotations

import pytest

from jammi_sql.dialect import parse, statements
from jammi_sql.errors import Error, StatementSyntaxError


def call(text: str) -> statements.Call:
    (parsed,) = parse(text)
    statement = parsed if isinstance(parsed, statements.Call) else parsed.statement
    assert isinstance(statement, statements.Call)
    return statement


@pytest.mark.parametrize(
    ("text", "name", "position", "arguments"),
    [
        ("CALL jammi.compact()", ("jammi", "compact"), 5, 0),
        ("call JAMMI.Compact('a');", ("jammi", "compact"), 5, 1),
        ("  CALL f(1, 'x', (SELECT 2))", ("f",), 7, 3),
        ('CALL "Odd"."Name"($1)', ("Odd", "Name"), 5, 1),
        ("CALL f(g(1, 2), [3, 4])", ("f",), 5, 2),
        ("CALL /* why */ f -- so\n ( ? )", ("f",), 15, 1),
    ],
)
def test_a_call_has_a_name_and_arguments(text: str, name: tuple[str, ...], position: int, arguments: int) -> None:
    found = call(text)
    assert (found.procedure.parts, found.procedure.position) == (name, position)
    assert len(found.arguments) == arguments


def test_arguments_know_where_they_stand() -> None:
    text = "CALL f(1, 'x' || 'y')"
    assert [argument.origin(0) for argument in call(text).arguments] == [text.index("1"), text.index("'x'")]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("CALL", 4),
        ("CALL f", 6),
        ("CALL f(", 7),
        ("CALL f('a'", 10),
        ("CALL f('a',)", 11),
        ("CALL f(,)", 7),
        ("CALL f('a') x", 12),
        ("CALL 'f'()", 5),
        ("CALL f.()", 7),
    ],
)
def test_what_is_no_call_is_a_syntax_error_at_its_place(text: str, position: int) -> None:
    with pytest.raises(Error) as caught:
        call(text)
    assert isinstance(caught.value, StatementSyntaxError)
    assert (caught.value.sqlstate, caught.value.position) == ("42601", position)
    assert caught.value.hint
