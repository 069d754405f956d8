"""Tables in stores that fill up, are read-only, fail half-way, are copied while they change, or were damaged."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jammi_sql import Engine, faults
from jammi_sql.errors import DataCorrupted, DiskFull, Error, FailedTransaction, OperationalError, ReadOnlyStore
from tests.topic_support import until


def rows(session: Any, text: str = "SELECT k, s FROM t ORDER BY k") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.execute(text).fetchall()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a table of a thousand rows, another one, and a topic."""
    with Engine.open(tmp_path / "store") as engine:
        session = engine.session()
        session.execute("CREATE TABLE t (k BIGINT, s VARCHAR, PRIMARY KEY (k))")
        session.execute("INSERT INTO t SELECT value, 'x' FROM generate_series(0, 999)")
        session.execute("CREATE TABLE sound (k BIGINT, d DECIMAL(30, 2), f DOUBLE, u BIGINT UNSIGNED, b BOOLEAN)")
        session.execute("INSERT INTO sound VALUES (1, 1.5, 1.5, 1, true), (2, 2.5, 'NaN', 2, false)")
        session.execute("CREATE TOPIC ev (n BIGINT)")
    return tmp_path / "store"


GROWING = {
    "INSERT": "INSERT INTO t SELECT value + 1000, repeat('y', 100) FROM generate_series(0, 49999)",
    "INSERT of what is there": "INSERT INTO t SELECT k + 1000, repeat(s, 3000) FROM t",
    "ON CONFLICT": "INSERT INTO t SELECT k, repeat(s, 3000) FROM t ON CONFLICT (k) DO UPDATE SET s = excluded.s",
    "UPDATE": "UPDATE t SET s = repeat(s, 3000)",
    "UPDATE RETURNING": "UPDATE t SET s = repeat(s, 3000), k = k + 1 RETURNING k",
    "MERGE": "MERGE INTO t USING (SELECT value AS k FROM generate_series(500, 1499)) AS s ON t.k = s.k "
    "WHEN MATCHED THEN UPDATE SET s = repeat('z', 3000) WHEN NOT MATCHED THEN INSERT VALUES (s.k, repeat('z', 3000))",
    "ALTER": "ALTER TABLE t ADD COLUMN more VARCHAR DEFAULT repeat('y', 3000)",
    "CREATE TABLE AS": "CREATE TABLE new AS SELECT k, repeat(s, 3000) AS s FROM t",
}


@pytest.mark.parametrize("statement", GROWING.values(), ids=GROWING)
def test_a_statement_that_fills_the_disk_is_refused_undone_and_the_store_goes_on(folder: Path, statement: str) -> None:
    with Engine.open(folder, max_bytes=1_000_000) as engine:
        session = engine.session()
        before = rows(session)
        for _ in range(2):
            with pytest.raises(DiskFull) as caught:
                session.execute(statement)
            assert (caught.value.sqlstate, caught.value.hint is not None) == ("53100", True)
            assert rows(session) == before
        session.execute("BEGIN")
        session.execute("INSERT INTO t VALUES (-9999, 'small')")
        session.execute("INSERT INTO ev VALUES (1)")
        with pytest.raises(DiskFull):
            session.execute(statement)
        with pytest.raises(FailedTransaction):
            session.execute("INSERT INTO t VALUES (-2, 'small')")
        session.execute("ROLLBACK")
        assert rows(session) == before
        assert rows(session, "SELECT n FROM ev") == []
        session.execute("INSERT INTO t VALUES (-9999, 'small')")
        assert rows(engine.session()) == [(-9999, "small"), *before]
        assert session.execute("SELECT * FROM t").description[-1][0] == "s"
    with Engine.open(folder) as engine:
        engine.session().execute(statement)


@pytest.mark.parametrize(
    "statement",
    [*GROWING.values(), "DELETE FROM t", "DELETE FROM t WHERE k = 1", "TRUNCATE TABLE t", "DROP TABLE t",
     "CREATE INDEX i ON t (s)", "ALTER TABLE t RENAME TO other", "CREATE TABLE other (k BIGINT)"],
)  # fmt: skip
def test_a_read_only_store_refuses_every_change_and_stays_readable(folder: Path, statement: str) -> None:
    with Engine.open(folder, read_only=True) as engine:
        session = engine.session()
        for begun in (False, True):
            if begun:
                session.execute("BEGIN")
            with pytest.raises(ReadOnlyStore):
                session.execute(statement)
            assert len(rows(session)) == 1000
        session.execute("COMMIT")


