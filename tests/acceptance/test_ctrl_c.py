"""Ctrl-C in the thread that runs a statement: it ends it, wherever it comes, and the connection goes on."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import jammi_sql
from jammi_sql.arrow.dataset import LazyDataset
from jammi_sql.dbapi import Connection
from jammi_sql.engine.catalog_provider import JammiSchema
from tests.acceptance.language import LIMIT, until, values

ENDLESS = "generate_series(1, 100000000000)"


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[Connection]:
    with jammi_sql.connect(tmp_path / "store") as conn:
        conn.execute("CREATE TABLE t (a BIGINT)")
        conn.execute("CREATE TOPIC e (a BIGINT)")
        conn.execute("INSERT INTO t VALUES (1)")
        conn.execute("INSERT INTO e VALUES (1)")
        yield conn


def interrupting(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call``, in whose beginning Ctrl-C comes."""

    def called(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return call(*arguments)

    return called


@pytest.mark.parametrize("relation", ["t", "e"])
def test_it_is_not_lost_while_datafusion_asks_for_a_name(
    conn: Connection, relation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(JammiSchema, "table", interrupting(JammiSchema.table))
        with pytest.raises(KeyboardInterrupt):
            conn.execute(f"SELECT count(*) FROM {relation}, {ENDLESS}").fetchall()
    assert values(conn, f"SELECT a FROM {relation}") == [1]


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT count(*) FROM e, {ENDLESS}",
        f"INSERT INTO t SELECT count(*) FROM e, {ENDLESS}",
        "UPDATE t SET a = 2",
        "SELECT a FROM subscribe('e')",
        "CREATE VIEW v AS SELECT a FROM e",
    ],
)
def test_it_makes_no_panic_where_datafusion_asks_for_columns(
    conn: Connection, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = LazyDataset.schema
    with monkeypatch.context() as patch:
        patch.setattr(LazyDataset, "schema", property(interrupting(asked.fget)))
        with pytest.raises(KeyboardInterrupt):
            conn.execute(text).fetchall()
    assert values(conn, "SELECT a FROM t") in ([1], [2])
    assert values(conn, "SELECT a FROM e") == [1]


def test_it_ends_a_wait_for_rows_at_once(conn: Connection) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def come() -> None:
        until(lambda: conn.progress().rows > 0)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=come)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        conn.execute(f"INSERT INTO t SELECT value FROM {ENDLESS} WHERE value < 0")
    thread.join(LIMIT)
    assert values(conn, "SELECT a FROM t") == [1]


def test_it_ends_a_wait_for_what_a_person_types(conn: Connection) -> None:
    class Typed(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("nobody waits any more")

    with pytest.raises(KeyboardInterrupt):
        conn.execute("COPY t FROM stdin (FORMAT csv)", stdin=Typed())
    assert values(conn, "SELECT a FROM t") == [1]


def test_at_any_moment_it_ends_the_statement_and_nothing_else(tmp_path: Path) -> None:
    # Again after a while, as a person would press it: what comes at the first line of a __del__ Python itself loses.
    program = (
        "import random, signal, sys, jammi_sql\n"
        "wanted = False\n"
        "def interrupt(*_):\n"
        "    if wanted:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "signal.signal(signal.SIGALRM, interrupt)\n"
        "conn = jammi_sql.connect(sys.argv[1])\n"
        "conn.execute('CREATE TABLE t (a BIGINT)')\n"
        "conn.execute('CREATE TOPIC e (a BIGINT)')\n"
        "chance = random.Random(1)\n"
        "came = 0\n"
        "for _ in range(100):\n"
        "    try:\n"
        "        wanted = True\n"
        "        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0002, 0.01), 20)\n"
        f"        conn.execute('SELECT count(*) FROM t, e, {ENDLESS}')\n"
        f"        conn.execute('INSERT INTO e SELECT value FROM {ENDLESS}')\n"
        "    except KeyboardInterrupt:\n"
        "        wanted = False\n"
        "        signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "        came += 1\n"
        "    assert conn.execute('SELECT count(*) FROM e').fetchall() == [(0,)]\n"
        "conn.close()\n"
        "print(came)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    assert subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT * 3).stdout == "100\n"
