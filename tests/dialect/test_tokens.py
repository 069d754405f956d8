"""What is a token, and where strings and comments end."""

from __future__ import annotations

import pytest

from jammi_sql.dialect.literals import decode_string
from jammi_sql.dialect.tokens import tokenize
from jammi_sql.errors import StatementSyntaxError


def texts(text: str) -> list[str]:
    return [token.text for token in tokenize(text)]


def kinds(text: str) -> list[str]:
    return [token.kind for token in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", ["SELECT", "1"]),
        ("a.b", ["a", ".", "b"]),
        ("1.5e-3 .5 1. 0x1F 1e5 5a", ["1.5e-3", ".5", "1.", "0x1F", "1e5", "5", "a"]),
        ("a$b #c @d _e é1", ["a$b", "#c", "@d", "_e", "é1"]),
        ("नाम", ["नाम"]),
        ("a::int => b", ["a", "::", "int", "=>", "b"]),
        ("a<=>b", ["a", "<=>", "b"]),
        ('"a""b" `c``d`', ['"a""b"', "`c``d`"]),
        ("'a''b' 'c'", ["'a''b'", "'c'"]),
        (r"'a\' , 'b'", [r"'a\'", ",", "'b'"]),
        (r"E'a\'b' e'\\' E'x''y'", [r"E'a\'b'", r"e'\\'", "E'x''y'"]),
        (r"X'\' , '", [r"X'\' , '"]),
        ("X'41' N'n' u&'x' b'01'", ["X'41'", "N'n'", "u&'x'", "b'01'"]),
        ("xe'a' _e'b'", ["xe", "'a'", "_e", "'b'"]),
        ("$$a'b$$ $t$ $$ $t$ $1 $x", ["$$a'b$$", "$t$ $$ $t$", "$1", "$x"]),
        ("a$$b$$", ["a$$b$$"]),
        ("1 -- x\n2", ["1", "2"]),
        ("1 -- x\r2", ["1"]),
        ("1 --/*\n2", ["1", "2"]),
        ("1 /* a /* b */ ' */ 2", ["1", "2"]),
        ("1 /*/ */ 2", ["1", "2"]),
        ("'--' '/*'", ["'--'", "'/*'"]),
        ("a\u00a0b\u3000c\x0bd", ["a", "b", "c", "d"]),
        ("x @? y ? ?", ["x", "@?", "y", "?", "?"]),
        ("1 //* 2", ["1", "//", "*", "2"]),
        ("'a'||/*", ["'a'", "||/", "*"]),
    ],
)
def test_text_is_cut_where_datafusion_cuts_it(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("SELECT 'a", 7),
        ("SELECT 'a''", 7),
        ('SELECT "a', 7),
        ("SELECT `a", 7),
        (r"SELECT E'a\'", 7),
        ("SELECT X'4", 7),
        ("SELECT $$a", 7),
        ("SELECT $t$a$$", 7),
        ("SELECT $a$b", 7),
        ("SELECT 1 /* a", 9),
        ("SELECT /* /* */ 1", 7),
        ("SELECT r'''a'''", 7),
        ("SELECT q'[a]'", 7),
        ("SELECT #'a'", 7),
    ],
)
def test_what_does_not_end_is_a_syntax_error_at_its_beginning(text: str, position: int) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        tokenize(text)
    assert caught.value.position == position
    assert caught.value.sqlstate == "42601"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a''b'", "a'b"),
        (r"'a\n'", r"a\n"),
        (r"E'a\n\t\'\\\u0041\U0001F600\x41\101\q'", "a\n\t'\\A😀AAq"),
        ("$$a''b$$", "a''b"),
        ("$t$ $$ $t$", " $$ "),
        ("X'41'", None),
        ("N'a'", None),
    ],
)
def test_a_string_literal_is_decoded_as_datafusion_does(text: str, value: str | None) -> None:
    assert decode_string(tokenize(text)[0]) == value


@pytest.mark.parametrize("escape", [r"\0", r"\400", r"\xff", r"\u12", r"\ud800", r"\U00110000", r"\x00"])
def test_an_escape_that_is_no_character_is_a_syntax_error(escape: str) -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        decode_string(tokenize(f"  E'ab{escape}'")[0])
    assert caught.value.position == 6


def test_rows_of_literals_are_one_token_that_ends_where_they_end() -> None:
    rows = ", (1, 'a;b''', -2.5e3), (NULL, $1)"
    assert texts(f"VALUES (0, 'x', 1){rows}") == [
        "VALUES", "(", "0", ",", "'x'", ",", "1", ")", ", (1, 'a;b''', -2.5e3)", ",", "(", "NULL", ",", "$1", ")",
    ]  # fmt: skip
    assert kinds("VALUES (1), (DATE '2020-01-01'),\n([1.5, 2]) ,(true) RETURNING a") == [
        "word", "operator", "number", "operator", "rows", "word", "word",
    ]  # fmt: skip


def test_ten_thousand_rows_of_literals_are_a_handful_of_tokens() -> None:
    rows = ", ".join(f"({i}, 'text ''{i}''', {i / 7}, [0.5, {i}])" for i in range(10_000))
    assert len(tokenize(f"INSERT INTO t VALUES {rows}")) < 30


@pytest.mark.parametrize(
    "text",
    [
        "(" * 200_000,
        ",(1" * 100_000,
        "/**/" * 100_000,
        "/*/**/*/" * 50_000,
        "$a$b$a$ " * 50_000,
        " " * 500_000,
        "''" * 200_000,
        "'' " * 200_000,
        ", (" + "1, " * 200_000,
        ", ([" + "1, " * 200_000,
        "@" * 200_000,
        "1." * 100_000,
    ],
    ids=lambda text: text[:9],
)
def test_time_is_linear_for_texts_that_invite_backtracking(text: str) -> None:
    # A quadratic tokenizer would need hours for these; the suite's time limit is the assertion.
    assert all(token.end > token.start for token in tokenize(text))
