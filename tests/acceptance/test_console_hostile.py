"""The console with data, files and surroundings that mean it no good."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prompt_toolkit.history import InMemoryHistory

import jammi_sql
from jammi_sql.adbc.pool import ConnectionPool
from jammi_sql.console import pager
from jammi_sql.console import viewer as viewing
from jammi_sql.console.commands import Commands
from jammi_sql.console.escapes import Harmless
from jammi_sql.console.live import LiveView
from jammi_sql.console.main import main
from jammi_sql.console.prompt import _history
from jammi_sql.console.runner import Runner
from jammi_sql.console.script import Script
from jammi_sql.console.shell import is_complete, parts
from jammi_sql.console.viewer import Viewer
from tests.topic_support import until

COMMAND = [sys.executable, "-c", "import sys; from jammi_sql.console.main import main; sys.exit(main())"]
OBEYED = "chr(27) || ']0;title' || chr(7) || chr(155) || '31m' || chr(8238)"
"""SQL for text that sets a terminal's title, makes what follows red, and turns it around."""


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def viewer(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Viewer]:
    """A console that takes standard output for a terminal."""
    monkeypatch.setattr(Viewer, "on_terminal", property(lambda self: not self.to_file))
    with jammi_sql.connect(store) as connection:
        viewer = Viewer(connection, io.BytesIO())
        yield viewer
        viewer.close()


def _obeyed(text: str) -> list[str]:
    return [letter for letter in text if letter in "\x1b\x07\x9b\u202e"]


# --- text that a terminal would obey ----------------------------------------------------------------


def test_an_error_sends_nothing_that_a_terminal_obeys(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    for text in (f"SELECT CAST({OBEYED} AS BIGINT)", 'SELECT "a\x1b[31mb\u202e"', 'SELECT 1 FROM "a\x1b[31m"'):
        assert main([store, "-c", text]) == 1
        out, err = capsys.readouterr()
        assert _obeyed(out + err) == [], text
        assert "\\u001b" in err


def test_a_result_and_a_chart_send_nothing_that_a_terminal_obeys(
    viewer: Viewer, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in (
        f'SELECT {OBEYED} AS "a\x1b[31m\u202e", 1 AS "b\x1b[31m", 2 AS "c\x1b[31m"',
        f'SELECT struct({OBEYED}) AS s, 1 AS "b\x1b[31m", 2 AS c',
        "EXPLAIN SELECT 'a\x1b[31mb\u202e' AS a, id FROM (VALUES (1)) AS t(id)",
    ):
        assert viewer.run(Script(text))
        out, err = capsys.readouterr()
        assert _obeyed(out + err) == [], text
        assert out
    viewer.run(Script(f'SELECT 1 AS "x\x1b[31m", {OBEYED} AS y, 2 AS "z\x1b[31m", 3 AS w'))
    capsys.readouterr()
    Commands(viewer).run("\\chart")
    assert _obeyed(capsys.readouterr().out) == []


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "markdown"])
def test_data_for_a_terminal_sends_nothing_that_it_obeys(viewer: Viewer, form: str) -> None:
    out = io.BytesIO()
    viewer._out = out
    viewer.write_as(form)
    assert viewer.run(Script(f"SELECT {OBEYED} AS a, 'é中👍' AS b, 'two\nlines' AS c"))
    shown = out.getvalue().decode()
    assert _obeyed(shown) == []
    assert "\\u001b" in shown and "é中👍" in shown


def test_data_for_a_file_is_what_it_is(viewer: Viewer, tmp_path: Path) -> None:
    viewer.write_to(str(tmp_path / "out"))
    viewer.write_as("csv")
    assert viewer.run(Script(f"SELECT {OBEYED} AS a"))
    viewer.close()
    assert "\x1b]0;title\x07" in (tmp_path / "out").read_text()


def test_a_character_may_come_in_two_writes() -> None:
    out = io.BytesIO()
    screen = Harmless(out)
    for byte in "é\x9b中\n".encode():
        screen.write(bytes([byte]))
    assert out.getvalue().decode() == "é\\u009b中\n"


# --- what is pasted ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1;", ["SELECT 1;"]),
        ("\\timing on\nSELECT 1;\nSELECT 2;", ["\\timing on", "SELECT 1;\nSELECT 2;"]),
        ("SELECT 1;\n  \\chart bar\n\\q\n", ["SELECT 1;", "  \\chart bar", "\\q"]),
        ("SELECT '\n\\d';", ["SELECT '\n\\d';"]),
        ("SELECT\n\\d", ["SELECT\n\\d"]),
        ("\n \n", []),
    ],
)
def test_commands_among_statements_are_lines(text: str, expected: list[str]) -> None:
    assert list(parts(text)) == expected


def test_what_was_pasted_is_complete_when_its_last_part_is() -> None:
    assert is_complete("\\timing on\nSELECT 1;")
    assert not is_complete("\\timing on\nSELECT 1")
    assert is_complete("\\timing on")


