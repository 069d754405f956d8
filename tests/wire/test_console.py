"""The console on a server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jammi_sql.console.catalogue import Catalogue
from jammi_sql.console.main import main
from jammi_sql.dbapi import Connection
from tests.acceptance.terminal import Terminal
from tests.acceptance.test_console_terminal import READING
from tests.targets import StoreTarget

Console = Callable[..., tuple[int, str, str]]


@pytest.fixture
def console(wire_target: StoreTarget, capsysbinary: pytest.CaptureFixture[bytes]) -> Console:
    """Runs the console on a server; gives exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([wire_target.target, *arguments])
        captured = capsysbinary.readouterr()
        return code, captured.out.decode(), captured.err.decode()

    return run


def test_statements_and_scripts(console: Console, tmp_path: Path) -> None:
    (tmp_path / "s.sql").write_text("BEGIN; INSERT INTO t VALUES (1), (2); COMMIT;")
    script = str(tmp_path / "s.sql")
    code, out, err = console("-c", "CREATE TOPIC t (a INT)", "-f", script, "-c", "SELECT a FROM t", "--format", "csv")
    assert (code, out.split()) == (0, ["a", "1", "2"]), err


def test_errors_point_to_their_place(console: Console) -> None:
    code, out, err = console("-c", "SELECT nope FROM jammi.system.topics")
    assert (code, out) == (1, "") and "42703" in err and "^" in err


def test_a_live_result_ends_where_it_is_told_to(console: Console) -> None:
    code, out, err = console(
        "-c", "CREATE TOPIC t (a INT)", "-c", "INSERT INTO t VALUES (7)", "-c", "SELECT a FROM subscribe('t', from => 0) LIMIT 1",
        "--format", "jsonl",
    )  # fmt: skip
    assert (code, out) == (0, '{"a":7}\n'), err


def test_what_was_left_open_is_said(console: Console) -> None:
    code, _, err = console("-c", "BEGIN")
    assert code == 1 and "left open" in err


def test_no_server_is_an_error_and_no_traceback(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["grpc://127.0.0.1:1", "-c", "SELECT 1"]) == 1
    err = capsysbinary.readouterr().err.decode()
    assert "08001" in err and "Traceback" not in err


def test_completion_knows_what_the_server_has(conn: Connection) -> None:
    conn.execute("CREATE TOPIC events (name VARCHAR)")
    catalogue = Catalogue(conn)
    assert catalogue.topics() == ["events"] and "name" in catalogue.columns("events")
    assert "events" in catalogue.relations("jammi", "public") and "subscribe" in catalogue.functions()


def test_a_long_statement_of_the_server_says_how_far_it_is_and_ctrl_c_ends_it(wire_target: StoreTarget) -> None:
    text = "SELECT count(*) FROM generate_series(1, 1000000000000) AS t(x)"
    with Terminal(wire_target.target, "-c", text) as terminal:
        terminal.wait(lambda lines: bool(lines) and re.fullmatch(READING, lines[-1]) is not None, "how far it is")
        terminal.type("\x03")
        assert terminal.ended() == 130
        assert not any("running" in line for line in terminal.lines)
