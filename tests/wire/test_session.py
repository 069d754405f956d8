"""A session over the wire is one in process, but for where its engine is."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jammi_sql
from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.results import Progress
from tests.acceptance.language import LIMIT, background, fails, rows, until, value, values
from tests.targets import StoreTarget, another
from tests.topic_support import TENANT_A, TENANT_B

ENDLESS = "SELECT count(*) FROM generate_series(1, 100000000000)"


@pytest.fixture
def topic(conn: Connection) -> Connection:
    conn.execute("CREATE TOPIC t (a BIGINT NOT NULL, b VARCHAR)")
    return conn


def test_rows_come_back_as_they_went(conn: Connection) -> None:
    cursor = conn.execute("SELECT $1, $2, [1, NULL], ARROW_CAST('x', 'Dictionary(Int32, Utf8)')", ("ü", 2**40))
    assert [(name, kind) for name, kind, *_ in cursor.description or ()][0][1] == pa.string()
    assert cursor.fetchall() == [("ü", 2**40, [1, None], "x")]
    assert cursor.fetchall() == []


def test_many_rows_come_in_parts(conn: Connection) -> None:
    cursor = conn.execute("SELECT value, repeat('x', 20) FROM generate_series(1, 200000)")
    first = cursor.fetchone()
    table = cursor.fetch_arrow_table()
    assert first == (1, "x" * 20) and table.num_rows == 199_999 and table.column(0).num_chunks > 1
    assert sum(table.column(0).to_pylist()) == 200_000 * 200_001 // 2 - 1


def test_dictionaries_survive_in_parts(conn: Connection) -> None:
    text = "SELECT value, arrow_cast(concat('k', value % 7), 'Dictionary(Int32, Utf8)') AS k FROM generate_series(1, 300000)"
    found = conn.execute(text).fetch_arrow_table()
    assert pa.types.is_dictionary(found.schema.field("k").type)
    assert found.num_rows == 300_000 and found.column(0).num_chunks > 1
    keys = found.column("k").cast(pa.string()).to_pylist()
    assert keys == [f"k{each % 7}" for each in found.column("value").to_pylist()]


def test_results_are_read_side_by_side(conn: Connection) -> None:
    one, two = (conn.execute("SELECT value FROM generate_series(1, 200000)") for _ in range(2))
    assert [one.fetchone(), two.fetchone(), one.fetchone()] == [(1,), (1,), (2,)]


def test_a_result_that_nobody_wants_is_let_go(topic: Connection, other: Connection) -> None:
    with topic.execute("SELECT a FROM subscribe('t')"):
        assert value(other, "SELECT count(*) FROM jammi.system.subscriptions") == 1
    until(lambda: value(other, "SELECT count(*) FROM jammi.system.subscriptions") == 0)


@pytest.mark.parametrize(
    ("text", "cls", "sqlstate", "position"),
    [
        ("SELECT 1 +", errors.StatementSyntaxError, "42601", None),
        ("SELECT nope FROM t", errors.UndefinedColumn, "42703", 7),
        ("SELECT * FROM nowhere", errors.UndefinedTable, "42P01", 14),
        ("CREATE TOPIC t (a INT)", errors.SchemaConflict, "42804", None),
        ("CREATE TOPIC t (a BIGINT NOT NULL, b VARCHAR)", errors.DuplicateObject, "42P07", None),
        ("UPDATE t SET a = 1", errors.AppendOnlyTopic, "42809", None),
        ("INSERT INTO t (b) VALUES ('x')", errors.NotNullViolation, "23502", None),
        ("SELECT CAST('x' AS INT)", errors.InvalidTextRepresentation, "22P02", None),
        ("COMMIT", errors.NoActiveTransaction, "25P01", None),
        ("SELECT count(*) FROM subscribe('t')", errors.NotSupportedError, "0A000", None),
    ],
)
def test_errors_are_those_of_a_session_in_process(
    topic: Connection, text: str, cls: type[errors.Error], sqlstate: str, position: int | None
) -> None:
    with jammi_sql.connect() as here:
        here.execute("CREATE TOPIC t (a BIGINT NOT NULL, b VARCHAR)")
        with pytest.raises(cls) as expected:
            here.execute(text).fetchall()
    with pytest.raises(cls) as raised:
        topic.execute(text).fetchall()
    for error in (expected.value, raised.value):
        assert (type(error), error.sqlstate) == (type(expected.value), sqlstate)
        assert position is None or error.position == position
    one, two = expected.value, raised.value
    assert (one.message, one.hint, one.position) == (two.message, two.hint, two.position)


def test_an_error_brings_its_attributes(topic: Connection) -> None:
    topic.cursor().executemany("INSERT INTO t VALUES (?, 'x')", [(each,) for each in range(3)])
    topic.execute("INSERT INTO t VALUES (9, 'x')")
    topic.execute("TRUNCATE TOPIC t BEFORE 1")
    with pytest.raises(errors.OffsetEvicted) as raised:
        topic.execute("SELECT * FROM subscribe('t', from => 0)").fetchone()
    assert (raised.value.topic, raised.value.requested, raised.value.oldest) == ("t", 0, 1)


def test_an_error_among_the_rows_comes_after_those_before_it(conn: Connection) -> None:
    text = "SELECT 10 / (200000 - value) FROM generate_series(1, 300000)"
    cursor = conn.execute(text)
    assert cursor.fetchone() == (0,)
    with pytest.raises(errors.NumericValueOutOfRange):
        cursor.fetchall()
    assert value(conn, "SELECT 1") == 1


def test_events_are_yielded_as_they_arrive(topic: Connection, other: Connection) -> None:
    cursor = topic.execute("SELECT a FROM subscribe('t', from => 0)")
    assert not cursor.bounded
    for number in range(3):
        other.execute("INSERT INTO t VALUES (?, 'x')", (number,))
        assert cursor.fetchone() == (number,)
    with pytest.raises(TimeoutError):
        cursor.next_batch(0.01)
    with pytest.raises(errors.UnboundedResult):
        cursor.fetchall()
    cursor.close()
    assert value(topic, "SELECT count(*) FROM t") == 3


def test_a_live_result_is_an_async_iterator_that_loses_nothing(topic: Connection, other: Connection) -> None:
    async def follow() -> list[Any]:
        cursor = topic.execute("SELECT a FROM subscribe('t', from => 0)")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(cursor), 0.05)
        await asyncio.to_thread(other.execute, "INSERT INTO t VALUES (1, 'x')")
        first = await asyncio.wait_for(anext(cursor), LIMIT)
        await asyncio.to_thread(other.execute, "INSERT INTO t VALUES (2, 'x')")
        second = await asyncio.wait_for(anext(cursor), LIMIT)
        cursor.close()
        return [*first.column(0).to_pylist(), *second.column(0).to_pylist()]

    assert asyncio.run(follow()) == [1, 2]


def test_a_cancelled_statement_says_so_and_the_session_goes_on(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TEMP TABLE mine AS SELECT 7 AS a")

    def stop() -> None:
        until(lambda: conn._port._link._asked is not None)
        conn.adbc_cancel()

    with background(stop), pytest.raises(errors.QueryCanceled):
        conn.execute(ENDLESS).fetchall()
    assert value(conn, "SELECT a FROM mine") == 7


def test_a_cancelled_result_says_so(topic: Connection) -> None:
    cursor = topic.execute("SELECT a FROM subscribe('t')")
    with background(cursor.adbc_cancel), pytest.raises(errors.QueryCanceled):
        cursor.fetchone()
    assert value(topic, "SELECT 1") == 1


def test_a_statement_that_ended_is_not_cancelled_by_a_late_request(conn: Connection) -> None:
    conn.execute("SELECT 1")
    conn.adbc_cancel()
    assert value(conn, "SELECT 2") == 2


def test_closing_ends_a_statement_of_another_thread(conn: Connection) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            conn.execute(ENDLESS).fetchall()
        except errors.Error as error:
            failed.append(error)

    with background(run):
        until(lambda: conn._port._link._asked is not None)
        conn.close()
    assert [type(error) for error in failed] in ([errors.QueryCanceled], [errors.ConnectionClosed])
    with pytest.raises(errors.ConnectionClosed):
        conn.execute("SELECT 1")


def test_transactions(topic: Connection, other: Connection) -> None:
    with topic.transaction():
        topic.execute("INSERT INTO t VALUES (1, 'x')")
        assert topic.in_transaction and values(topic, "SELECT a FROM t") == [1]
        assert values(other, "SELECT a FROM t") == []
    assert not topic.in_transaction and values(other, "SELECT a FROM t") == [1]
    with pytest.raises(RuntimeError), topic.transaction():
        topic.execute("INSERT INTO t VALUES (2, 'x')")
        raise RuntimeError
    topic.execute("BEGIN")
    topic.execute("SAVEPOINT s")
    topic.execute("INSERT INTO t VALUES (3, 'x')")
    topic.execute("ROLLBACK TO s")
    assert topic.in_transaction
    topic.commit()
    assert values(other, "SELECT a FROM t") == [1]


def test_without_autocommit_the_first_statement_opens_a_transaction(topic: Connection, other: Connection) -> None:
    topic.autocommit = False
    topic.execute("INSERT INTO t VALUES (1, 'x')")
    assert topic.in_transaction and not topic.autocommit
    topic.rollback()
    topic.cursor().adbc_ingest("t", pa.table({"a": [2], "b": ["y"]}), mode="append")
    assert values(other, "SELECT a FROM t") == []
    topic.autocommit = True
    assert values(other, "SELECT a FROM t") == [2]


def test_a_failed_statement_leaves_the_state_known(topic: Connection) -> None:
    with pytest.raises(errors.Error):
        topic.cursor().executescript("BEGIN; SELECT nope")
    assert topic.in_transaction
    topic.rollback()
    assert not topic.in_transaction


def test_many_sets_of_parameters_are_one_statement(topic: Connection) -> None:
    cursor = topic.cursor()
    cursor.executemany("INSERT INTO t VALUES (:a, :b)", ({"a": each, "b": None} for each in range(70_000)))
    assert cursor.rowcount == 70_000 and value(topic, "SELECT count(*) FROM t") == 70_000
    with pytest.raises(errors.IntegrityError):
        cursor.executemany("INSERT INTO t VALUES (?, 'x')", [(1,), (None,)])
    assert value(topic, "SELECT count(*) FROM t") == 70_000


def test_rows_are_ingested_while_they_are_made(conn: Connection) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(20):
            yield pa.record_batch({"n": [number] * 1000})

    assert conn.cursor().adbc_ingest("made", batches(), mode="create") == 20_000
    assert rows(conn, "SELECT count(*), sum(n) FROM made") == [(20_000, 190_000)]
    with fails("42P07", errors.ProgrammingError, hint=False):
        conn.cursor().adbc_ingest("made", batches(), mode="create")


def test_a_reader_that_fails_writes_nothing(topic: Connection, other: Connection) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"a": [1], "b": ["x"]})
        raise ValueError("no more")

    with pytest.raises(errors.DataError, match="no more"):
        topic.cursor().adbc_ingest("t", batches(), mode="append")
    assert values(topic, "SELECT a FROM t") == []
    other.execute("INSERT INTO t VALUES (2, 'x')")
    assert values(topic, "SELECT a FROM t") == [2]


@pytest.mark.parametrize("stream", [io.StringIO("a,b\n1,ü\n"), io.BytesIO("a,b\n1,ü\n".encode())])
def test_stdin_is_sent_along(topic: Connection, stream: Any) -> None:
    cursor = topic.execute("COPY t FROM stdin (FORMAT csv)", stdin=stream)
    assert cursor.rowcount == 1 and rows(topic, "SELECT a, b FROM t") == [(1, "ü")]


def test_stdin_is_left_alone_by_what_does_not_read_it(conn: Connection) -> None:
    stream = io.BytesIO(b"rest")
    assert conn.execute("SELECT 1", stdin=stream).fetchall() == [(1,)]
    assert stream.read() == b"rest"


def test_stdin_that_fails_writes_nothing(topic: Connection) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("it broke")

    with pytest.raises(errors.DataError, match="it broke"):
        topic.execute("COPY t FROM stdin (FORMAT csv)", stdin=Broken())
    assert values(topic, "SELECT a FROM t") == []


def test_the_catalogue(topic: Connection) -> None:
    (catalog,) = topic.adbc_get_objects(catalog_filter="jammi").read_all().to_pylist()
    (public,) = (each for each in catalog["catalog_db_schemas"] if each["db_schema_name"] == "public")
    assert [each["table_name"] for each in public["db_schema_tables"]] == ["t"]
    assert topic.adbc_get_table_schema("t").names[-2:] == ["a", "b"]
    with pytest.raises(errors.UndefinedTable):
        topic.adbc_get_table_schema("nowhere")
    cursor = topic.cursor()
    assert cursor.adbc_execute_schema("SELECT a FROM t WHERE a > ?", (1,)) == pa.schema(
        [pa.field("a", pa.int64(), False)]
    )
    assert cursor.adbc_execute_schema("CREATE TOPIC u (a INT)").names == []
    assert cursor.adbc_prepare("SELECT :x, :y").names == ["x", "y"]
    assert cursor.adbc_prepare("SELECT 1").names == []
    assert cursor.adbc_prepare("INSERT INTO t VALUES (?, lower(?))").types == [pa.int64(), pa.null()]


def test_where_names_are_looked_up_is_the_sessions(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE SCHEMA s")
    conn.adbc_current_db_schema = "s"
    conn.execute("CREATE TABLE x (a INT)")
    assert conn.adbc_current_db_schema == "s" and values(other, "SELECT count(*) FROM s.x") == [0]
    with fails("3F000"):
        conn.adbc_current_db_schema = "nowhere"
    with fails("3D000"):
        conn.adbc_current_catalog = "nowhere"
    assert (conn.adbc_current_catalog, conn.adbc_current_db_schema) == ("jammi", "s")


def test_the_tenant_is_chosen_when_connecting_and_for_a_block(conn: Connection) -> None:
    with another(conn, TENANT_A) as mine:
        mine.execute("CREATE TOPIC own (a INT)")
        assert mine.tenant == TENANT_A and value(mine, "SELECT current_tenant()") == str(TENANT_A)
        with mine.tenant_scope(TENANT_B):
            with fails("42P01"):
                mine.execute("SELECT * FROM own")
        assert mine.tenant == TENANT_A and values(mine, "SELECT a FROM own") == []
        mine.execute("RESET tenant")
        assert mine.tenant is None


def test_a_session_is_its_own(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TEMP TABLE mine AS SELECT 1 AS a")
    conn.execute("SET jammi.batch_size = 100")
    with fails("42P01"):
        other.execute("SELECT * FROM mine")
    assert rows(conn, "SHOW jammi.batch_size") != rows(other, "SHOW jammi.batch_size")


def test_what_is_about_the_engine_is_refused(conn: Connection, tmp_path: Path) -> None:
    with fails("0A000", errors.NotSupportedError, says="server's process"):
        _ = conn.engine
    with fails("0A000", errors.NotSupportedError, says="backup"):
        conn.backup(tmp_path / "copy")


def test_functions_of_python_and_data_frames(conn: Connection) -> None:
    assert conn.execute("SELECT 1 AS a").fetch_df().to_dict("list") == {"a": [1]}
    assert conn.execute("SELECT 1 AS a").fetch_polars().to_dict(as_series=False) == {"a": [1]}


def test_autocommit_may_be_off_from_the_beginning(wire_target: StoreTarget, conn: Connection) -> None:
    conn.execute("CREATE TOPIC shared (a INT)")
    with wire_target.connect(autocommit=False) as second:
        second.execute("INSERT INTO shared VALUES (1)")
        second.commit()
        assert not second.autocommit
    assert values(conn, "SELECT a FROM shared") == [1]


def test_text_in_a_file_of_the_servers_is_plain_text(conn: Connection, tmp_path: Path) -> None:
    pq.write_table(pa.table({"k": [1, 2], "text": ["a", "b"]}), tmp_path / "f.parquet")
    found = conn.execute(f"SELECT text FROM '{tmp_path}/f.parquet'").fetch_arrow_table()
    assert found.schema.field("text").type == pa.string() and found.column(0).to_pylist() == ["a", "b"]


def test_how_far_a_statement_is_can_be_asked_while_it_runs(conn: Connection) -> None:
    assert conn.progress() == Progress()
    with pytest.raises(errors.QueryCanceled), background(lambda: conn.execute(ENDLESS).fetchall()):
        until(lambda: conn.progress().rows > 100_000)
        conn.adbc_cancel()
    conn.execute("SELECT 1").fetchall()
    assert conn.progress().rows == 0  # of another statement


def test_how_far_it_is_can_be_asked_while_its_rows_come(conn: Connection) -> None:
    cursor = conn.execute("SELECT value FROM generate_series(1, 100000000)")
    assert cursor.fetchone() == (1,)
    until(lambda: conn.progress().rows > 0)
    cursor.close()


def test_a_closed_connection_has_no_progress(wire_target: StoreTarget) -> None:
    with wire_target.connect() as conn:
        port = conn._port
    assert port.progress() == Progress()  # type: ignore[attr-defined]
