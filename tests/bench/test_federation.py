"""TPC-H over four places, beside DuckDB with its own extensions on the same split, jammi-ai and PostgreSQL itself.

``lineitem`` is a Parquet file, ``orders`` and ``customer`` are in PostgreSQL, the tables of parts in SQLite, ``nation`` and
``region`` are companion tables. ``TPCH_SCALE=1`` for the larger size.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql import Connection, connect
from tests.servers.postgres import PostgresServer

from .measure import Report, seconds

pytestmark = pytest.mark.bench

SCALE = os.environ.get("TPCH_SCALE", "0.1")
ROUNDS = 3
LIMIT = 60  # seconds for a query of jammi-ai's
TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
KEYS = {
    "customer": "c_custkey",
    "orders": "o_orderkey",
    "part": "p_partkey",
    "partsupp": "ps_partkey, ps_suppkey",
    "supplier": "s_suppkey",
}
PEER = ("duckdb==1.5.5", "duckdb-extensions", "duckdb-extension-tpch==1.5.5",
        "duckdb-extension-postgres-scanner==1.5.5", "duckdb-extension-sqlite-scanner==1.5.5")  # fmt: skip


class Peer:
    """The process of another engine."""

    def __init__(self, python: Path, script: str) -> None:
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, *task: object, within: float | None = None) -> Any:
        """The answer to a task.

        :raises TimeoutError: not answered ``within`` these seconds. :raises EOFError: the process has ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        print(*task, sep="\t", file=self._process.stdin, flush=True)
        if not select.select([self._process.stdout], [], [], within)[0]:
            raise TimeoutError(f"over {within} s")
        line = self._process.stdout.readline()
        if not line:
            raise EOFError(f"its process ended with {self._process.wait(60)}")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=60)

    def kill(self) -> None:
        """End it in the middle of a task."""
        self._process.kill()
        self.close()


@pytest.fixture(scope="module")
def peer(project: Path) -> Iterator[Peer]:
    folder = project / ".bench" / "duckdb"
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEER], check=True)
        (folder / ".installed").touch()
    peer = Peer(python, "duckdb_peer.py")
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def queries(peer: Peer) -> dict[str, str]:
    """The 22 queries by their number, in order."""
    found: dict[str, str] = peer.ask("queries")
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


