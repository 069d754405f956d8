"""Segments as a new user meets them, and many processes on one folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars
import pytest

import jammi_sql
from jammi_sql import errors
from jammi_sql.console.main import main
from jammi_sql.dbapi import Connection

from .language import fails, rows, value, values

TENANT = "01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def conn(store: str) -> Iterator[Connection]:
    with jammi_sql.connect(store, compaction=False) as connection:
        yield connection


def readings(conn: Connection) -> None:
    conn.execute("CREATE TOPIC readings (sensor INT, value DOUBLE, note VARCHAR)")
    conn.execute("INSERT INTO readings SELECT value, value * 0.5, 'n' || value FROM generate_series(1, 1000)")


def test_call_compact_moves_a_topic_and_statements_see_no_difference(conn: Connection) -> None:
    readings(conn)
    assert rows(conn, "CALL jammi.compact('readings')") == [("readings", 1, 1000)]
    conn.execute("INSERT INTO readings VALUES (7, 1.5, 'new')")
    assert value(conn, "SELECT count(*) FROM readings") == 1001
    assert rows(conn, "SELECT _offset, value FROM readings WHERE sensor = 7 ORDER BY 1") == [(0, 3.5), (1, 1.5)]
    assert values(
        conn, "SELECT sensor FROM subscribe('readings', from => 'earliest', until => 'latest') WHERE note = 'new'"
    ) == [7]
    table = conn.execute("CALL jammi.compact()").fetch_arrow_table()
    assert table.schema.names == ["topic", "segments", "rows"]
    assert table.to_pylist() == [{"topic": "readings", "segments": 1, "rows": 1}]


def test_the_folder_of_a_topic_is_a_data_set_for_other_engines(conn: Connection) -> None:
    readings(conn)
    conn.execute("CALL jammi.compact('readings')")
    conn.execute("ALTER TOPIC readings ADD COLUMN day DATE")
    conn.execute("INSERT INTO readings VALUES (7, 'NaN', NULL, '2024-02-29')")
    (path,) = values(conn, "SELECT path FROM jammi.system.segments WHERE topic = 'readings'")
    assert os.path.getsize(path) == value(conn, "SELECT bytes FROM jammi.system.segments")
    conn.execute("CALL jammi.compact('readings')")
    found = os.path.join(os.path.dirname(path), "*.parquet")
    scan = f"read_parquet('{found}', union_by_name=true)"
    assert duckdb.sql(f"SELECT count(*), count(day), max(sensor) FROM {scan}").fetchall() == [(1001, 1, 1000)]
    columns = ["_offset", "_row_idx", "_produced_at", "_tenant_id", "sensor", "value", "note"]
    frame = polars.read_parquet(path)
    assert frame.columns == columns
    ours = rows(conn, f"SELECT {', '.join(columns)} FROM readings WHERE _offset = 0 ORDER BY _row_idx")
    assert frame.rows() == ours
    assert duckdb.sql(f"SELECT note FROM {scan} WHERE sensor = 500").fetchall() == [("n500",)]


def test_segments_are_listed_with_what_they_hold(conn: Connection) -> None:
    readings(conn)
    assert rows(conn, "SELECT * FROM jammi.system.segments") == []
    before = rows(conn, "SELECT first_offset, next_offset, rows FROM jammi.system.topics")
    conn.execute("CALL jammi.compact('readings')")
    moment = value(conn, "SELECT max(_produced_at) FROM readings")
    assert rows(
        conn,
        "SELECT schema, topic, first_offset, last_offset, rows, produced_from, produced_until FROM jammi.system.segments",
    ) == [("public", "readings", 0, 0, 1000, moment, moment)]
    assert rows(conn, "SELECT first_offset, next_offset, rows FROM jammi.system.topics") == before


def test_a_sealed_stretch_is_moved_in_the_background(store: str) -> None:
    with jammi_sql.connect(store, segment_rows=100) as conn:
        conn.execute("CREATE TOPIC t (a INT)")
        conn.execute("INSERT INTO t SELECT value FROM range(150)")
        limit = time.monotonic() + 60
        while not rows(conn, "SELECT * FROM jammi.system.segments"):
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert value(conn, "SELECT sum(a) FROM t") == 150 * 149 // 2


# --- errors of CALL ---


@pytest.mark.parametrize(
    ("statement", "state", "at"),
    [
        ("CALL jammi.compact('nowhere')", "42P01", 19),
        ("CALL jammi.compact(1)", "22023", 19),
        ("CALL jammi.compact(NULL)", "22023", 19),
        ("CALL jammi.compact('')", "22023", 19),
        ("CALL jammi.compact('a b')", "22023", 19),
        ("CALL jammi.compact('a', 'b')", "42883", 24),
        ("CALL jammi.compress('a')", "42883", 5),
        ("CALL compact('a')", "42883", 5),
        ("CALL jammi.compact", "42601", 18),
        ("CALL jammi.compact('a') x", "42601", 24),
        ("CALL jammi.compact(x)", "42703", 19),
        ("CALL jammi.compact('tab')", "42P01", 19),
    ],
)
def test_a_call_that_cannot_be_made_says_where_and_what_to_do(
    conn: Connection, statement: str, state: str, at: int
) -> None:
    conn.execute("CREATE TOPIC a (x INT)")
    conn.execute("CREATE TABLE tab (x INT)")
    with fails(state, errors.Error, at=at):
        conn.execute(statement)


def test_a_call_takes_a_parameter_a_quoted_name_and_an_expression(conn: Connection) -> None:
    conn.execute("CREATE SCHEMA n")
    conn.execute('CREATE TOPIC n."Odd.Name" (x INT)')
    conn.execute('INSERT INTO n."Odd.Name" VALUES (1)')
    assert rows(conn, "CALL jammi.compact(?)", ['n."Odd.Name"']) == [('n."Odd.Name"', 1, 1)]
    assert rows(conn, "CALL jammi.compact('n.' || '\"Odd.Name\"')") == [('n."Odd.Name"', 0, 0)]
    with fails("42P01", errors.Error, says="odd.name"):
        conn.execute("CALL jammi.compact('odd.name')")


def test_a_call_is_no_part_of_a_transaction(conn: Connection) -> None:
    conn.execute("CREATE TOPIC a (x INT)")
    conn.execute("BEGIN")
    with fails("25001", at=5):
        conn.execute("CALL jammi.compact('a')")
    conn.execute("ROLLBACK")
    conn.execute("CALL jammi.compact('a')")


def test_a_tenant_compacts_its_own_topics_alone(conn: Connection) -> None:
    conn.execute("CREATE TOPIC a (x INT)")
    with conn.engine.session(TENANT) as tenant:
        tenant.execute("INSERT INTO a VALUES (1)")
        with fails("42501", errors.Error):
            tenant.execute("CALL jammi.compact('a')")
        tenant.execute("CREATE TOPIC own (x INT)")
        tenant.execute("INSERT INTO own VALUES (1)")
        assert rows(tenant, "CALL jammi.compact()") == [("own", 1, 1)]
    assert rows(conn, "CALL jammi.compact()") == [("a", 1, 1)]
    assert rows(conn, "SELECT topic, rows FROM jammi.system.segments") == []  # the rows are the tenant's


# --- the shell's command ---


def test_the_command_compacts_all_topics_or_those_named(store: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    with jammi_sql.connect(store, compaction=False) as conn:
        for name in ("a", "b"):
            conn.execute(f"CREATE TOPIC {name} (x INT)")
            conn.execute(f"INSERT INTO {name} VALUES (1)")
    for arguments, expected in (
        (["b"], [("b", 1, 1)]),
        ([], [("a", 1, 1), ("b", 0, 0)]),
        (["a", "b"], [("a", 0, 0), ("b", 0, 0)]),
    ):
        assert main(["compact", store, "--format", "jsonl", *arguments]) == 0
        lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
        assert [(one["topic"], one["segments"], one["rows"]) for one in lines] == expected


@pytest.mark.parametrize("arguments", [["nowhere"], ["a b"], ["--tenant", "no uuid"]])
def test_the_command_says_what_is_wrong_and_fails(
    store: str, capsysbinary: pytest.CaptureFixture[bytes], arguments: list[str]
) -> None:
    jammi_sql.connect(store).close()
    assert main(["compact", store, *arguments]) == 1
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    assert b"hint" in captured.err


def test_the_command_makes_no_store(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["compact", str(tmp_path / "none")]) == 1
    assert b"no store" in capsysbinary.readouterr().err
    assert list(tmp_path.iterdir()) == []


# --- many processes ---

PUBLISH = """
import sys
import jammi_sql
with jammi_sql.connect(sys.argv[1], compaction=False) as conn:
    for number in range(int(sys.argv[3])):
        conn.execute("INSERT INTO t VALUES (?, ?), (?, ?)", [sys.argv[2], number, sys.argv[2], -number])
