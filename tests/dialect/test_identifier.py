"""Identifier paths in the API and inside subscribe('...')."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jammi_sql.dialect import format_identifier_path, parse, parse_identifier_path, quote_identifier
from jammi_sql.dialect.statements import DropTopic
from jammi_sql.errors import StatementSyntaxError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("events", ("events",)),
        ("Events.Changes", ("events", "changes")),
        ('"Odd.Name"', ("Odd.Name",)),
        ('jammi."S".`T``x`', ("jammi", "S", "T`x")),
        (' a . "b""c" ', ("a", 'b"c')),
        ("É.नाम", ("É", "नाम")),
        ("_x$1#@", ("_x$1#@",)),
        ("select", ("select",)),
    ],
)
def test_a_path_is_folded_and_unquoted(text: str, parts: tuple[str, ...]) -> None:
    assert parse_identifier_path(text) == parts


@pytest.mark.parametrize(
    "text",
    ["", " ", ".", "a.", ".a", "a..b", "a b", "a-b", "1a", "'a'", '"a', '""', "a²", "a;b", "$a", "?", "#", "a/**/"],
)
def test_what_is_no_path_is_a_syntax_error_with_a_hint(text: str) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        parse_identifier_path(text)
    assert caught.value.hint
    assert '"' in caught.value.hint


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("events", "changes"), "events.changes"),
        (("Odd.Name",), '"Odd.Name"'),
        (("a", 'b"c'), 'a."b""c"'),
        (("select",), '"select"'),
        (("1a", "_b1"), '"1a"._b1'),
        (("É",), '"É"'),
    ],
)
def test_a_path_is_quoted_only_where_needed(parts: tuple[str, ...], text: str) -> None:
    assert format_identifier_path(parts) == text


def test_quote_identifier_always_quotes() -> None:
    assert quote_identifier("a") == '"a"'
    assert quote_identifier('a"b') == '"a""b"'


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_every_path_comes_back_from_its_text(parts: list[str]) -> None:
    text = format_identifier_path(parts)
    assert parse_identifier_path(text) == tuple(parts)
    (parsed,) = parse(f"DROP TOPIC {text}")
    assert isinstance(parsed.statement, DropTopic)
    assert parsed.statement.name.parts == tuple(parts)