HALFWAY = {
    "table.after_insert": GROWING["INSERT"],
    "table.after_update": "UPDATE t SET s = 'changed' RETURNING k",
    "table.after_delete": "DELETE FROM t WHERE k < 500",
    "table.after_version": GROWING["MERGE"],
}


@pytest.mark.parametrize("point", HALFWAY)
def test_a_statement_that_fails_half_way_is_undone_alone(folder: Path, point: str) -> None:
    with Engine.open(folder) as engine:
        session = engine.session()
        before = rows(session)
        with faults.armed(point, "error"), pytest.raises(OperationalError, match=point):
            session.execute(HALFWAY[point])
        assert rows(session) == before == rows(engine.session())
        session.execute("BEGIN")
        session.execute("INSERT INTO t VALUES (-1, 'mine')")
        with faults.armed(point, "error"), pytest.raises(OperationalError, match=point):
            session.execute(HALFWAY[point])
        assert rows(session) == [(-1, "mine"), *before]
        session.execute("COMMIT")
        assert rows(engine.session()) == [(-1, "mine"), *before]


def test_a_row_that_fails_late_undoes_all_before_it(folder: Path) -> None:
    with Engine.open(folder) as engine:
        session = engine.session()
        before = rows(session)
        session.execute("BEGIN")
        session.execute("INSERT INTO t VALUES (-1, 'mine')")
        for statement, state in (
            (
                "INSERT INTO t SELECT CASE WHEN value = 199999 THEN 5 ELSE value + 1000 END, 'y' FROM generate_series(0, 199999)",
                "23505",
            ),
            (
                "INSERT INTO t SELECT CASE WHEN value = 199999 THEN NULL ELSE value + 1000 END, 'y' FROM generate_series(0, 199999)",
                "23502",
            ),
            (
                "INSERT INTO t SELECT value + 1000, CAST(CASE WHEN value = 199999 THEN 'z' ELSE '1' END AS BIGINT)::varchar FROM generate_series(0, 199999)",
                "22P02",
            ),
            ("UPDATE t SET k = CASE WHEN k = 999 THEN 5 ELSE k + 5000 END", None),
            ("UPDATE t SET k = CASE WHEN k >= 998 THEN 5 ELSE k + 5000 END", "23505"),
        ):
            if state is None:
                session.execute("SAVEPOINT p")
                assert session.execute(statement).rowcount == 1001
                session.execute("ROLLBACK TO p")
            else:
                with pytest.raises(Error) as caught:
                    session.execute(statement)
                assert caught.value.sqlstate == state
            assert rows(session) == [(-1, "mine"), *before]
        session.execute("COMMIT")
        assert rows(engine.session()) == [(-1, "mine"), *before]


# --- copies ---


