"""left ASOF [LEFT] JOIN right ON ..."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jammi_sql import errors
from jammi_sql.arrow.dataset import LazyDataset
from jammi_sql.dbapi import Connection
from jammi_sql.engine.access import Access
from jammi_sql.engine.relations import inserted_relations

from .language import background, fails, rows, unbounded, value, values

JOIN = "trades t ASOF JOIN prices p ON t.sym = p.sym AND t.at >= p.at"


@pytest.fixture
def market(conn: Connection) -> Iterator[Connection]:
    conn.execute("CREATE TABLE trades (sym VARCHAR, at BIGINT, qty INT)")
    conn.execute("CREATE TABLE prices (sym VARCHAR, at BIGINT, bid DOUBLE)")
    conn.execute(
        "INSERT INTO trades VALUES ('a', 1, 1), ('a', 5, 2), ('b', 3, 3), (NULL, 4, 4), ('c', 9, 5), ('a', NULL, 6)"
    )
    conn.execute("INSERT INTO prices VALUES ('a', 0, 1.0), ('a', 5, 1.5), ('b', 4, 2.0), ('c', 8, 3.0), (NULL, 1, 9.0)")
    yield conn


# --- what it gives ---


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("ASOF JOIN prices p ON t.sym = p.sym AND t.at >= p.at", [(1, 0), (2, 5), (5, 8)]),
        ("ASOF JOIN prices p ON t.sym = p.sym AND t.at > p.at", [(1, 0), (2, 0), (5, 8)]),
        ("ASOF JOIN prices p ON t.sym = p.sym AND t.at <= p.at", [(1, 5), (2, 5), (3, 4)]),
        ("ASOF JOIN prices p ON t.sym = p.sym AND t.at < p.at", [(1, 5), (3, 4)]),
        (
            "ASOF LEFT JOIN prices p ON t.sym = p.sym AND t.at >= p.at",
            [(1, 0), (2, 5), (3, None), (4, None), (5, 8), (6, None)],
        ),
        (
            "asof left outer join prices as p on (p.sym = t.sym) and p.at < t.at",
            [(1, 0), (2, 0), (3, None), (4, None), (5, 8), (6, None)],
        ),
        ("ASOF JOIN prices p ON t.at >= p.at", [(1, 1), (2, 5), (3, 1), (4, 4), (5, 8)]),
        ("ASOF JOIN prices p ON t.sym = p.sym AND t.at - 2 >= p.at", [(2, 0)]),
        (
            "ASOF JOIN prices p ON upper(t.sym) = upper(p.sym) AND CAST(t.at AS DOUBLE) >= p.at + 0.5",
            [(1, 0), (2, 0), (5, 8)],
        ),
        ("ASOF JOIN (SELECT * FROM prices WHERE bid > 1) p ON t.sym = p.sym AND t.at >= p.at", [(2, 5), (5, 8)]),
        (
            "ASOF JOIN prices p ON left(t.sym, 1) = p.sym AND CASE WHEN t.at > 0 THEN t.at END >= p.at",
            [(1, 0), (2, 5), (5, 8)],
        ),
        ("ASOF JOIN prices p ON t.sym = p.sym AND t.at >= p.at AND 3 = p.bid", [(5, 8)]),
    ],
)
def test_each_left_row_gets_the_nearest_right_row(market: Connection, join: str, expected: list[Any]) -> None:
    assert rows(market, f"SELECT qty, p.at FROM trades t {join} ORDER BY qty") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM " + JOIN + " WHERE t.qty = 2", [("a", 5, 2, "a", 5, 1.5)]),
        ("SELECT p.*, t.qty FROM " + JOIN + " WHERE qty = 2", [("a", 5, 1.5, 2)]),
        ("SELECT max(p.bid) FROM " + JOIN + " GROUP BY t.sym ORDER BY t.sym", [(1.5,), (3.0,)]),
        ("SELECT bid FROM " + JOIN + " ORDER BY bid DESC LIMIT 1", [(3.0,)]),
        ("SELECT qty FROM trades ASOF JOIN prices ON trades.sym = prices.sym AND trades.at >= prices.at WHERE prices.bid = 3", [(5,)]),
        ("SELECT qty FROM trades ASOF JOIN public.prices ON trades.sym = public.prices.sym AND trades.at >= prices.at WHERE public.prices.bid = 3", [(5,)]),
        ('SELECT "P q"."BID" FROM trades t ASOF JOIN (SELECT sym, at, bid AS "BID" FROM prices) AS "P q" ON t.sym = "P q".sym AND T.AT >= "P q".at WHERE qty = 5', [(3.0,)]),
        ("SELECT r.y FROM trades t ASOF JOIN prices AS r(x, y, z) ON t.sym = r.x AND t.at >= r.y WHERE qty = 5", [(8,)]),
        ("SELECT count(*) FROM (SELECT * FROM (SELECT t.qty FROM " + JOIN + ") q)", [(3,)]),
        ("WITH p AS (SELECT sym, at, bid * 2 AS bid FROM prices) SELECT sum(bid) FROM " + JOIN.replace("prices p", "p"), [(11.0,)]),
        ("WITH w AS (SELECT 1), x AS (WITH prices AS (SELECT 'a' AS sym, 4 AS at, 7 AS bid) SELECT bid FROM " + JOIN + ") SELECT * FROM x", [(7,)]),
        ("SELECT p.at, o.at, n.at FROM prices p ASOF JOIN prices o ON p.sym = o.sym AND p.at > o.at ASOF LEFT JOIN prices n ON o.sym = n.sym AND n.at > o.at", [(5, 0, 5)]),
        ("SELECT t.qty, i.x FROM " + JOIN + " JOIN (SELECT 5 AS x) i ON i.x = t.qty", [(5, 5)]),
        ("SELECT t.qty FROM (VALUES (2)) v(q) JOIN trades t ON v.q = t.qty ASOF JOIN prices p ON t.sym = p.sym AND t.at >= p.at, (SELECT 1) e", [(2,)]),
        ("SELECT qty FROM trades t ASOF JOIN (SELECT a.sym, a.at FROM prices a ASOF JOIN prices b ON a.sym = b.sym AND a.at > b.at) p ON t.sym = p.sym AND t.at >= p.at", [(2,)]),
        ("SELECT qty FROM trades WHERE qty IN (SELECT qty FROM " + JOIN + " WHERE p.bid > 2)", [(5,)]),
        ("SELECT q.n FROM (VALUES (2), (3)) q(n) WHERE EXISTS (SELECT 1 FROM " + JOIN + " WHERE t.qty = q.n)", [(2,)]),
        ("SELECT 1 UNION ALL SELECT count(*) FROM " + JOIN + " ORDER BY 1", [(1,), (3,)]),
        ("SELECT (t.at) FROM trades/* a */t/* b */ASOF -- c\nJOIN prices p ON t.sym=p.sym AND t.at>=p.at/* d */WHERE qty = 5", [(9,)]),
    ],
)  # fmt: skip
def test_the_rest_of_the_statement_means_what_it_means(market: Connection, query: str, expected: list[Any]) -> None:
    assert rows(market, query) == expected


def test_the_columns_are_those_of_a_join(market: Connection) -> None:
    plain = market.execute("SELECT *, max(p.bid) OVER () FROM trades t JOIN prices p ON t.sym = p.sym").description
    cursor = market.execute(f"SELECT *, max(p.bid) OVER () FROM {JOIN}")
    assert [column[0] for column in cursor.description or []] == [column[0] for column in plain or []]
    assert market.cursor().adbc_execute_schema(f"SELECT * FROM {JOIN}").names == [
        "sym",
        "at",
        "qty",
        "sym",
        "at",
        "bid",
    ]


def test_parameters_stand_in_both_sides_and_in_the_condition(market: Connection) -> None:
    query = "SELECT qty FROM trades t ASOF JOIN (SELECT * FROM prices WHERE bid < ?) p ON t.sym = p.sym AND ? + t.at >= p.at WHERE qty < ? ORDER BY 1"
    assert values(market, query, (2.5, 4, 4)) == [1, 2, 3]
    assert values(market, query, (2.5, 0, 4)) == [1, 2]


@pytest.mark.parametrize(
    ("statement", "query", "expected"),
    [
        ("INSERT INTO seen SELECT t.sym, p.at FROM " + JOIN, "SELECT at FROM seen ORDER BY 1", [0, 5, 8]),
        ("CREATE TABLE kept AS SELECT bid FROM " + JOIN, "SELECT bid FROM kept ORDER BY 1", [1.0, 1.5, 3.0]),
        ("CREATE TEMP TABLE kept AS SELECT bid FROM " + JOIN, "SELECT bid FROM kept ORDER BY 1", [1.0, 1.5, 3.0]),
        ("CREATE TOPIC kept AS SELECT bid FROM " + JOIN, "SELECT bid FROM kept ORDER BY 1", [1.0, 1.5, 3.0]),
        ("UPDATE trades SET qty = p.at FROM " + JOIN + " WHERE trades.qty = t.qty", "SELECT qty FROM trades ORDER BY 1", [0, 3, 4, 5, 6, 8]),
        ("DELETE FROM trades USING " + JOIN + " WHERE trades.qty = t.qty", "SELECT qty FROM trades ORDER BY 1", [3, 4, 6]),
        ("MERGE INTO trades USING (SELECT t.qty AS q FROM " + JOIN + ") m ON trades.qty = m.q WHEN MATCHED THEN DELETE", "SELECT qty FROM trades ORDER BY 1", [3, 4, 6]),
    ],
)  # fmt: skip
def test_statements_that_write_may_read_one(
    market: Connection, statement: str, query: str, expected: list[Any]
) -> None:
    market.execute("CREATE TOPIC seen (sym VARCHAR, at BIGINT)")
    market.execute(statement)
    assert values(market, query) == expected


def test_of_rows_of_a_topic_with_the_same_time_the_one_published_last_is_taken(conn: Connection) -> None:
    conn.execute("CREATE TOPIC r (k INT, t INT, n INT)")
    for number in range(3):
        conn.execute(f"INSERT INTO r VALUES (1, 5, {number}), (1, 5, {number + 10}), (2, 5, 99)")
    for condition in ("l.t >= r.t", "l.t <= r.t"):
        assert value(conn, f"SELECT n FROM (SELECT 1 AS k, 5 AS t) l ASOF JOIN r ON l.k = r.k AND {condition}") == 12


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("CAST(7 AS INT)", "CAST(7 AS BIGINT)"),
        ("CAST(7 AS INT)", "7.0"),
        ("CAST(7 AS DECIMAL(5, 2))", "CAST(7 AS DECIMAL(12, 4))"),
        ("TIMESTAMP '2026-01-01 00:00:00'", "DATE '2026-01-01'"),
        ("arrow_cast(TIMESTAMP '2026-01-01 00:00:00', 'Timestamp(Millisecond, None)')", "TIMESTAMP '2026-01-01 00:00:00'"),
        ("arrow_cast('x', 'Utf8View')", "arrow_cast('x', 'LargeUtf8')"),
        ("arrow_cast('x', 'Dictionary(Int32, Utf8)')", "'x'"),
        ("CAST('NaN' AS DOUBLE)", "CAST('NaN' AS REAL)"),
        ("-0.0", "0.0"),
    ],
)  # fmt: skip
def test_both_sides_are_brought_to_one_type_as_in_a_join(conn: Connection, left: str, right: str) -> None:
    sides = f"(SELECT {left} AS k, 1 AS t) l ASOF JOIN (SELECT {right} AS k, 1 AS t) r ON l.k = r.k AND l.t >= r.t"
    assert value(conn, f"SELECT count(*) FROM {sides}") == 1
    if "x" not in left:
        swapped = sides.replace("l.k = r.k", "l.t = r.t").replace("l.t >= r.t", "l.k >= r.k")
        assert value(conn, f"SELECT count(*) FROM {swapped}") == 1


def test_zeros_of_both_signs_are_one_key(conn: Connection) -> None:
    right = "(VALUES (-0.0, 3), (0.0, 1), (0.0, 2)) AS r (k, t)"
    for key, time in (("0.0", 3), ("-0.0", 3)):
        left = f"(SELECT {key} AS k, 10 AS t) AS l"
        assert value(conn, f"SELECT r.t FROM {left} ASOF JOIN {right} ON l.k = r.k AND l.t >= r.t") == time


# --- what it refuses ---


@pytest.mark.parametrize(
    ("join", "sqlstate", "marked", "says"),
    [
        ("ASOF JOIN prices p ON t.sym = p.sym", "42601", "ON", "here is none"),
        ("ASOF JOIN prices p ON t.at >= p.at AND t.sym = p.sym AND t.qty > p.bid", "42601", "t.qty > p.bid", "second"),
        ("ASOF JOIN prices p ON t.sym = p.sym AND t.at >= p.at AND p.bid > 2", "42601", "p.bid > 2", "second"),
        ("ASOF JOIN prices p ON t.at >= p.at AND p.sym = p.sym", "42601", "p.sym = p.sym", "one of the right side"),
        ("ASOF JOIN prices p ON t.at >= p.at AND t.qty = t.at", "42601", "t.qty = t.at", "one of the right side"),
        ("ASOF JOIN prices p ON t.at >= p.at AND 1 = 2 - 1", "42601", "1 =", "one of the right side"),
        ("ASOF JOIN prices p ON t.at >= p.at AND t.sym <> p.sym", "0A000", "<>", "does not compare"),
        ("ASOF JOIN prices p ON t.at >= p.at AND t.sym LIKE p.sym", "0A000", "t.sym LIKE", "LIKE"),
        ("ASOF JOIN prices p ON t.at >= p.at OR t.sym = p.sym", "0A000", "t.at", "OR"),
        ("ASOF JOIN prices p ON t.at >= p.at AND t.qty", "0A000", "t.qty", "does not compare"),
        ("ASOF JOIN prices p ON t.at + p.at >= p.at", "0A000", "t.at +", "both sides"),
        ("ASOF JOIN prices p ON t.sym >= p.sym", "0A000", "t.sym", "cannot be of type string"),
        ("ASOF JOIN prices p USING (sym, at)", "0A000", "USING", "USING"),
        ("ASOF JOIN prices p", "42601", None, "expected ON"),
        ("ASOF JOIN prices p ON", "42601", None, "condition"),
        ("ASOF JOIN ON t.at >= p.at", "42601", None, ""),
        ("ASOF JOIN (prices p JOIN trades u ON true) ON t.at >= p.at", "0A000", "(prices", "parentheses"),
        ("ASOF JOIN LATERAL (SELECT 1) p ON t.at >= p.at", "42601", "LATERAL", "table"),
        ("ASOF RIGHT JOIN prices p ON t.at >= p.at", "0A000", "ASOF", "RIGHT"),
        ("ASOF FULL OUTER JOIN prices p ON t.at >= p.at", "0A000", "ASOF", "FULL"),
        ("ASOF JOIN prices p ON t.at >= p.nope", "42703", "p.nope", "nope"),
        ("ASOF JOIN prices p ON nope = p.sym AND t.at >= p.at", "42703", "nope", "nope"),
        ("ASOF JOIN prices p ON sym = p.sym AND t.at >= p.at", "42702", "sym =", "ambiguous"),
        ("ASOF JOIN missing p ON t.at >= p.at", "42P01", "missing", "missing"),
    ],
)  # fmt: skip
def test_any_other_condition_is_refused_at_its_place(
    market: Connection, join: str, sqlstate: str, marked: str | None, says: str
) -> None:
    text = f"SELECT qty FROM trades t {join}"
    with fails(
        sqlstate, errors.NotSupportedError if sqlstate == "0A000" else errors.ProgrammingError, says=says
    ) as raised:
        market.execute(text).fetchall()
    if marked is not None:
        assert raised.value.position == text.index(marked, text.index("ASOF"))


@pytest.mark.parametrize("statement", ["CREATE VIEW v AS SELECT * FROM ", "PREPARE s AS SELECT * FROM "])
def test_what_is_kept_as_a_plan_cannot_have_one(market: Connection, statement: str) -> None:
    with fails("0A000", errors.NotSupportedError, at=len(statement) + JOIN.index("ASOF")):
        market.execute(statement + JOIN)


def test_errors_of_the_rest_of_the_statement_are_at_their_place(market: Connection) -> None:
    text = f"SELECT qty FROM {JOIN} WHERE p.nope = 1"
    with fails("42703", at=text.index("p.nope")):
        market.execute(text)


def test_explain_shows_it(market: Connection) -> None:
    plan = dict(rows(market, f"EXPLAIN SELECT * FROM {JOIN.replace('ASOF', 'ASOF LEFT')}"))
    assert "AsofJoin: p as __asof_1, keys t.sym = p.sym, the nearest p.at at or before t.at" in plan["jammi_plan"]
    assert "left rows without one kept" in plan["jammi_plan"]
    assert "rows: 3 returned" in dict(rows(market, f"EXPLAIN ANALYZE SELECT * FROM {JOIN}"))["jammi_metrics"]


def test_no_function_of_it_is_left_behind(market: Connection) -> None:
    assert rows(market, f"SELECT count(*) FROM {JOIN}") == [(3,)]
    with fails("42883"):
        market.execute("SELECT __asof_1('a', 1)")


# --- events on the left ---


LIVE = (
    "SELECT e.sym, e.at, p.bid FROM subscribe('ev', from => 0) e ASOF LEFT JOIN {} p ON e.sym = p.sym AND e.at >= p.at"
)


@pytest.mark.parametrize("right", ["TABLE", "TOPIC"])
def test_a_live_event_meets_the_right_side_as_of_its_delivery(conn: Connection, other: Connection, right: str) -> None:
    conn.execute("CREATE TOPIC ev (sym VARCHAR, at BIGINT)")
    conn.execute(f"CREATE {right} prices (sym VARCHAR, at BIGINT, bid DOUBLE)")
    live = other.execute(LIVE.format("prices"))
    conn.execute("INSERT INTO ev VALUES ('a', 5)")
    assert live.fetchone() == ("a", 5, None)
    conn.execute("INSERT INTO prices VALUES ('a', 4, 1.5), ('a', 6, 2.5), ('b', 0, 9.0)")
    conn.execute("INSERT INTO ev VALUES ('a', 5), (NULL, 1)")
    assert sorted(map(repr, live.fetchmany(2))) == ["('a', 5, 1.5)", "(None, 1, None)"]
    conn.execute("INSERT INTO ev VALUES ('b', 5), ('c', 5)")
    assert sorted(map(repr, live.fetchmany(2))) == ["('b', 5, 9.0)", "('c', 5, None)"]
    live.close()


def test_a_live_result_resumes_at_an_offset_and_ends_by_limit(market: Connection) -> None:
    market.execute("CREATE TOPIC ev (sym VARCHAR, at BIGINT)")
    for at in (1, 5, 9):
        market.execute(f"INSERT INTO ev VALUES ('a', {at})")
    query = "SELECT e._offset, p.at FROM subscribe('ev', from => 1) e ASOF JOIN prices p ON e.sym = p.sym AND e.at > p.at LIMIT 2"
    assert rows(market, query) == [(1, 0), (2, 5)]
    bounded = "SELECT max(p.at), count(*) FROM subscribe('ev', until => 'latest') ASOF JOIN prices p ON subscribe.sym = p.sym AND subscribe.at > p.at"
    assert rows(market, bounded) == [(5, 3)]


def test_an_unbounded_subscribe_is_the_left_side_only(market: Connection) -> None:
    market.execute("CREATE TOPIC ev (sym VARCHAR, at BIGINT)")
    with unbounded():
        market.execute("SELECT * FROM prices p ASOF JOIN subscribe('ev') e ON e.sym = p.sym AND p.at >= e.at")
    with unbounded():
        market.execute("SELECT count(*) FROM subscribe('ev') e ASOF JOIN prices p ON e.sym = p.sym AND e.at >= p.at")
    with unbounded():
        market.execute(
            "CREATE TABLE x AS SELECT e.sym FROM subscribe('ev') e ASOF JOIN prices p ON e.sym = p.sym AND e.at >= p.at"
        )
    assert (
        rows(
            market,
            "SELECT p.bid FROM trades p0 ASOF JOIN subscribe('ev', until => 'latest') e ON p0.sym = e.sym AND p0.at >= e.at, prices p",
        )
        == []
    )


class Watched(LazyDataset):
    """A relation of many batches that counts those it was asked for."""

    def __init__(self, batches: int, size: int, keys: int = 3) -> None:
        super().__init__(pa.schema([("k", pa.int64()), ("t", pa.int64())]))
        self.made = 0
        self.filters: list[str] = []
        self._shape = (batches, size, keys)

    def plan(self, columns: Sequence[str] | None, filter: Any) -> None:  # noqa: A002
        self.filters.append(str(filter))

    def produce(
        self,
        scan: None,
        partition: int,
        columns: Sequence[str] | None,
        filter: Any,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        batches, size, keys = self._shape
        for number in range(batches):
            self.made += 1
            times = np.arange(number * size, (number + 1) * size)
            batch = pa.RecordBatch.from_arrays([pa.array(times % keys), pa.array(times)], schema=self._schema)
            batch = batch if filter is None else batch.filter(filter)
            yield batch if columns is None else batch.select(list(columns))


@pytest.mark.in_process("looks into the engine, or holds it at a point")
def test_a_live_event_reads_only_its_own_keys_and_times_of_the_right_side(conn: Connection) -> None:
    conn.execute("CREATE TOPIC ev (k BIGINT, t BIGINT)")
    right = Watched(10, 100)
    session: Any = conn._port
    with inserted_relations(session.relations, {"r": right}):
        live = conn.execute("SELECT e.t, r.t FROM subscribe('ev', from => 0) e ASOF JOIN r ON e.k = r.k AND e.t > r.t")
    right.filters.clear()
    conn.execute("INSERT INTO ev VALUES (1, 50), (2, 70)")
    assert sorted(live.fetchmany(2)) == [(50, 49), (70, 68)]
    seen = " ".join(right.filters)
    assert "t <= 70" in seen and "k == 1" in seen, seen
    live.close()


# --- streams, bounded memory, and ends ---


@pytest.mark.in_process("looks into the engine, or holds it at a point")
def test_the_left_side_is_read_as_a_stream_and_only_as_far_as_needed(conn: Connection) -> None:
    left, right = Watched(10_000, 1_000), Watched(5, 1_000)
    session: Any = conn._port
    with inserted_relations(session.relations, {"l": left, "r": right}):
        cursor = conn.execute("SELECT l.t, r.t FROM l ASOF JOIN r ON l.k = r.k AND l.t >= r.t")
        assert all(left == right for left, right in cursor.fetchmany(2_000))
        assert left.made < 500
        cursor.close()
        assert len(rows(conn, "SELECT l.t FROM l ASOF JOIN r ON l.k = r.k AND l.t >= r.t LIMIT 10")) == 10
    assert left.made < 1_000


@pytest.mark.parametrize("limit", ["64M", "none"])
def test_a_right_side_larger_than_the_memory_limit_is_merged(conn: Connection, tmp_path: Path, limit: str) -> None:
    count, keys = 200_000, 1_000
    times = np.random.default_rng(7).permutation(count)
    text = pa.array([f"{number:0500d}" for number in range(1_000)]).take(pa.array(times % 1_000))
    pq.write_table(
        pa.table({"k": times % keys, "t": times, "text": text}), tmp_path / "r.parquet", row_group_size=20_000
    )
    pq.write_table(pa.table({"k": times % keys, "t": times + keys // 2}), tmp_path / "l.parquet", row_group_size=20_000)
    conn.execute(f"SET jammi.memory_limit = '{limit}'")
    query = f"FROM '{tmp_path}/l.parquet' l ASOF JOIN '{tmp_path}/r.parquet' r ON l.k = r.k AND l.t >= r.t"
    ((found, length, wrong),) = rows(
        conn, f"SELECT count(*), sum(length(r.text)), sum(CASE WHEN r.t = l.t - {keys // 2} THEN 0 ELSE 1 END) {query}"
    )
    assert (found, length, wrong) == (count, count * 500, 0)


@pytest.mark.in_process("looks into the engine, or holds it at a point")
def test_a_right_side_larger_than_the_memory_that_a_server_gives_is_merged(conn: Connection) -> None:
    def open_to(path: str) -> None:
        """Every file is."""

    session = conn.engine.sql_session(None, access=Access(open_to, open_to, memory_limit=64 << 20))
    right = "SELECT value % 100 AS k, value AS t, repeat('x', 490) || (value + 1000000000) AS text FROM generate_series(1, 200000)"
    found = session.execute(
        "SELECT count(*), sum(length(r.text)) FROM (SELECT value % 100 AS k, value AS t FROM generate_series(1, 200000)) l "
        f"ASOF JOIN ({right}) r ON l.k = r.k AND l.t >= r.t"
    )
    assert [list(row.values()) for row in found.reader().read_all().to_pylist()] == [[200_000, 200_000 * 500]]
    session.close()


@pytest.mark.in_process("looks into the engine, or holds it at a point")
def test_cancelling_ends_it_while_the_right_side_is_read(conn: Connection) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Watched):
        def produce(self, scan: None, partition: int, columns: Any, filter: Any) -> Iterator[pa.RecordBatch]:  # noqa: A002
            for batch in super().produce(scan, partition, columns, None):
                begun.set()
                go_on.wait(50)
                yield batch

    session: Any = conn._port
    right = Slow(10_000, 10)

    def run() -> None:
        with inserted_relations(session.relations, {"r": right}):
            conn.execute("SELECT * FROM (SELECT 1 AS k, 1 AS t) l ASOF JOIN r ON l.k = r.k AND l.t >= r.t")

    with fails("57014", errors.OperationalError, hint=False):
        with background(run):
            assert begun.wait(50)
            session.cancel()
            go_on.set()
    assert right.made < 10_000


def test_either_side_may_be_an_attached_database(conn: Connection, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "market.db")) as file:  # before the engine opens it
        file.execute("CREATE TABLE prices (sym TEXT, at INTEGER, bid REAL)")
        file.execute("CREATE TABLE trades (sym TEXT, at INTEGER, qty INTEGER)")
        file.execute("INSERT INTO prices VALUES ('a', 0, 1.0), ('a', 5, 1.5), ('b', 4, 2.0)")
        file.execute("INSERT INTO trades VALUES ('a', 1, 1), ('a', 7, 2), ('b', 3, 3)")
        file.commit()
    conn.execute(f"ATTACH 'sqlite:///{tmp_path}/market.db' AS m")
    conn.execute("CREATE TOPIC ev (sym VARCHAR, at BIGINT)")
    conn.execute("INSERT INTO ev VALUES ('a', 6)")
    join = "ASOF JOIN m.main.prices p ON x.sym = p.sym AND x.at >= p.at"
    for pushdown in ("on", "off"):
        conn.execute(f"SET jammi.pushdown = {pushdown}")
        assert rows(conn, f"SELECT x.qty, p.bid FROM m.main.trades x {join} ORDER BY 1") == [(1, 1.0), (2, 1.5)]
        assert rows(conn, f"SELECT x.at, p.bid FROM subscribe('ev', from => 0) x {join} LIMIT 1") == [(6, 1.5)]


def test_a_statement_in_a_transaction_sees_its_own_rows(market: Connection) -> None:
    market.execute("BEGIN")
    market.execute("INSERT INTO prices VALUES ('b', 2, 4.5)")
    assert values(market, f"SELECT bid FROM {JOIN} WHERE qty = 3") == [4.5]
    market.execute("ROLLBACK")
    assert values(market, f"SELECT bid FROM {JOIN} WHERE qty = 3") == []
