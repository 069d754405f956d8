"""A person's statements: Ctrl-C gets away from each, and what was cancelled while it waited never runs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import jammi_sql
from jammi_sql import Connection, Cursor
from jammi_sql.console.interrupting import Statements


@pytest.fixture
def connection() -> Iterator[Connection]:
    with jammi_sql.connect(":memory:") as connection:
        connection.execute("CREATE TOPIC t (x INT)")
        yield connection


@pytest.fixture
def statements(connection: Connection) -> Statements:
    return Statements(connection)


class Held:
    """Holds the engine in a statement, as native code does that hears of nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        plain = Cursor.execute

        def execute(cursor: Cursor, operation: str, parameters: object = None, *, stdin: object = None) -> Cursor:
            if operation == "held":
                self.begun.set()
                assert self.end.wait(60)
                operation = "SELECT 1"
            return plain(cursor, operation, parameters, stdin=stdin)

        monkeypatch.setattr(Cursor, "execute", execute)


def _interrupt_once(condition: Callable[[], bool]) -> None:
    """Ctrl-C as soon as the condition holds, which it must not before the main thread is in ``execute``."""

    def wait() -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def test_a_statement_gives_its_result_or_its_error(statements: Statements) -> None:
    with statements.execute("SELECT 7") as cursor:
        assert cursor.fetchall() == [(7,)]
    with pytest.raises(jammi_sql.ProgrammingError, match="nope"):
        statements.execute("SELECT nope")
    assert not statements.stuck


def test_ctrl_c_leaves_what_cannot_be_ended_and_what_waits_for_it_never_runs(
    statements: Statements, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    _interrupt_once(held.begun.is_set)
    with pytest.raises(KeyboardInterrupt):
        statements.execute("held")
    assert statements.stuck
    assert not statements.in_transaction

    _interrupt_once(lambda: [thread.name for thread in threading.enumerate()].count("jammi-sql statement") == 2)
    with pytest.raises(KeyboardInterrupt):
        statements.execute("INSERT INTO t VALUES (1)")

    held.end.set()
    with statements.execute("SELECT count(*) FROM t") as cursor:
        assert cursor.fetchall() == [(0,)]
    assert not statements.stuck


def test_a_transaction_is_seen(statements: Statements) -> None:
    statements.execute("BEGIN").close()
    assert statements.in_transaction