@pytest.mark.parametrize("copies", [2, pytest.param(30, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_tables_and_topics_of_a_copy_agree_while_writing_goes_on(folder: Path, tmp_path: Path, copies: int) -> None:
    stop = threading.Event()
    done = [0, 0]
    with Engine.open(folder, lock_timeout=30) as engine, Engine.open(folder, lock_timeout=30) as another:
        setup = engine.session()
        setup.execute("CREATE TABLE total (id BIGINT, n BIGINT, PRIMARY KEY (id))")
        setup.execute("INSERT INTO total VALUES (0, 0), (1, 0)")

        def write(number: int) -> None:
            session = (engine, another)[number].session()
            while not stop.is_set():
                session.execute("BEGIN")
                session.execute(f"UPDATE total SET n = n + 1 WHERE id = {number}")
                session.execute(f"INSERT INTO ev VALUES ({number})")
                session.execute("UPDATE t SET s = s || 'x' WHERE k < 10")
                session.execute("COMMIT")
                done[number] += 1

        with ThreadPoolExecutor(2) as pool:
            writing = [pool.submit(write, number) for number in range(2)]
            try:
                for number in range(copies):
                    goal = sum(done) + 2
                    until(lambda goal=goal: sum(done) >= goal or any(one.done() for one in writing), "they write")
                    least = list(done)
                    setup.backup(tmp_path / f"copy{number}")
                    check_copy(tmp_path / f"copy{number}", least)
            finally:
                stop.set()
            for one in writing:
                one.result()


def check_copy(folder: Path, least: list[int]) -> None:
    with Engine.open(folder) as engine:
        session = engine.session()
        totals = [row[1] for row in rows(session, "SELECT id, n FROM total ORDER BY id")]
        assert all(total >= one for total, one in zip(totals, least, strict=True))
        events = rows(session, "SELECT _offset, n FROM ev ORDER BY 1")
        assert [event[0] for event in events] == list(range(sum(totals)))
        assert [sum(event[1] == number for event in events) for number in range(2)] == totals
        assert rows(session, "SELECT DISTINCT length(s) FROM t WHERE k < 10") == [(1 + sum(totals),)]
        session.execute("BEGIN")
        session.execute("UPDATE total SET n = n + 1")
        assert session.execute("INSERT INTO ev VALUES (7) RETURNING _offset").fetchone()[0] == sum(totals)
        session.execute("COMMIT")


# --- damage ---

# In a process of its own: a second SQLite library in this one would drop the locks of the first.
EDIT = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1])
(storage,) = file.execute("SELECT storage FROM companion WHERE name = ?", (sys.argv[2],)).fetchone()
changed = file.execute(sys.argv[3].replace("STORAGE", '"' + storage + '"')).rowcount
file.commit()
assert changed == 1, changed
"""


def edit(folder: Path, table: str, statement: str) -> None:
    subprocess.run([sys.executable, "-c", EDIT, str(folder / "jammi.db"), table, statement], check=True, timeout=60)


DAMAGED_ROWS = {
    "the details": "UPDATE companion SET details = '{' WHERE name = 'sound'",
    "a column that is not there": "UPDATE companion SET details = replace(details, '\"k\"', '\"gone\"') WHERE name = 'sound'",
    "the schema": "UPDATE companion SET ipc = x'00' WHERE name = 'sound'",
    "the checksum": "UPDATE companion SET checksum = checksum + 1 WHERE name = 'sound'",
    "the specials": "UPDATE companion SET specials = 'x' WHERE name = 'sound'",
    "the tenant": "UPDATE companion SET tenant = 'nobody' WHERE name = 'sound'",
}


@pytest.mark.parametrize("damage", DAMAGED_ROWS.values(), ids=DAMAGED_ROWS)
def test_a_damaged_row_of_the_catalogue_is_named_and_the_rest_goes_on(folder: Path, damage: str) -> None:
    edit(folder, "sound", damage)
    with Engine.open(folder) as engine:
        session = engine.session()
        for statement in ("SELECT * FROM sound", "UPDATE sound SET k = 1 RETURNING k"):
            with pytest.raises(Error) as caught:
                cursor = session.execute(statement)
                cursor.fetchall()
            assert caught.value.sqlstate in ("XX001", "42P01")
            assert "sound" in str(caught.value)
        assert len(rows(session)) == 1000
        session.execute("UPDATE t SET s = 'y' WHERE k = 1")
        session.execute("INSERT INTO ev VALUES (1)")
        assert rows(session, "SELECT n FROM ev") == [(1,)]


DAMAGED_VALUES = {
    "text for an integer": ("k", "'text'"),
    "a blob for an integer": ("k", "x'00'"),
    "too few bytes for a decimal": ("d", "x'00'"),
    "too many digits for a decimal": ("d", "x'ffffffffffffffffffffffffffffffff'"),
    "text for a double": ("f", "'text'"),
    "no NaN": ("f", "x'0000000000000000'"),
    "too few bytes for a NaN": ("f", "x'7ff8'"),
    "neither true nor false": ("b", "2"),
    "a real for an unsigned integer": ("u", "1.5"),
}


@pytest.mark.parametrize(("column", "value"), DAMAGED_VALUES.values(), ids=DAMAGED_VALUES)
def test_a_damaged_value_is_named_and_the_rest_goes_on(folder: Path, column: str, value: str) -> None:
    edit(folder, "sound", f"UPDATE STORAGE SET {column} = {value} WHERE _id = 1")
    with Engine.open(folder) as engine:
        session = engine.session()
        for _ in range(2):
            for statement in (
                f"SELECT {column} FROM sound",
                "SELECT * FROM sound",
                f"UPDATE sound SET {column} = {column}",
            ):
                with pytest.raises(DataCorrupted) as caught:
                    cursor = session.execute(statement)
                    cursor.fetchall()
                assert caught.value.sqlstate == "XX001"
                assert "sound" in str(caught.value)
        other = "k" if column != "k" else "u"
        assert sorted(rows(session, f"SELECT {other} FROM sound")) == [(1,), (2,)]
        assert len(rows(session)) == 1000
        session.execute("INSERT INTO t VALUES (-9999, 'small')")
        session.execute("DELETE FROM sound")  # which reads no value
        assert rows(session, "SELECT * FROM sound") == []