@pytest.fixture(scope="module")
def data(project: Path) -> Path:
    """The Parquet files."""
    folder = project / ".bench" / f"tpch-{SCALE}"
    if not (folder / "region.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = Path(sys.executable).with_name("tpchgen-cli")
        subprocess.run([command, "parquet", "-s", SCALE, "--output-dir", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def truth(data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB on the plain files."""
    with duckdb.connect() as connection:
        for name in TABLES:
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM '{data / f'{name}.parquet'}'")
        yield connection


def plain(path: Path, decimals: pa.DataType) -> pa.Table:
    """A table with the types that the drivers take."""
    table = pq.read_table(path)
    types = [
        pa.string() if pa.types.is_string_view(kind) else decimals if pa.types.is_decimal(kind) else kind
        for kind in table.schema.types
    ]
    return table.cast(pa.schema(zip(table.schema.names, types, strict=True)))


def fill_postgres(url: str, data: Path) -> None:
    names = {"int64": "int8", "int32": "int4", "string": "text", "date32[day]": "date"}
    with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
        for name in ("orders", "customer"):
            source = pq.read_schema(data / f"{name}.parquet")
            rows = plain(data / f"{name}.parquet", pa.string())
            types = [
                "numeric(15, 2)" if pa.types.is_decimal(field.type) else names[str(rows.schema.field(field.name).type)]
                for field in source
            ]
            columns = ", ".join(f"{field.name} {kind} NOT NULL" for field, kind in zip(source, types, strict=True))
            cursor.execute(f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({KEYS[name]}))")
            cursor.adbc_ingest("stage", rows, mode="replace")
            values = ", ".join(f"{field.name}::{kind}" for field, kind in zip(source, types, strict=True))
            cursor.execute(f"INSERT INTO {name} SELECT {values} FROM stage")
            cursor.execute("DROP TABLE stage")
        connection.commit()
    with psycopg.connect(url, autocommit=True) as analyzed:
        analyzed.execute("VACUUM ANALYZE")


def fill_sqlite(path: Path, data: Path) -> None:
    path.unlink(missing_ok=True)
    with adbc_driver_sqlite.dbapi.connect(str(path)) as connection, connection.cursor() as cursor:
        for name in ("part", "partsupp", "supplier"):
            source = pq.read_schema(data / f"{name}.parquet")
            columns = ", ".join(
                f"{field.name} "
                + (
                    "INTEGER"
                    if pa.types.is_integer(field.type)
                    else "DECIMAL(15, 2)"
                    if pa.types.is_decimal(field.type)
                    else "TEXT"
                )
                for field in source
            )
            cursor.execute(f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({KEYS[name]}))")
            cursor.adbc_ingest(name, plain(data / f"{name}.parquet", pa.float64()), mode="append")
        cursor.execute("ANALYZE")
        connection.commit()


@pytest.fixture(scope="module")
def url(postgres: PostgresServer, data: Path) -> Iterator[str]:
    database = postgres.create_database()
    fill_postgres(postgres.url(database), data)
    yield postgres.url(database)
    postgres.drop_database(database)


@pytest.fixture(scope="module")
def federated(
    url: str, data: Path, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    fill_sqlite(data / "part.db", data)
    folder = tmp_path_factory.mktemp("federated")
    secret = folder / "password"
    secret.write_text(postgres.password)
    address = url.replace(f":{url.split(':')[2].split('@', maxsplit=1)[0]}@", "@")
    with connect(folder / "store") as connection:
        connection.execute(f"ATTACH ? AS pg (password 'file:{secret}')", (address,))
        connection.execute("ATTACH ? AS lite", (f"sqlite:///{data / 'part.db'}",))
        connection.execute("ATTACH ? AS lineitem", (str(data / "lineitem.parquet"),))
        for name in ("nation", "region"):
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{data / f'{name}.parquet'}'")
        views = {name: f"pg.public.{name}" for name in ("orders", "customer")}
        views |= {name: f"lite.main.{name}" for name in ("part", "partsupp", "supplier")}
        for name, path in views.items():
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {path}")
        yield connection


def placed(text: str) -> str:
    """A query with the file in place of the table of lines; all others are views."""
    text = re.sub(r"\blineitem\b(?=\s+l\d)", "lineitem.public.lineitem", text.rstrip().rstrip(";"))
    return re.sub(r"(?<!\.)\blineitem\b(?!\.)", "lineitem.public.lineitem AS lineitem", text)


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    return sorted(
        tuple(
            f"{float(value):.2f}" if isinstance(value, float) or hasattr(value, "as_tuple") else str(value)
            for value in row
        )
        for row in rows
    )


def close(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]]) -> bool:
    """The same rows; numbers may differ by a hundredth, which a rounding of the last digit makes."""
    pairs = zip(rounded(left), rounded(right), strict=False)
    try:
        same = all(
            one == other or abs(float(one) - float(other)) <= 0.011 + abs(float(other)) * 1e-6
            for row, its in pairs
            for one, other in zip(row, its, strict=True)
        )
    except ValueError:  # another text, or another number of columns
        return False
    return len(left) == len(right) and same


def test_all_22_queries(
    federated: Connection,
    peer: Peer,
    queries: dict[str, str],
    truth: duckdb.DuckDBPyConnection,
    data: Path,
    url: str,
    report: Report,
) -> None:
    peer.ask("attach", data, url)
    own: dict[str, float] = {}
    theirs: dict[str, float] = {}
    for number, text in queries.items():
        rows = federated.execute(placed(text)).fetchall()
        assert close(rows, truth.execute(text).fetchall()), f"query {number}"
        mine, peers = [], []
        for _ in range(ROUNDS):
            mine.append(seconds(lambda text=text: federated.execute(placed(text)).fetchall()))
            peers.append(peer.ask("run", number))
        own[number], theirs[number] = median(mine), median(peers)
    ratios = {number: taken / theirs[number] for number, taken in own.items()}
    for number, ratio in ratios.items():
        report.add(
            "federation", f"TPC-H {SCALE}, query {number}", f"{own[number] * 1e3:.0f} ms, {ratio:.2f} of DuckDB's"
        )
    total = sum(own.values()) / sum(theirs.values())
    mean = geometric_mean(ratios.values())
    report.add("federation", "all 22: total", f"{sum(own.values()):.2f} s, {total:.2f} of DuckDB's", "≤ 1", total <= 1)
    report.add("federation", "all 22: geometric mean of the ratios", f"{mean:.2f}", "≤ 1", mean <= 1)


def test_the_22_queries_in_jammi_ai(
    federated: Connection,
    jammi_ai: Path,
    queries: dict[str, str],
    truth: duckdb.DuckDBPyConnection,
    data: Path,
    url: str,
    report: Report,
) -> None:
    def opened() -> Peer:
        other = Peer(jammi_ai, "jammi_peer.py")
        other.ask("attach", data, url, within=LIMIT)
        return other

    area = f"jammi-ai 0.54, TPC-H {SCALE}, parts in Parquet, for it attaches no SQLite"
    outcomes: Counter[str] = Counter()
    own: list[float] = []
    theirs: list[float] = []
    other = opened()
    for number, text in queries.items():
        rows = truth.execute(text).fetchall()
        assert close(federated.execute(placed(text)).fetchall(), rows), f"query {number}"
        task = json.dumps(text)
        try:
            first = other.ask("run", task, within=LIMIT)
            if "error" in first:
                outcome, what = "refused", first["error"]
            elif not close([tuple(row) for row in first["rows"]], rows):
                outcome, what = "wrong", f"{len(first['rows'])} rows, {len(rows)} are right"
            else:
                mine, its = [], []
                for _ in range(ROUNDS):
                    mine.append(seconds(lambda text=text: federated.execute(placed(text)).fetchall()))
                    its.append(other.ask("run", task, within=LIMIT)["seconds"])
                own.append(median(mine))
                theirs.append(median(its))
                outcome, what = "right", f"{theirs[-1] * 1e3:.0f} ms; here {own[-1] * 1e3:.0f}"
        except (TimeoutError, EOFError) as error:
            other.kill()
            other = opened()
            outcome, what = "not ended", str(error)
        outcomes[outcome] += 1
        report.add(area, f"query {number}", f"{outcome}: {what}")
    other.close()
    report.add(area, "all 22", ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    if own:
        mean = geometric_mean(mine / its for mine, its in zip(own, theirs, strict=True))
        report.add(area, "those that are right: total", f"{sum(own):.2f} s, {sum(own) / sum(theirs):.2f} of jammi-ai's")
        report.add(area, "those that are right: geometric mean of the ratios", f"{mean:.2f}")


def test_queries_that_lie_in_postgresql_alone(federated: Connection, url: str, report: Report) -> None:
    texts = {
        "13": (
            "SELECT c_count, count(*) AS custdist FROM (SELECT c_custkey, count(o_orderkey) FROM {c} LEFT JOIN {o} ON"
            " c_custkey = o_custkey AND o_comment NOT LIKE '%special%requests%' GROUP BY c_custkey) AS t (c, c_count)"
            " GROUP BY c_count ORDER BY custdist DESC, c_count DESC"
        ),
        "group by": "SELECT o_orderpriority, count(*), sum(o_totalprice) FROM {o} GROUP BY o_orderpriority",
        "top ten": "SELECT c_name, o_totalprice FROM {c} JOIN {o} ON c_custkey = o_custkey ORDER BY o_totalprice DESC LIMIT 10",
    }
    with psycopg.connect(url, autocommit=True) as raw:
        for name, text in texts.items():
            here = text.format(c="pg.public.customer", o="pg.public.orders")
            there = text.format(c="customer", o="orders")
            rounds = [
                (seconds(lambda here=here: federated.execute(here).fetchall()),
                 seconds(lambda there=there: raw.execute(there).fetchall()))
                for _ in range(5)
            ]  # fmt: skip
            ratio = median(one / other for one, other in rounds)
            report.add("federation", f"in PostgreSQL alone, {name} : PostgreSQL", f"{ratio:.2f}", "≤ 1.3", ratio <= 1.3)


def test_planning(federated: Connection, report: Report) -> None:
    text = (
        "SELECT n_name, count(*) FROM customer JOIN orders ON c_custkey = o_custkey JOIN nation ON n_nationkey = c_nationkey"
        " WHERE o_orderdate < DATE '1992-01-05' GROUP BY n_name"
    )
    federated.adbc_get_table_schema("orders", catalog_filter="pg", db_schema_filter="public")
    with federated.cursor() as cursor:
        cursor.adbc_execute_schema(text)
        planning = median(seconds(lambda: cursor.adbc_execute_schema(text)) for _ in range(20))
        federated.execute("SET jammi.pushdown = off")
        plain_planning = median(seconds(lambda: cursor.adbc_execute_schema(text)) for _ in range(20))
        federated.execute("RESET jammi.pushdown")
    more = planning - plain_planning
    report.add("federation", "planning, more than without pushdown", f"{more * 1e3:.1f} ms", "< 10 ms", more < 0.01)
