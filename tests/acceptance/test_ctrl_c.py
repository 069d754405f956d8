"""Ctrl-C in the thread that runs a statement: it ends it, wherever it comes, and the connection goes on."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql import errors, faults
from jammi_sql.adbc.pool import ConnectionPool
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


WRITES: dict[str, Callable[[Connection, pa.RecordBatchReader], object]] = {
    "ingest into a table": lambda conn, rows: conn.cursor().adbc_ingest("t", rows, "append"),
    "ingest into a topic": lambda conn, rows: conn.cursor().adbc_ingest("e", rows, "append"),
    "ingest into a new table": lambda conn, rows: conn.cursor().adbc_ingest("fresh", rows, "create"),
    "ingest into memory": lambda conn, rows: conn.cursor().adbc_ingest("fresh", rows, "create", temporary=True),
    "many into a table": lambda conn, rows: conn.cursor().executemany("INSERT INTO t VALUES (?)", rows),
    "many into a topic": lambda conn, rows: conn.cursor().executemany("INSERT INTO e VALUES (?)", rows),
    "many into memory": lambda conn, rows: conn.cursor().executemany("INSERT INTO own VALUES (?)", rows),
    "many by key": lambda conn, rows: conn.cursor().executemany("UPDATE k SET b = 2 WHERE a = ?", rows),
    "many one by one": lambda conn, rows: conn.cursor().executemany("INSERT INTO t SELECT ?", rows),
}
HALF = 3  # rows of each of the two batches that are written


def batches(between: Callable[[], None] = lambda: None) -> pa.RecordBatchReader:
    """Two batches of the numbers from 10 on; ``between`` is called after the first."""

    def each() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"a": range(10, 10 + HALF)})
        between()
        yield pa.RecordBatch.from_pydict({"a": range(20, 20 + HALF)})

    return pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), each())


def written(conn: Connection) -> int:
    """How many rows a write has changed or added, to all there is."""
    made = conn.execute("SELECT count(*) FROM information_schema.tables WHERE table_name = 'fresh'").fetchone()
    fresh = " UNION ALL SELECT a FROM fresh" if made != (0,) else ""
    text = f"SELECT a FROM t UNION ALL SELECT a FROM e UNION ALL SELECT a FROM own{fresh}"
    return len(values(conn, f"SELECT a FROM ({text}) WHERE a >= 10 UNION ALL SELECT a FROM k WHERE b = 2"))


@pytest.fixture
def writing(conn: Connection) -> Connection:
    conn.execute("CREATE TABLE k (a BIGINT PRIMARY KEY, b BIGINT)")
    conn.execute("INSERT INTO k VALUES (10, 1), (11, 1), (12, 1), (20, 1), (21, 1), (22, 1)")
    conn.execute("CREATE TEMP TABLE own AS SELECT 1 AS a")
    return conn


@pytest.mark.parametrize("write", WRITES)
def test_it_ends_a_wait_for_rows_that_a_program_gives(writing: Connection, write: str) -> None:
    def wait() -> None:
        signal.raise_signal(signal.SIGINT)
        waited.append("on")

    waited: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        WRITES[write](writing, batches(wait))
    assert waited == []
    assert written(writing) == 0
    WRITES[write](writing, batches())
    assert written(writing) == 2 * HALF


POINTS = ["store.after_begin", "store.before_commit", "store.after_commit", "table.after_insert", "table.after_update"]
POINTS += ["publish.after_insert", "publish.before_hand_over", "publish.after_hand_over"]


@pytest.mark.parametrize("write", WRITES)
def test_while_rows_are_written_it_leaves_all_of_them_or_none_and_is_not_lost(writing: Connection, write: str) -> None:
    met = []
    for point in POINTS:
        before = written(writing)
        came = []

        def strike(came: list[None] = came) -> None:
            if not came:
                came.append(None)
                signal.raise_signal(signal.SIGINT)

        try:
            with faults.armed(point, strike):
                WRITES[write](writing, batches())
        except KeyboardInterrupt:
            met.append(point)
        except errors.DuplicateObject:  # it is there since it struck after the commit
            assert written(writing) == before
            continue
        assert bool(came) == (point in met), point
        assert written(writing) - before in (0, 2 * HALF), point
    in_memory = write.endswith("memory")
    assert bool(met) != in_memory


@contextmanager
def asked_once(monkeypatch: pytest.MonkeyPatch, what: str) -> Iterator[None]:
    """Within, Ctrl-C comes the first time that DataFusion asks for a relation's name or its columns."""
    came = []

    def once(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            if not came:
                came.append(what)
                signal.raise_signal(signal.SIGINT)
            return call(*arguments)

        return called

    with monkeypatch.context() as patch:
        if what == "a name":
            patch.setattr(JammiSchema, "table", once(JammiSchema.table))
        else:
            patch.setattr(LazyDataset, "schema", property(once(LazyDataset.schema.fget)))
        yield
    assert came == [what]


@pytest.mark.parametrize("what", ["a name", "columns"])
@pytest.mark.parametrize("write", ["many into a table", "many into a topic", "many into memory", "many one by one"])
def test_while_many_rows_are_planned_it_is_not_lost(
    writing: Connection, write: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asked_once(monkeypatch, what), pytest.raises(KeyboardInterrupt):
        WRITES[write](writing, batches())
    assert written(writing) in (0, 2 * HALF)


LOOKS: dict[str, Callable[[Connection], object]] = {
    "the columns of a table": lambda conn: conn.adbc_get_table_schema("t"),
    "the columns of a query": lambda conn: conn.cursor().adbc_execute_schema("SELECT a FROM t"),
    "the parameters of a query": lambda conn: conn.cursor().adbc_prepare("SELECT a FROM t WHERE a = ?"),
    "all there is": lambda conn: conn.adbc_get_objects().read_all(),
}


@pytest.mark.parametrize("what", ["a name", "columns"])
@pytest.mark.parametrize("look", LOOKS)
def test_while_something_is_looked_at_it_is_not_lost(
    conn: Connection, look: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.execute("CREATE VIEW v AS SELECT a FROM t")
    with asked_once(monkeypatch, what), pytest.raises(KeyboardInterrupt):
        LOOKS[look](conn)
    assert LOOKS[look](conn) is not None
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
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "conn.close()\n"
        "print(came)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    assert subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT * 3).stdout == "100\n"


def test_a_store_closes_at_once_wherever_it_struck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here where a connection to the store was about to be given back, which the traceback keeps."""
    give_back = ConnectionPool.give_back

    def strikes(self: ConnectionPool[Any], connection: Any) -> None:
        if threading.current_thread() is not threading.main_thread():  # those that keep the store hear of no Ctrl-C
            return give_back(self, connection)
        monkeypatch.undo()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), jammi_sql.connect(tmp_path / "store") as connection:
        connection.execute("CREATE TOPIC t (a BIGINT)")
        monkeypatch.setattr(ConnectionPool, "give_back", strikes)
        connection.execute("SELECT a FROM t").fetchall()
    assert connection.closed
