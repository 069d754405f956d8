"""Texts of several statements."""

from __future__ import annotations

import pytest

from jammi_sql.dialect import parse
from jammi_sql.dialect.statements import CreateTopic, Query
from jammi_sql.errors import StatementSyntaxError


@pytest.mark.parametrize("text", ["", " ", ";", " ; ;; ", "-- only a comment", "/* ; */ ; -- x\n;"])
def test_empty_statements_and_lone_comments_are_dropped(text: str) -> None:
    assert parse(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1; SELECT 2", ["SELECT 1", " SELECT 2"]),
        ("SELECT ';' ; SELECT \";\"", ["SELECT ';' ", ' SELECT ";"']),
        ("SELECT $$;$$; SELECT 2 -- ; x", ["SELECT $$;$$", " SELECT 2 -- ; x"]),
        ("SELECT E'\\';' /* ; */; SELECT 2", ["SELECT E'\\';' /* ; */", " SELECT 2"]),
        ("SELECT (1; 2); SELECT 3", ["SELECT (1; 2)", " SELECT 3"]),
        ("SELECT 1); SELECT 2", ["SELECT 1)", " SELECT 2"]),
        ("VALUES (1), (';'); SELECT 2", ["VALUES (1), (';')", " SELECT 2"]),
    ],
)
def test_a_text_is_cut_at_semicolons_outside_brackets_strings_and_comments(text: str, expected: list[str]) -> None:
    parsed = parse(text)
    assert [each.text for each in parsed] == expected
    assert all(text[each.position :].startswith(each.text) for each in parsed)


def test_positions_are_those_in_the_whole_text() -> None:
    text = "SELECT 1;\nCREATE TOPIC t (a INT);\nSELECT 2"
    first, second, third = (each.statement for each in parse(text))
    assert isinstance(first, Query)
    assert isinstance(second, CreateTopic)
    assert isinstance(third, Query)
    assert second.name.position == text.index("t (a")
    assert third.body.origin(1) == text.index("\nSELECT 2") + 1


def test_an_error_in_a_later_statement_has_its_position_in_the_whole_text() -> None:
    text = "SELECT 1; DROP TOPIC ; SELECT 2"
    with pytest.raises(StatementSyntaxError) as caught:
        parse(text)
    assert caught.value.position == text.index("; SELECT 2")
