"""Connections that threads share, transactions that a switch ends, and data whose source fails; on a real engine."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql.dbapi import Connection
from jammi_sql.errors import (
    BatchSchemaMismatch,
    ConnectionClosed,
    DataError,
    InvalidParameter,
    ProgrammingError,
    QueryCanceled,
)
from jammi_sql.topics import TopicDefinition

A = "00000000-0000-0000-0000-00000000000a"
B = "00000000-0000-0000-0000-00000000000b"


@pytest.fixture
def connection(store_kind: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    wire = store_kind == "wire"
    with request.getfixturevalue("wire_target").connect() if wire else jammi_sql.connect() as connection:
        connection.execute("CREATE TOPIC t (k bigint, s varchar)")
        yield connection


# --- autocommit ---


def test_switching_autocommit_on_commits_what_is_open(tmp_path: Path) -> None:
    with jammi_sql.connect(tmp_path, autocommit=False) as connection:
        connection.execute("CREATE TOPIC t (k bigint)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.autocommit = True
        assert not connection.in_transaction
        connection.execute("INSERT INTO t VALUES (2)")
    with jammi_sql.connect(tmp_path) as connection:
        assert connection.execute("SELECT k FROM t ORDER BY k").fetchall() == [(1,), (2,)]


def test_autocommit_that_is_on_already_leaves_begin_alone(connection: Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("INSERT INTO t VALUES (1, 'a')")
    connection.autocommit = True
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


def test_a_transaction_block_refuses_to_be_ended_by_autocommit(connection: Connection) -> None:
    connection.autocommit = False
    with connection.transaction(), pytest.raises(ProgrammingError, match="inside a transaction"):
        connection.autocommit = True
    assert not connection.autocommit


# --- tenant_scope ---


def test_another_threads_statements_wait_until_a_tenant_scope_ends(connection: Connection) -> None:
    inside, seen = threading.Event(), []

    def other() -> None:
        inside.wait(30)
        seen.append(connection.execute("SELECT current_tenant()").fetchall())

    thread = threading.Thread(target=other)
    thread.start()
    with connection.tenant_scope(A):
        inside.set()
        for _ in range(50):
            assert connection.execute("SELECT current_tenant()").fetchall() == [(A,)]
        assert seen == []
    thread.join(30)
    assert seen == [[(None,)]]


def test_scopes_of_two_threads_do_not_mix_and_leave_the_former_tenant(connection: Connection) -> None:
    wrong: list[object] = []

    def run(tenant: str) -> None:
        for _ in range(30):
            with connection.tenant_scope(tenant):
                found = connection.execute("SELECT current_tenant()").fetchall()
            if found != [(tenant,)]:
                wrong.append(found)

    threads = [threading.Thread(target=run, args=(tenant,)) for tenant in (A, B)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert connection.tenant is None


def test_close_does_not_wait_for_another_threads_tenant_scope(connection: Connection) -> None:
    inside, closed = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def scope() -> None:
        with suppress(ConnectionClosed), connection.tenant_scope(A):
            inside.set()
            closed.wait(30)
            try:
                connection.execute("SELECT 1")
            except ConnectionClosed as error:
                raised.append(error)

    thread = threading.Thread(target=scope)
    thread.start()
    assert inside.wait(30)
    connection.close()
    closed.set()
    thread.join(30)
    assert len(raised) == 1


def test_a_tenant_scope_that_raises_restores_the_tenant_and_lets_others_run(connection: Connection) -> None:
    with pytest.raises(ZeroDivisionError), connection.tenant_scope(A):
        raise ZeroDivisionError
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(connection.execute("SELECT current_tenant()").fetchall()))
    thread.start()
    thread.join(30)
    assert found == [[(None,)]]


# --- cancel ---


def test_cancelling_while_another_thread_opens_results_raises_nothing(connection: Connection) -> None:
    raised: list[BaseException] = []
    interval = sys.getswitchinterval()
    end = time.monotonic() + 60
    results = [connection.execute("SELECT 1") for _ in range(300)]

    def list_results() -> None:
        try:
            for _ in range(400):
                connection._open_results()
        except BaseException as error:
            raised.append(error)

    sys.setswitchinterval(1e-5)
    try:
        thread = threading.Thread(target=list_results)
        thread.start()
        while thread.is_alive() and time.monotonic() < end:
            for result in results:
                with suppress(QueryCanceled):
                    result.execute("SELECT 1")
        thread.join(30)
    finally:
        sys.setswitchinterval(interval)
    assert raised == []


# --- values in and out ---


@pytest.mark.parametrize(
    ("values", "rows"),
    [
        ("($1, $1)", [("7", "7"), ("8", "8")]),
        ("(0, 0, ?)", [("0", "0", "7"), ("0", "0", "8")]),
        ("(?, concat('a', ','), 'x' -- an end\n)", [("7", "a,", "x"), ("8", "a,", "x")]),
        ("(?, (1), (2))", [("7", "1", "2"), ("8", "1", "2")]),
    ],
)
def test_executemany_takes_a_row_whose_values_repeat(
    connection: Connection, values: str, rows: list[tuple[str, ...]]
) -> None:
    names = ["a", "b", "c"][: len(rows[0])]
    connection.execute(f"CREATE TOPIC wide ({', '.join(f'{name} varchar' for name in names)})")
    cursor = connection.cursor()
    cursor.executemany(f"INSERT INTO wide VALUES {values}", [("7",), ("8",)])
    assert cursor.rowcount == 2
    assert connection.execute(f"SELECT {', '.join(names)} FROM wide ORDER BY _row_idx, _offset").fetchall() == rows


def test_an_error_in_one_of_many_values_has_its_place(connection: Connection) -> None:
    text = "INSERT INTO t (k, s) VALUES (?, nosuch)"
    with pytest.raises(jammi_sql.Error) as caught:
        connection.cursor().executemany(text, [(1,)])
    assert caught.value.position == text.index("nosuch")


def test_executemany_takes_lists_beside_none(connection: Connection) -> None:
    connection.execute("CREATE TOPIC lists (x bigint[])")
    connection.cursor().executemany("INSERT INTO lists VALUES (?)", [[[1, 2]], [None], [[]], [[3, None]]])
    assert connection.execute("SELECT x FROM lists").fetchall() == [([1, 2],), (None,), ([],), ([3, None],)]


def test_a_time_zone_that_does_not_exist_is_a_data_error(connection: Connection) -> None:
    cursor = connection.execute("""SELECT arrow_cast(1, 'Timestamp(Second, Some("Foo/Bar"))') AS x""")
    with pytest.raises(DataError, match="Foo/Bar"):
        cursor.fetchall()


# --- sources that fail ---

FIELDS: list[tuple[str, pa.DataType]] = [("k", pa.int64()), ("s", pa.string())]
SCHEMA = pa.schema(FIELDS)


def row(k: int) -> pa.RecordBatch:
    return pa.record_batch({"k": [k], "s": ["a"]}, schema=SCHEMA)


def broken() -> Iterator[pa.RecordBatch]:
    yield row(1)
    raise RuntimeError("the source broke")


@pytest.mark.parametrize("make", [lambda: pa.RecordBatchReader.from_batches(SCHEMA, broken()), broken])
def test_what_the_source_of_an_ingest_raises_is_a_data_error_and_nothing_is_written(
    connection: Connection, make: type
) -> None:
    with pytest.raises(DataError, match="the source broke") as caught:
        connection.cursor().adbc_ingest("t", make(), mode="append")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


@pytest.mark.in_process("it publishes through the engine")
@pytest.mark.parametrize(
    "data",
    [pd.DataFrame({"k": [1, "a"], "s": ["a", "b"]}), pa.RecordBatchReader.from_batches(SCHEMA, broken())],
    ids=["mixed frame", "broken reader"],
)
def test_what_cannot_be_read_is_a_data_error_of_a_publish(connection: Connection, data: object) -> None:
    topic = TopicDefinition("p", SCHEMA)
    connection.engine.topic_repo.register_topic(topic)
    with pytest.raises(DataError):
        connection.engine.publisher.publish_scoped(topic, None, data)


def test_what_the_iterable_of_executemany_raises_is_a_data_error(connection: Connection) -> None:
    with pytest.raises(DataError) as caught:
        connection.cursor().executemany("INSERT INTO t (k) VALUES (?)", ((1 // 0,) for _ in range(2)))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.in_process("it watches the engine's session")
def test_an_iterable_is_pulled_as_it_is_staged(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    from jammi_sql.engine import session  # noqa: PLC0415

    pulled: list[int] = []
    pulled_before: list[int] = []
    ingest = session.Session.ingest

    def spy(self: session.Session, *arguments: object, **named: object) -> int:
        pulled_before.append(len(pulled))
        return ingest(self, *arguments, **named)  # type: ignore[arg-type]

    def batches() -> Iterator[pa.RecordBatch]:
        for k in range(100):
            pulled.append(k)
            yield row(k)

    monkeypatch.setattr(session.Session, "ingest", spy)
    assert connection.cursor().adbc_ingest("t", batches(), mode="append") == 100
    assert pulled_before == [1]  # the first one, for its columns


@pytest.mark.parametrize(
    ("batches", "kind"),
    [
        ([], InvalidParameter),
        ([row(1), 5], InvalidParameter),
        ([row(1), pa.record_batch({"other": [1]})], BatchSchemaMismatch),
    ],
)
def test_an_iterable_of_something_else_is_refused(connection: Connection, batches: list[object], kind: type) -> None:
    with pytest.raises(kind):
        connection.cursor().adbc_ingest("t", batches, mode="append")
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
