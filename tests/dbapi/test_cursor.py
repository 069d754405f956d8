"""Cursors: running statements, reading rows and Arrow data, and what is refused."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import jammi_sql.dbapi as dbapi
from jammi_sql.dbapi import Connection, Cursor
from jammi_sql.errors import (
    ConnectionClosed,
    DuplicateObject,
    InterfaceError,
    InvalidParameter,
    NotSupportedError,
    ProgrammingError,
    QueryCanceled,
    StatementSyntaxError,
    UnboundedResult,
    UndefinedTable,
)

from .conftest import Live
from .fake_session import FakeSession, after

PLANES = [("N1", 10), ("N2", None), ("N3", 30)]


def test_execute_gives_the_cursor_back_and_rows_as_tuples(connection: Connection) -> None:
    cursor = connection.cursor()
    assert cursor.execute("SELECT * FROM planes ORDER BY tail") is cursor
    assert cursor.fetchall() == PLANES
    assert cursor.fetchall() == []
    assert cursor.fetchone() is None


def test_a_connection_executes_on_a_new_cursor(connection: Connection) -> None:
    assert connection.execute("SELECT seats FROM planes WHERE tail = ?", ["N3"]).fetchone() == (30,)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("SELECT $2 - $1", (1, 3)),
        ("SELECT ? - ?", (3, 1)),
        ("SELECT :b - :a", {"a": 1, "b": 3}),
        ("SELECT $b - $a", {"a": 1, "b": 3}),
    ],
)
def test_parameters_come_in_every_style(connection: Connection, text: str, parameters: object) -> None:
    assert connection.execute(text, parameters).fetchone() == (2,)


def test_description_names_columns_with_their_arrow_types(connection: Connection) -> None:
    cursor = connection.execute("SELECT tail, seats FROM planes")
    assert cursor.description == [
        ("tail", pa.string(), None, None, None, None, None),
        ("seats", pa.int64(), None, None, None, None, None),
    ]
    assert cursor.schema is not None
    assert cursor.schema.names == ["tail", "seats"]
    assert cursor.description[0][1] == dbapi.STRING
    assert cursor.description[1][1] == dbapi.NUMBER
    assert cursor.description[1][1] != dbapi.STRING


def test_a_statement_without_rows_has_a_count_and_nothing_to_fetch(connection: Connection) -> None:
    cursor = connection.execute("INSERT INTO planes VALUES ('N4', 4), ('N5', 5)")
    assert (cursor.rowcount, cursor.description, cursor.schema) == (2, None, None)
    with pytest.raises(ProgrammingError, match="no rows to fetch") as caught:
        cursor.fetchall()
    assert caught.value.sqlstate == "24000"


def test_fetching_before_executing_is_24000(connection: Connection) -> None:
    with pytest.raises(ProgrammingError, match="no rows to fetch"):
        connection.cursor().fetchone()


def test_fetchone_fetchmany_and_iteration_take_turns(connection: Connection) -> None:
    cursor = connection.execute("SELECT x FROM generate_series(1, 5000) AS t(x) ORDER BY x")
    assert cursor.fetchone() == (1,)
    assert cursor.fetchmany() == [(2,)]
    cursor.arraysize = 2
    assert cursor.fetchmany() == [(3,), (4,)]
    assert next(cursor) == (5,)
    assert cursor.rownumber == 5
    assert cursor.fetchmany(4000) == [(number,) for number in range(6, 4006)]
    assert [row for row in cursor] == [(number,) for number in range(4006, 5001)]
    assert cursor.fetchmany(10) == []


@pytest.mark.parametrize("read", [Cursor.fetch_arrow_table, Cursor.fetchallarrow, pa.table], ids=lambda f: f.__name__)
def test_arrow_data_goes_on_where_the_rows_stopped(connection: Connection, read: Callable[[Cursor], pa.Table]) -> None:
    cursor = connection.execute("SELECT x FROM generate_series(1, 3000) AS t(x) ORDER BY x")
    assert cursor.fetchmany(2500)[-1] == (2500,)
    assert read(cursor).column(0).to_pylist() == list(range(2501, 3001))


def test_an_empty_result_keeps_its_columns(connection: Connection) -> None:
    cursor = connection.execute("SELECT * FROM planes WHERE seats > 99")
    assert cursor.fetch_arrow_table().schema.names == ["tail", "seats"]


def test_data_frames(connection: Connection) -> None:
    text = "SELECT * FROM planes ORDER BY tail"
    assert connection.execute(text).fetch_df()["tail"].tolist() == ["N1", "N2", "N3"]
    assert connection.execute(text).fetch_polars().rows() == PLANES


def test_a_reader_outlives_the_cursor_that_nobody_holds(connection: Connection) -> None:
    reader = connection.execute("SELECT * FROM planes").fetch_record_batch()
    gc.collect()
    assert reader.read_all().num_rows == 3


def test_arrow_is_handed_over_once(connection: Connection) -> None:
    stream = connection.execute("SELECT * FROM planes").fetch_arrow()
    assert pa.table(stream).num_rows == 3
    with pytest.raises(ProgrammingError, match="read already"):
        pa.table(stream)


def test_executing_again_drops_the_result_before(connection: Connection, session: FakeSession) -> None:
    cursor = connection.execute("LIVE")
    cursor.execute("SELECT 1")
    assert session.live.closed
    assert cursor.fetchall() == [(1,)]


@pytest.mark.wire_too
def test_a_failed_statement_leaves_no_result(connection: Connection) -> None:
    cursor = connection.execute("SELECT 1")
    with pytest.raises(StatementSyntaxError) as caught:
        cursor.execute("WRONG")
    assert caught.value.position == 0 and caught.value.hint is not None
    assert cursor.description is None


# --- live results ---------------------------------------------------------------------------------


@pytest.mark.wire_too
@pytest.mark.parametrize(
    "read",
    [
        Cursor.fetchall,
        Cursor.fetch_arrow_table,
        Cursor.fetchallarrow,
        Cursor.fetch_df,
        Cursor.fetch_polars,
        Cursor.fetch_arrow,
        pa.table,
    ],
    ids=lambda f: f.__name__,
)
def test_what_must_see_the_end_refuses_an_endless_result_at_once(
    connection: Connection, live: Live, read: Callable[[Cursor], object]
) -> None:
    cursor = connection.execute(live.text)
    with pytest.raises(UnboundedResult, match="never ends") as caught:
        read(cursor)
    assert caught.value.sqlstate == "0A000"
    assert caught.value.hint is not None
    assert "until => 'latest'" in caught.value.hint
    live.put(1)
    assert cursor.fetchone() == (1,)


def test_a_live_result_that_has_an_end_is_read_to_it(connection: Connection, session: FakeSession) -> None:
    session.bounded = True
    cursor = connection.execute("LIVE")
    session.live.put(1)
    session.live.put(2)
    session.live.queue.put(None)
    assert cursor.fetchall() == [(1,), (2,)]


def test_nothing_was_read_of_an_endless_result_that_was_refused(connection: Connection, session: FakeSession) -> None:
    cursor = connection.execute("LIVE")
    with pytest.raises(UnboundedResult):
        cursor.fetchall()
    assert session.live.pulls == 0


def test_fetchmany_gives_what_has_arrived_and_waits_for_one_row_only(
    connection: Connection, session: FakeSession
) -> None:
    cursor = connection.execute("LIVE")
    session.live.put(1, 2)
    session.live.put(3)
    session.live.put()
    assert cursor.fetchmany(100) == [(1,), (2,), (3,)]
    session.live.waiting.clear()
    after(session.live.waiting, lambda: session.live.put(4, 5, 6))
    assert cursor.fetchmany(2) == [(4,), (5,)]
    assert cursor.fetchmany(2) == [(6,)]


@pytest.mark.wire_too
def test_fetchmany_waits_for_one_row_only(connection: Connection, live: Live) -> None:
    cursor = connection.execute(live.text)
    live.put(1, 2, 3)
    assert cursor.fetchmany(2) == [(1,), (2,)]
    assert cursor.fetchmany(2) == [(3,)]


@pytest.mark.wire_too
def test_iteration_and_the_reader_give_rows_as_they_arrive(connection: Connection, live: Live) -> None:
    cursor = connection.execute(live.text)
    live.put(1)
    assert next(cursor) == (1,)
    reader = cursor.fetch_record_batch()
    live.put(2)
    assert reader.read_next_batch().to_pydict() == {"x": [2]}


def test_batches_arrive_in_an_event_loop(connection: Connection, session: FakeSession) -> None:
    async def read() -> list[int | None]:
        seen: list[int | None] = []
        cursor = connection.execute("LIVE")
        session.live.put(1, 2)
        assert cursor.fetchone() == (1,)
        session.live.put()
        session.live.put(3)
        async for batch in cursor:
            assert batch.num_rows
            seen += batch.column(0).to_pylist()
            if 3 in seen:
                break
        session.live.put(4)
        session.live.queue.put(None)
        return seen + [value async for batch in cursor for value in batch.column(0).to_pylist()]

    assert asyncio.run(read()) == [2, 3, 4]


# --- many -----------------------------------------------------------------------------------------


def test_executemany_hands_over_all_sets_at_once(connection: Connection, session: FakeSession) -> None:
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO planes VALUES (?, ?)", [("N4", 1), ("N5", None)])
    assert cursor.rowcount == 2
    assert session.many[0].to_pydict() == {"1": ["N4", "N5"], "2": [1, None]}


def test_executemany_of_nothing_is_no_rows(connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO planes VALUES (?, ?)", [])
    assert cursor.rowcount == 0


def test_executescript_commits_what_was_begun_implicitly(connection: Connection, session: FakeSession) -> None:
    connection.autocommit = False
    session.begin()
    connection.cursor().executescript("SELECT 1; SELECT 2")
    assert session.log == ["begin", "commit", "SELECT 1", " SELECT 2"]


def test_executescript_leaves_an_explicit_transaction_open(connection: Connection, session: FakeSession) -> None:
    with connection.transaction():
        connection.cursor().executescript("SELECT 1")
        assert session.log == ["begin", "SELECT 1"]


@pytest.mark.wire_too
def test_next_batch_waits_no_longer_than_it_may(connection: Connection, live: Live) -> None:
    cursor = connection.execute(live.text)
    with pytest.raises(TimeoutError):
        cursor.next_batch(timeout=0)
    live.put(1, 2)
    assert cursor.fetchone() == (1,)
    batch = cursor.next_batch(timeout=0)
    assert batch is not None
    assert batch.to_pydict() == {"x": [2]}


def test_next_batch_is_none_at_the_end(connection: Connection, session: FakeSession) -> None:
    cursor = connection.execute("LIVE")
    session.live.queue.put(None)
    assert cursor.next_batch() is None


# --- ADBC -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pa.record_batch({"x": [1, 2]}),
        pa.table({"x": [1, 2]}),
        pa.table({"x": [1, 2]}).to_reader(),
        ds.dataset(pa.table({"x": [1, 2]})),
        ds.dataset(pa.table({"x": [1, 2]})).scanner(),
        [pa.record_batch({"x": [1]}), pa.record_batch({"x": [2]})],
    ],
    ids=lambda data: type(data).__name__,
)
def test_ingest_takes_all_that_adbc_takes(connection: Connection, data: object) -> None:
    cursor = connection.cursor()
    assert cursor.adbc_ingest("made", data) == 2
    assert connection.execute("SELECT * FROM made").fetchall() == [(1,), (2,)]


def test_ingest_knows_all_modes(connection: Connection) -> None:
    cursor = connection.cursor()
    data = pa.table({"x": [1]})
    with pytest.raises(UndefinedTable):
        cursor.adbc_ingest("made", data, mode="append")
    cursor.adbc_ingest("made", data, mode="create_append")
    with pytest.raises(DuplicateObject):
        cursor.adbc_ingest("made", data)
    cursor.adbc_ingest("made", data, mode="append")
    assert connection.execute("SELECT count(*) FROM made").fetchone() == (2,)
    cursor.adbc_ingest("made", data, mode="replace")
    assert connection.execute("SELECT count(*) FROM made").fetchone() == (1,)


def test_ingest_qualifies_the_name(connection: Connection, session: FakeSession) -> None:
    cursor = connection.cursor()
    data = pa.table({"x": [1]})
    cursor.adbc_ingest("a", data, db_schema_name="s")
    cursor.adbc_ingest("b", data, catalog_name="c", db_schema_name="s", temporary=True)
    cursor.adbc_ingest("d", data, catalog_name="c")
    assert session.log == ["ingest s.a create False", "ingest c.s.b create True", "ingest c.public.d create False"]


def test_ingest_refuses_an_unknown_mode_and_what_is_no_arrow_data(connection: Connection) -> None:
    with pytest.raises(InvalidParameter, match="no mode 'upsert'"):
        connection.cursor().adbc_ingest("a", pa.table({"x": [1]}), mode="upsert")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="int is not Arrow data"):
        connection.cursor().adbc_ingest("a", 5)


@pytest.mark.wire_too
def test_the_schema_of_a_statement_is_known_without_running_it(connection: Connection) -> None:
    cursor = connection.cursor()
    assert cursor.adbc_execute_schema("SELECT tail FROM planes WHERE seats > ?", [1]) == pa.schema(
        [pa.field("tail", pa.string())]
    )
    for _ in range(2):  # it is not made
        assert cursor.adbc_execute_schema("CREATE TABLE x (y INT)") == pa.schema([])


def test_prepare_names_the_parameters(connection: Connection) -> None:
    assert connection.cursor().adbc_prepare("SELECT :a, :b").names == ["a", "b"]
    assert connection.cursor().adbc_prepare("SELECT 1").names == []


def test_there_is_no_adbc_statement_underneath(connection: Connection) -> None:
    assert not hasattr(connection.cursor(), "adbc_statement")


def test_what_does_not_exist_says_so(connection: Connection) -> None:
    cursor = connection.cursor()
    with pytest.raises(NotSupportedError):
        cursor.callproc("p")
    with pytest.raises(NotSupportedError):
        cursor.nextset()
    cursor.setinputsizes([1])
    cursor.setoutputsize(1)


# --- cancelling and closing -----------------------------------------------------------------------


def test_a_running_statement_is_cancelled_from_another_thread(connection: Connection, session: FakeSession) -> None:
    cursor = connection.cursor()
    canceller = after(session.blocked, cursor.adbc_cancel)
    with pytest.raises(QueryCanceled):
        cursor.execute("BLOCK")
    canceller.join(50)


def test_a_live_read_is_cancelled_from_another_thread(connection: Connection, session: FakeSession) -> None:
    cursor = connection.execute("LIVE")
    canceller = after(session.live.waiting, cursor.adbc_cancel)
    with pytest.raises(QueryCanceled):
        cursor.fetchone()
    canceller.join(50)
    assert not session.cancelled.is_set()


def test_cancelling_an_idle_cursor_does_not_touch_the_session(connection: Connection, session: FakeSession) -> None:
    connection.cursor().adbc_cancel()
    assert not session.cancelled.is_set()


@pytest.mark.parametrize(
    "use",
    [
        lambda cursor: cursor.execute("SELECT 1"),
        lambda cursor: cursor.executemany("SELECT ?", [(1,)]),
        lambda cursor: cursor.executescript("SELECT 1"),
        lambda cursor: cursor.adbc_ingest("t", pa.table({"x": [1]})),
        Cursor.fetchone,
        Cursor.fetchmany,
        Cursor.fetchall,
        Cursor.fetch_arrow_table,
        Cursor.fetch_record_batch,
        next,
    ],
)
def test_a_closed_cursor_is_an_interface_error(connection: Connection, use: Callable[[Cursor], object]) -> None:
    cursor = connection.execute("SELECT 1")
    cursor.close()
    cursor.close()
    with pytest.raises(InterfaceError, match="the cursor is closed"):
        use(cursor)


def test_a_cursor_closes_at_the_end_of_its_block(connection: Connection, session: FakeSession) -> None:
    with connection.execute("LIVE") as cursor:
        reader = cursor.fetch_record_batch()
    assert session.live.closed
    with pytest.raises(ConnectionClosed, match="the result is closed"):
        reader.read_next_batch()
