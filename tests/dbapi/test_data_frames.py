"""pandas, polars and duckdb as users meet them."""

from __future__ import annotations

from typing import Literal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jammi_sql.dbapi import Connection

from .fake_session import FakeSession

PLANES = "SELECT * FROM planes ORDER BY tail"


def test_pandas_reads_a_query(connection: Connection) -> None:
    frame = pd.read_sql(PLANES, connection)
    assert frame["tail"].tolist() == ["N1", "N2", "N3"]
    assert frame["seats"].sum() == 40


def test_pandas_reads_a_table_by_name(connection: Connection) -> None:
    assert len(pd.read_sql_table("planes", connection)) == 3


@pytest.mark.parametrize(("if_exists", "rows"), [("append", 5), ("replace", 2)])
def test_pandas_writes_into_what_exists(
    connection: Connection, if_exists: Literal["append", "replace"], rows: int
) -> None:
    frame = pd.DataFrame({"tail": ["N8", "N9"], "seats": [8, 9]})
    frame.to_sql("planes", connection, if_exists=if_exists, index=False)
    assert connection.execute("SELECT count(*) FROM planes").fetchone() == (rows,)


def test_pandas_creates_and_refuses_to_create_twice(connection: Connection) -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    assert frame.to_sql("made", connection, index=False) == 2
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql("made", connection, index=False)


def test_polars_reads_arrow_and_not_rows(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("jammi_sql.dbapi.cursor.Cursor.fetchall")
    text = "SELECT tail, arrow_cast(seats, 'UInt16') AS seats FROM planes ORDER BY tail"
    frame = pl.read_database(text, connection)
    assert frame.schema == {"tail": pl.String, "seats": pl.UInt16}
    assert frame.rows() == [("N1", 10), ("N2", None), ("N3", 30)]
    assert pl.read_database(PLANES, connection.cursor()).height == 3


def test_polars_reads_with_parameters(connection: Connection) -> None:
    frame = pl.read_database(
        "SELECT seats FROM planes WHERE tail = ?", connection, execute_options={"parameters": ["N3"]}
    )
    assert frame.rows() == [(30,)]


def test_polars_reads_a_live_result_batch_by_batch(connection: Connection, session: FakeSession) -> None:
    session.live.put(1)
    frames = pl.read_database("LIVE", connection, iter_batches=True)
    assert next(frames).rows() == [(1,)]
    session.live.put(2, 3)
    assert next(frames).rows() == [(2,), (3,)]


@pytest.mark.parametrize(("mode", "rows"), [("append", 4), ("replace", 1)])
def test_polars_writes(connection: Connection, mode: str, rows: int) -> None:
    frame = pl.DataFrame({"tail": ["N9"], "seats": [9]})
    frame.write_database("planes", connection, if_table_exists=mode)  # type: ignore[arg-type]
    assert connection.execute("SELECT count(*) FROM planes").fetchone() == (rows,)


def test_duckdb_reads_a_cursor(connection: Connection) -> None:
    cursor = connection.execute(PLANES)
    assert cursor.description is not None
    database = duckdb.connect()
    database.register("planes", cursor)
    assert database.execute("SELECT sum(seats) FROM planes").fetchone() == (40,)


def test_pyarrow_takes_a_cursor(connection: Connection) -> None:
    assert pa.RecordBatchReader.from_stream(connection.execute(PLANES)).read_all().num_rows == 3