"""
COMPACT = """
import sys
import jammi_sql
with jammi_sql.connect(sys.argv[1], segment_rows=50, segment_grace=0, compaction=False) as conn:
    import threading
    kept, stopped = conn.engine.services.segments, threading.Event()
    while conn.execute("SELECT count(*) FROM t").fetchone()[0] < int(sys.argv[2]):
        kept.compactor.round(stopped)
        kept.sweeper.round(stopped)
    conn.execute("CALL jammi.compact('t')")
"""
SUBSCRIBE = """
import sys
import jammi_sql
with jammi_sql.connect(sys.argv[1], compaction=False) as conn:
    cursor = conn.execute("SELECT _offset, who, n FROM subscribe('t', from => 'earliest')")
    for _ in range(int(sys.argv[2])):
        print(*cursor.fetchone(), flush=True)
    cursor.close()
"""


def start(script: str, *arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_publish_compact_and_subscribe_on_one_folder_see_each_batch_once(store: str) -> None:
    each = 60
    with jammi_sql.connect(store, compaction=False) as conn:
        conn.execute("CREATE TOPIC t (who VARCHAR, n INT)")
        processes = [start(PUBLISH, store, who, each) for who in "ab"]
        others = [start(SUBSCRIBE, store, 4 * each) for _ in range(2)] + [start(COMPACT, store, 4 * each)]
        try:
            for process in processes:
                process.communicate(timeout=100)
                assert process.returncode == 0
            outputs = [process.communicate(timeout=100)[0] for process in others]
            assert [process.returncode for process in others] == [0, 0, 0]
        finally:
            for process in processes + others:
                process.kill()
        log = [tuple(row) for row in rows(conn, "SELECT _offset, who, n FROM t ORDER BY _offset, _row_idx")]
        assert [offset for offset, _, _ in log] == [offset for offset in range(2 * each) for _ in range(2)]
        for who in "ab":
            mine = [n for _, owner, n in log if owner == who]
            assert mine == [n for number in range(each) for n in (number, -number)]
        for output in outputs[:2]:
            seen = [line.split() for line in output.splitlines()]
            assert [(int(offset), who, int(n)) for offset, who, n in seen] == log
        assert values(conn, "SELECT sum(rows) FROM jammi.system.segments") == [4 * each]


def test_a_compaction_opens_no_transaction_of_its_own(tmp_path: Path) -> None:
    with jammi_sql.connect(tmp_path / "store", autocommit=False, compaction=False) as connection:
        connection.execute("CREATE TOPIC t (i INT)")
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(errors.ProgrammingError) as raised:
            connection.execute("CALL jammi.compact('t')")
        assert raised.value.sqlstate == "25001"
        connection.commit()
        assert connection.execute("CALL jammi.compact('t')").fetchall() == [("t", 1, 1)]
        assert not connection.in_transaction


def test_a_value_that_speaks_of_files_is_no_damage(conn: Connection) -> None:
    conn.execute("CREATE TOPIC files (name VARCHAR)")
    conn.execute("INSERT INTO files VALUES ('Object Store error: data.parquet, Parquet error: no object at location')")
    for _ in range(2):
        with fails("22P02", errors.DataError, says="cannot cast"):
            rows(conn, "SELECT CAST(name AS BIGINT) FROM files")
        conn.execute("CALL jammi.compact('files')")
