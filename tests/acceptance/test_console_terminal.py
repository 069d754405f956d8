"""The console as a person uses it: a real process on a real terminal, the screen compared."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jammi_sql

from .terminal import Terminal

READING = r"running: \d+\.\d s, [\d,]+ rows read; Ctrl-C cancels"
PAGER = "import sys; lines = sys.stdin.read().splitlines(); print('PAGED', len(lines), lines[-1])"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("terminal") / "store"
    with jammi_sql.connect(path) as connection:
        connection.execute("CREATE TOPIC orders (id INT, item VARCHAR)")
        connection.execute("INSERT INTO orders VALUES (1, 'nut'), (20, NULL)")
        connection.execute("CREATE TABLE stock (item VARCHAR, amount INT, PRIMARY KEY (item))")
    return path


@pytest.fixture(scope="module")
def running(store: Path) -> Iterator[Terminal]:
    """One console for all tests, since it takes long to start."""
    pager = store.parent / "pager.py"
    pager.write_text(PAGER)
    history = str(store.parent / "history")
    with Terminal(str(store), PAGER=f"{sys.executable} {pager}", JAMMI_SQL_HISTORY=history) as terminal:
        terminal.wait_for_prompt()
        yield terminal


@pytest.fixture
def terminal(running: Terminal) -> Terminal:
    running.fresh()
    return running


# --- the prompt -----------------------------------------------------------------------------------


def test_columns_of_the_tables_of_a_statement_are_completed(terminal: Terminal) -> None:
    terminal.type("SELECT o.i FROM orders AS o" + "\x1b[D" * len(" FROM orders AS o"))
    terminal.wait(lambda lines: any(line.split() == ["item", "column"] for line in lines))
    terminal.type("te\t")
    assert terminal.wait(lambda lines: "o.item FROM" in lines[0])[0] == "jammi> SELECT o.item FROM orders AS o"


def test_topics_tables_and_options_of_subscribe_are_completed(terminal: Terminal) -> None:
    terminal.type("SELECT * FROM stoc\t")
    terminal.wait_for("FROM stock")
    terminal.fresh()
    terminal.type("SELECT * FROM subscribe(\t")
    terminal.wait_for("subscribe('orders'")
    terminal.type(", un\t")
    terminal.wait_for("'orders', until =>")
    terminal.type("'la\t")
    # Not any line: the menu shows it before the prompt does.
    terminal.wait(lambda lines: lines[0] == "jammi> SELECT * FROM subscribe('orders', until => 'latest'")


def test_an_attached_database_is_completed(terminal: Terminal, store: Path) -> None:
    folder = store.parent / "files"
    folder.mkdir()
    (folder / "prices.csv").write_text("item,price\nnut,1\n")
    terminal.run(f"ATTACH '{folder}' AS shop (TYPE files);")
    terminal.fresh()
    terminal.type("SELECT * FROM sho\t")
    terminal.wait_for("FROM shop.")
    terminal.type("pub\t")
    terminal.wait_for("FROM shop.public.")
    terminal.type("pri\t")
    terminal.wait_for("FROM shop.public.prices")


def test_words_are_painted(terminal: Terminal) -> None:
    terminal.type("SELECT item, 'text")
    terminal.wait_for("'text")
    (keyword, name, text) = (terminal.style(0, len("jammi> ") + at) for at in (0, 7, 13))
    assert keyword == ("blue", True)
    assert name == ("default", False)
    assert text == ("green", False)


def test_a_statement_takes_several_lines_and_runs_at_its_semicolon(terminal: Terminal) -> None:
    terminal.type("SELECT 1\r")
    terminal.wait_for("   ...>")
    terminal.type("AS one;\r")
    assert terminal.wait_for_prompt() == [
        "jammi> SELECT 1",
        "   ...> AS one;",
        "   one",
        "bigint",
        "------",
        "     1",
        "(1 row)",
        "jammi>",
    ]


def test_an_error_has_a_caret_under_its_place_and_a_hint(terminal: Terminal) -> None:
    shown = terminal.run("SELECT id, itme FROM nowhere;")
    assert shown[0].startswith("error 42P01: ")
    assert shown[1] == "  SELECT id, itme FROM nowhere;"[: len(shown[1])]
    assert shown[2].index("^") == shown[1].index("nowhere")
    assert shown[3].startswith("hint: ")


def test_the_caret_of_a_long_line_stands_under_the_part_that_is_shown(terminal: Terminal) -> None:
    columns = ", ".join(f"{number} AS column_{number}" for number in range(12))
    terminal.type(f"SELECT {columns}, itme, {columns} FROM orders;\r")
    shown = terminal.wait(lambda lines: lines[-1] == "jammi>" and any("hint" in line for line in lines))
    place = next(index for index, line in enumerate(shown) if line.strip() == "^")
    assert shown[place - 1].startswith("  …") and shown[place - 1].endswith("…")
    assert shown[place - 1][shown[place].index("^") :].startswith("itme")
    assert [line.split()[0] for line in shown[place + 1 : place + 3]] == ["hint:", "orders._tenant_id,"]


def test_the_caret_of_a_statement_of_several_lines_stands_under_wide_characters(terminal: Terminal) -> None:
    terminal.type("SELECT 1,\r'日本', itme\rFROM orders;\r")
    shown = terminal.wait(lambda lines: lines[-1] == "jammi>" and any("hint" in line for line in lines))
    place = next(index for index, line in enumerate(shown) if line.strip() == "^")
    assert shown[place - 1].startswith("line 2: ")
    (before, _, _) = shown[place - 1].partition("itme")
    assert shown[place].index("^") == len(before) + 2  # each of the two takes two cells


def test_a_long_line_goes_on_without_another_prompt(terminal: Terminal) -> None:
    terminal.type("SELECT '" + "x" * 100)
    shown = terminal.wait(lambda lines: len(lines) == 2 and "x" in lines[1])
    assert shown[1].startswith("       x")


def test_a_plan_is_shown_line_by_line(terminal: Terminal) -> None:
    shown = terminal.run("EXPLAIN SELECT count(*) AS n FROM orders;")
    assert shown[0] == "-- logical_plan --"
    assert "-- physical_plan --" in shown
    assert shown[shown.index("-- physical_plan --") + 1].startswith("ProjectionExec: expr=[count(")
    assert shown[shown.index("-- physical_plan --") + 2].startswith("  Aggregate")


def test_help_is_folded_at_words_and_goes_through_the_pager_when_it_is_long(terminal: Terminal) -> None:
    shown = terminal.run("\\h create topic")
    assert shown[1].startswith("    CREATE [GLOBAL] TOPIC") and shown[2].startswith(" " * 8)
    assert shown[-1] == "Makes an empty topic."
    terminal.type("\\h create\r")
    terminal.wait_for("PAGED ")
    terminal.wait_for_prompt()


def test_the_history_is_searched_and_kept_for_its_owner_alone(terminal: Terminal, store: Path) -> None:
    terminal.run("SELECT 'needle' AS found;")
    terminal.run("SELECT 2 AS other;")
    terminal.fresh()
    terminal.type("\x12needl")
    terminal.wait_for("SELECT 'needle' AS found;")
    terminal.type("\r")
    terminal.wait(lambda lines: lines[0] == "jammi> SELECT 'needle' AS found;")
    history = store.parent / "history"
    assert "SELECT 'needle' AS found;" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


# --- results --------------------------------------------------------------------------------------


def test_a_result_has_types_numbers_to_the_right_and_null(terminal: Terminal) -> None:
    assert terminal.run("SELECT id, item FROM orders;") == [
        " id | item",
        "int | varchar",
        "----+--------",
        "  1 | nut",
        " 20 | NULL",
        "(2 rows)",
    ]


def test_a_wide_result_is_cut_to_the_screen(terminal: Terminal) -> None:
    shown = terminal.run("SELECT repeat('a', 100) AS a, repeat('b', 100) AS b, 1 AS c;")
    assert [len(line) for line in shown[:4]] == [len(shown[2])] * 4 == [80] * 4
    assert shown[3].count("…") == 2
    assert shown[3].endswith("| bigint"[:2] + "     1")


def test_a_row_of_too_many_columns_is_shown_as_a_record(terminal: Terminal) -> None:
    shown = terminal.run("SELECT " + ", ".join(f"{number} AS c{number}" for number in range(14)) + ";")
    assert "-- row 1 --" in shown
    assert "c13 | 13" in shown


def test_a_long_result_goes_through_the_pager_unless_that_is_off(terminal: Terminal) -> None:
    terminal.type("SELECT value FROM generate_series(1, 5000) AS t(value);\r")
    terminal.wait_for("PAGED 1004 (1,000 of 5,000 rows shown")
    terminal.wait_for_prompt()
    assert terminal.run("\\pager off") == ["the pager is off"]
    assert terminal.run("\\limit 30") == ["30 rows are shown at most"]
    terminal.type("SELECT value FROM generate_series(1, 5000) AS t(value);\r")
    terminal.wait_for("(30 of 5,000 rows shown")
    shown = terminal.wait_for_prompt()
    assert "    30" in shown
    assert not any("PAGED" in line for line in shown)
    terminal.run("\\limit 1000")
    terminal.run("\\pager on")


def test_a_chart_of_the_last_result_is_drawn(terminal: Terminal) -> None:
    terminal.run("SELECT * FROM (VALUES ('nut', 2), ('bolt', 4)) AS t(item, n);")
    shown = terminal.run("\\chart")
    assert "n by item" in shown[0]
    bars = {line.split("┤")[0].strip(): line.count("█") for line in shown if "┤" in line}
    assert list(bars) == ["nut", "bolt"]
    assert abs(bars["bolt"] - 2 * bars["nut"]) <= 2
    terminal.run("SELECT value AS x, value * value AS y FROM generate_series(1, 9) AS t(value);")
    assert "y by x" in terminal.run("\\chart line")[0]
    terminal.run("SELECT * FROM (VALUES ('NaN'::DOUBLE, 1), ('Infinity'::DOUBLE, 2), (NULL, 3)) AS t(x, y);")
    assert terminal.run("\\chart hist x") == ["there are no values to draw"]
    terminal.run("SELECT value AS x, value * value AS y FROM generate_series(1, 9) AS t(value);")
    assert terminal.run("\\chart bar nope") == ["the last result has no column nope; it has x, y"]


# --- what runs ------------------------------------------------------------------------------------


def test_a_live_result_scrolls_above_a_footer_until_ctrl_c(terminal: Terminal, store: Path) -> None:
    terminal.type("SELECT id, item FROM subscribe('orders');\r")
    terminal.wait_for("0 events, 0 rows/s, lag 0 batches")
    with jammi_sql.connect(store) as connection:
        connection.execute("INSERT INTO orders VALUES (300, 'bolt')")
        terminal.wait_for("1 event,")
        connection.execute("INSERT INTO orders VALUES (301, 'gear')")
        shown = terminal.wait_for("2 events,")
    assert shown[1:6] == [" id | item", "int | varchar", "----+--------", "300 | bolt", "301 | gear"]
    assert shown[-1].startswith("2 events,") and shown[-1].endswith("Ctrl-C stops")
    terminal.type("\x03")
    shown = terminal.wait_for_prompt()
    assert not any("2 events" in line for line in shown)
    assert "301 | gear" in shown
    assert terminal.run("SELECT 1 AS one;")[-1] == "(1 row)"
    assert terminal.run("SELECT count(*) AS n FROM jammi.system.subscriptions;")[3].strip() == "0"


def test_a_long_statement_says_so_and_ctrl_c_ends_it(terminal: Terminal) -> None:
    terminal.type("SELECT count(*) FROM generate_series(1, 1000000000000) AS t(x);\r")
    terminal.wait(lambda lines: re.fullmatch(READING, lines[-1]) is not None, "how far it is")
    terminal.type("\x03")
    shown = terminal.wait_for_prompt()
    assert shown[-2].endswith("cancelled")
    assert not any("running" in line for line in shown)
    assert terminal.run("SELECT 1 AS one;")[-1] == "(1 row)"


def test_a_script_at_a_terminal_says_how_far_it_is_too(store: Path) -> None:
    with Terminal(str(store), "-c", "SELECT count(*) FROM generate_series(1, 1000000000000) AS t(x)") as terminal:
        terminal.wait(lambda lines: bool(lines) and re.fullmatch(READING, lines[-1]) is not None, "how far it is")
        terminal.type("\x03")
        assert terminal.ended() == 130
        assert not any("running" in line for line in terminal.lines)


def test_rows_are_typed_for_copy_until_the_end_or_ctrl_c(terminal: Terminal) -> None:
    terminal.type("COPY stock FROM stdin (FORMAT csv);\r")
    terminal.wait_for("ends them")
    terminal.type("item,amount\rbolt,1\r\x03")
    assert terminal.wait_for_prompt()[-2].endswith("cancelled")
    terminal.type("COPY stock FROM stdin (FORMAT csv);\r")
    terminal.wait(lambda lines: sum("ends them" in line for line in lines) == 2)
    terminal.type("item,amount\rnut,2\r\\.\r")
    terminal.wait_for("1 row")
    assert terminal.run("SELECT * FROM stock;")[3:] == ["nut     |      2", "(1 row)"]
    terminal.run("DELETE FROM stock;")


def test_rows_are_typed_for_a_script_until_one_ctrl_d(store: Path) -> None:
    copy = "COPY stock FROM stdin (FORMAT csv)"
    with Terminal(str(store), "-c", copy, "-c", "DELETE FROM stock") as terminal:
        terminal.wait_for("ends them")
        terminal.type("item,amount\rnut,2\r\x04")
        assert terminal.ended() == 0
        assert terminal.lines[-2:] == ["1 row", "1 row"]
    with Terminal(str(store), "-c", copy) as terminal:
        terminal.wait_for("ends them")
        terminal.type("item,amount\rnut,2\r\x03")
        assert terminal.ended() == 130


def test_watch_runs_the_last_statement_until_ctrl_c(terminal: Terminal) -> None:
    terminal.run("SELECT 7 AS seven;")
    terminal.type("\\watch 0.05\r")
    shown = terminal.wait(lambda lines: sum("every 0.05 s" in line for line in lines) >= 3)
    assert shown.count("     7") >= 2
    terminal.type("\x03")
    terminal.wait_for_prompt()
    assert terminal.run("SELECT 1 AS one;")[-1] == "(1 row)"


def test_an_open_transaction_is_seen_at_the_prompt(terminal: Terminal) -> None:
    terminal.type("BEGIN;\r")
    terminal.wait(lambda lines: lines[-1] == "jammi*>")
    terminal.type("ROLLBACK;\r")
    terminal.wait_for_prompt()


def test_ctrl_d_leaves(store: Path) -> None:
    with Terminal(str(store)) as terminal:
        terminal.wait_for_prompt()
        terminal.type("\x04")
        assert terminal.ended() == 0


def test_a_dumb_terminal_gets_plain_lines(store: Path) -> None:
    with Terminal(str(store), TERM="dumb") as terminal:
        terminal.wait_for_prompt()
        terminal.type("SELECT 1 AS one;\r")
        shown = terminal.wait(lambda lines: lines[-1] == "jammi>" and "(1 row)" in lines)
        assert shown[1:-1] == ["jammi> SELECT 1 AS one;", "   one", "bigint", "------", "     1", "(1 row)"]
        terminal.type("\\q\r")
        assert terminal.ended() == 0