def test_the_rest_of_what_was_pasted_is_not_run_after_an_error(
    store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(
        ["\\timing off\nSELECT nope;\n\\limit 7\nSELECT 1 AS a;", "\\limit\nSELECT 2 AS b;\n\\q\nSELECT 3 AS c;"]
    )
    monkeypatch.setattr("builtins.input", lambda prompt="": next(typed))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main([store]) == 0
    out, err = capsys.readouterr()
    assert out == "b\n-\n2\n"
    assert "timing is off" in err and "1,000 rows are shown" in err


def test_columns_with_spaces_are_drawn(viewer: Viewer, capsys: pytest.CaptureFixture[str]) -> None:
    assert viewer.run(Script('SELECT \'x\' AS "my col", 5 AS "n ""um", 6 AS c'))
    capsys.readouterr()
    Commands(viewer).run('\\chart bar "my col" "n ""um"')
    assert 'n "um by my col' in capsys.readouterr().out


# --- files and surroundings ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["\\i ~nobody-of-that-name/x.sql", "\\o ~nobody-of-that-name/x.csv"])
def test_the_home_of_nobody_is_no_file(viewer: Viewer, capsys: pytest.CaptureFixture[str], command: str) -> None:
    Commands(viewer).run(command)
    assert "there is no such home" in capsys.readouterr().err


def test_a_user_without_a_home_has_no_history(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAMMI_SQL_HISTORY", "~nobody-of-that-name/history")
    assert isinstance(_history(), InMemoryHistory)
    assert "no home" in capsys.readouterr().err


def test_a_pager_that_is_no_command_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "less 'of an open quote")
    assert pager.command() == []


def test_a_reader_that_has_seen_enough_of_a_parquet_file_is_no_error(store: str) -> None:
    rows = "SELECT value, md5(CAST(value AS VARCHAR)) FROM generate_series(1, 300000)"
    arguments = [*COMMAND, store, "--format", "parquet", "-c", rows]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.read(4) == b"PAR1"
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 0


def test_ctrl_c_ends_a_script_wherever_it_strikes(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here where a connection to the store was about to be given back: without it the store could not be closed."""
    with jammi_sql.connect(store) as connection:
        connection.execute("CREATE TOPIC t (id BIGINT)")
    struck: list[object] = []

    def strikes(self: ConnectionPool[Any], connection: object) -> None:
        if threading.current_thread() is not threading.main_thread():  # those that keep the store hear of no Ctrl-C
            return give_back(self, connection)
        monkeypatch.undo()
        struck.append(type(connection))
        raise KeyboardInterrupt

    def runs(self: Runner, script: Script) -> bool:
        monkeypatch.setattr(ConnectionPool, "give_back", strikes)
        return run(self, script)

    run, give_back = Runner.run, ConnectionPool.give_back
    monkeypatch.setattr(Runner, "run", runs)
    assert main([store, "-c", "SELECT * FROM t"]) == 130
    assert len(struck) == 1


@pytest.mark.parametrize("command", ["doctor", "compact"])
def test_a_reader_that_is_gone_is_no_error_of_other_commands(store: str, command: str) -> None:
    with jammi_sql.connect(store) as connection:
        connection.execute("CREATE TOPIC t (id BIGINT)")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        child = subprocess.run([*COMMAND, command, store], check=False, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (child.returncode, child.stderr) == (0, b"")


# --- more rows than are kept ------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a result only some 20 rows are kept."""
    monkeypatch.setattr(viewing, "_ROWS_KEPT", 20)


def _numbers(out: str) -> list[int]:
    return [int(line) for line in out.splitlines()[3:]]


@pytest.mark.usefixtures("few")
def test_all_rows_are_shown_where_there_is_no_limit(viewer: Viewer, capsys: pytest.CaptureFixture[str]) -> None:
    viewer.connection.execute("SET jammi.batch_size = 7")
    viewer.limit = None
    assert viewer.run(Script("SELECT value FROM generate_series(1, 100)"))
    out, err = capsys.readouterr()
    assert sorted(_numbers(out)) == list(range(1, 101))
    assert err == "(100 rows)\n"
    assert viewer.last is not None and 20 <= viewer.last.num_rows < 100


@pytest.mark.usefixtures("few")
def test_a_limit_above_what_is_kept_is_one(viewer: Viewer, capsys: pytest.CaptureFixture[str]) -> None:
    viewer.connection.execute("SET jammi.batch_size = 7")
    viewer.limit = 50
    assert viewer.run(Script("SELECT value FROM generate_series(1, 100) ORDER BY value"))
    out, err = capsys.readouterr()
    assert _numbers(out) == list(range(1, 51))
    assert err == "(the first 50 rows shown, there are more; \\limit shows more)\n"
    assert viewer.run(Script("SELECT value FROM generate_series(1, 50) ORDER BY value"))
    out, err = capsys.readouterr()
    assert _numbers(out) == list(range(1, 51))
    assert err == "(50 rows)\n"


@pytest.mark.usefixtures("few")
def test_what_is_not_kept_goes_through_the_pager_too(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer.connection.execute("SET jammi.batch_size = 7")
    viewer.limit = None
    paged: list[str | None] = []
    monkeypatch.setattr(viewer, "pages", lambda lines: lines >= 20)
    monkeypatch.setattr(pager, "page", paged.extend)
    assert viewer.run(Script("SELECT value FROM generate_series(1, 100) ORDER BY value"))
    lines = [line for line in paged if line is not None]
    assert [int(line) for line in lines[3:-1]] == list(range(1, 101))
    assert lines[-1] == "(100 rows)"


def test_a_pager_that_is_left_ends_what_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", f"{sys.executable} -c pass")
    endless: Callable[..., Any] = lambda: None  # noqa: E731 - it never has a line
    pager.page(iter(endless, "a line"))


# --- others on the same server ------------------------------------------------------------------------


def test_the_lag_of_a_live_result_is_its_own(store: str) -> None:
    with jammi_sql.Engine.open(store) as engine, engine.session() as one, engine.session() as other:
        one.execute("CREATE TOPIC t (id BIGINT)")
        slow = other.execute("SELECT id FROM subscribe('t')")
        quick = one.execute("SELECT id FROM subscribe('t')")
        for number in range(3):
            one.execute("INSERT INTO t VALUES (?)", (number,))
            assert quick.fetchone() == (number,)
        until(lambda: LiveView(other, pa.schema([])).behind() == 3, "three batches that were not read")
        assert LiveView(one, pa.schema([])).behind() == 0
        slow.close()
        quick.close()
