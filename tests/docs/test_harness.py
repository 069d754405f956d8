"""The reader of examples itself."""

from __future__ import annotations

import textwrap

import pytest

from .examples import MalformedPage, cells_of_text, cells_of_values, matches, read_blocks


def page(text: str) -> str:
    return textwrap.dedent(text).replace("~~~", "```")


def test_blocks_come_with_their_line_and_what_they_must_give() -> None:
    first, second, third = read_blocks(
        page(
            """\
            # Title
            ~~~sql
            SELECT 1
            ~~~

            ~~~text
            1
            ~~~
            ~~~python
            x = 1
            ~~~
            Words between.
            ~~~text
            not its result
            ~~~
            - in a list

              ~~~console
              $ true
              ~~~
            """
        )
    )
    assert (first.language, first.text, first.line, first.expected) == ("sql", "SELECT 1", 3, "1")
    assert (second.language, second.expected) == ("python", None)
    assert (third.language, third.text, third.line) == ("console", "$ true", 19)


def test_a_skipped_block_needs_a_reason() -> None:
    (block,) = read_blocks(page("<!-- skip: needs a terminal -->\n~~~sql skip\nx\n~~~"))
    assert block.skipped
    with pytest.raises(MalformedPage, match="line 2: say why"):
        read_blocks(page("\n~~~sql skip\nx\n~~~"))


@pytest.mark.parametrize("info", ["", "bash", "SQL", "sql later"])
def test_a_block_that_would_slip_past_the_tests_is_refused(info: str) -> None:
    with pytest.raises(MalformedPage, match="line 1"):
        read_blocks(page(f"~~~{info}\nx\n~~~"))


def test_a_block_that_does_not_end_is_refused() -> None:
    with pytest.raises(MalformedPage, match="does not end"):
        read_blocks(page("~~~sql\nSELECT 1"))


@pytest.mark.parametrize(
    "drawn",
    [
        "a | b\n1 | NULL\n",
        "| a | b |\n|---|---|\n| 1 | NULL |",
        "┌───┬──────┐\n│ a ┃ b    │\n├───┼──────┤\n│ 1 │ NULL │\n└───┴──────┘\n(1 row)",
        "a | b\n1 | ...",
    ],
)
def test_a_drawn_table_is_compared_by_its_cells(drawn: str) -> None:
    assert matches(cells_of_text(drawn), cells_of_values(["a", "b"], [(1, None)]))


def test_a_row_count_alone_is_what_a_statement_without_rows_gives() -> None:
    assert cells_of_text("2 rows\n") == [["2 rows"]]
    assert not matches(cells_of_text("2 rows"), [["3 rows"]])


@pytest.mark.parametrize("drawn", ["a | b\n2 | NULL", "a | b", "a | b\n1 | NULL\n1 | NULL", "a\n1", "a | c\n1 | NULL"])
def test_any_difference_counts(drawn: str) -> None:
    assert not matches(cells_of_text(drawn), cells_of_values(["a", "b"], [(1, None)]))
