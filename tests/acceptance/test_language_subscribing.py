"""SELECT ... FROM subscribe(...)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection

from .language import background, fails, rows, unbounded, until, value, values

ALL = "subscribe('t', until => 'latest')"


@pytest.fixture
def five(conn: Connection) -> Iterator[Connection]:
    """A topic with the offsets 0 to 4, two rows each."""
    conn.execute("CREATE TOPIC t (a INT, b VARCHAR)")
    for number in range(5):
        conn.execute(f"INSERT INTO t VALUES ({number}, 'x'), ({number}, 'y')")
    yield conn


# --- arguments ---


@pytest.mark.parametrize(
    ("arguments", "offsets"),
    [
        ("until => 'latest'", [0, 1, 2, 3, 4]),
        ("from => 'earliest', until => 'latest'", [0, 1, 2, 3, 4]),
        ("from => 2, until => 3", [2, 3]),
        ("until => 3, from => 2", [2, 3]),
        ("from => 2, until => 2", [2]),
        ("from => 3, until => 1", []),
        ("until => 0", [0]),
        ("from => 1 + 1, until => 2 * 2 - 1", [2, 3]),
        ("FROM => 'EARLIEST', UNTIL => 'Latest'", [0, 1, 2, 3, 4]),
        ("from => 'latest', until => 'latest'", []),
        ("from => 5, until => 'latest'", []),
        ("from => 99, until => 'latest'", []),
        ("from => TIMESTAMP '1999-01-01 00:00:00', until => 'latest'", [0, 1, 2, 3, 4]),
        ("from => TIMESTAMP '2200-01-01 00:00:00', until => 'latest'", []),
        ("until => TIMESTAMP '1999-01-01 00:00:00'", []),
        ("from => DATE '1999-01-01', until => 'latest'", [0, 1, 2, 3, 4]),
        ("from => now() - INTERVAL '1 hour', until => now()", [0, 1, 2, 3, 4]),
        ("from => 3, idle_timeout => INTERVAL '10 milliseconds'", [3, 4]),
        ("from => 3, until => 'latest', idle_timeout => INTERVAL '1 hour'", [3, 4]),
        ("from => 3, idle_timeout => 0.01", [3, 4]),
        ("from => 3, until => 99, idle_timeout => INTERVAL '10 milliseconds'", [3, 4]),
    ],
)
def test_the_arguments_choose_the_offsets(five: Connection, arguments: str, offsets: list[int]) -> None:
    expected = [offset for offset in offsets for _ in "xy"]
    assert values(five, f"SELECT _offset FROM subscribe('t', {arguments})") == expected
    if "until" in arguments:
        assert value(five, f"SELECT count(*) FROM subscribe('t', {arguments})") == len(expected)


def test_the_times_of_batches_are_bounds_that_include_them(five: Connection) -> None:
    times = dict(rows(five, "SELECT DISTINCT _offset, _produced_at FROM t"))
    first = min(offset for offset in times if times[offset] == times[2])
    last = max(offset for offset in times if times[offset] == times[2])
    parameters = [times[2]]
    assert min(values(five, "SELECT _offset FROM subscribe('t', from => ?, until => 'latest')", parameters)) == first
    assert max(values(five, "SELECT _offset FROM subscribe('t', until => ?)", parameters)) == last


@pytest.mark.parametrize("topic", ["'t'", "'T'", "'public.t'", "'jammi.public.t'", "'\"t\"'", "'t' || ''", "' t '"])
def test_the_topic_is_an_identifier_path(five: Connection, topic: str) -> None:
    if topic == "' t '":
        try:
            assert len(values(five, f"SELECT a FROM subscribe({topic}, until => 'latest')")) == 10
        except errors.InvalidParameter:
            pass
        return
    assert len(values(five, f"SELECT a FROM subscribe({topic}, until => 'latest')")) == 10


@pytest.mark.parametrize(
    ("style", "parameters"),
    [
        (
            "subscribe(?, from => ?, until => ?, idle_timeout => ?) WHERE b = ?",
            ["t", 1, 3, dt.timedelta(seconds=5), "x"],
        ),
        (
            "subscribe($1, until => $3, from => $2, idle_timeout => $4) WHERE b = $5",
            ["t", 1, 3, dt.timedelta(seconds=5), "x"],
        ),
        (
            "subscribe(:topic, from => :start, until => :stop, idle_timeout => :idle) WHERE b = :b",
            {"topic": "t", "start": 1, "stop": 3, "idle": dt.timedelta(seconds=5), "b": "x"},
        ),
    ],
)
def test_every_argument_may_be_a_parameter(five: Connection, style: str, parameters: object) -> None:
    assert values(five, f"SELECT a FROM {style}", parameters) == [1, 2, 3]


def test_text_may_hold_a_zero_byte(five: Connection) -> None:
    five.execute("INSERT INTO t VALUES (9, ?), (10, 'a\0b')", ["\0"])
    assert values(five, "SELECT b FROM subscribe('t', from => 5, until => 'latest')") == ["\0", "a\0b"]
    assert values(five, f"SELECT a FROM {ALL} WHERE b = 'a\0b'") == [10]


def test_a_parameter_may_be_a_word_or_an_aware_time(five: Connection) -> None:
    now = dt.datetime.now(dt.UTC)
    assert len(values(five, "SELECT a FROM subscribe('t', from => ?, until => ?)", ["earliest", "latest"])) == 10
    assert (
        len(values(five, "SELECT a FROM subscribe('t', from => ?, until => ?)", [now - dt.timedelta(days=1), now]))
        == 10
    )
    berlin = dt.timezone(dt.timedelta(hours=2))
    assert values(five, "SELECT a FROM subscribe('t', until => ?)", [dt.datetime(2000, 1, 1, tzinfo=berlin)]) == []


@pytest.mark.parametrize(
    ("call", "sqlstate"),
    [
        ("subscribe()", "42601"),
        ("subscribe('t', 1)", "42601"),
        ("subscribe('t', from => 1, from => 2)", "42601"),
        ("subscribe('t', since => 1)", "42601"),
        ("subscribe('t', from =>)", "42601"),
        ("subscribe('t',)", "42601"),
        ("subscribe('t'", "42601"),
        ("subscribe('t', from => -1)", "22023"),
        ("subscribe('t', from => 'soon')", "22023"),
        ("subscribe('t', from => NULL)", "22023"),
        ("subscribe('t', from => 1.5)", "22023"),
        ("subscribe('t', from => true)", "22023"),
        ("subscribe('t', until => 'earliest')", "22023"),
        ("subscribe('t', until => [1])", "22023"),
        ("subscribe('t', idle_timeout => 'soon')", "22023"),
        ("subscribe('t', idle_timeout => INTERVAL '0 seconds')", "22023"),
        ("subscribe('t', idle_timeout => INTERVAL '-1 second')", "22023"),
        ("subscribe('t', idle_timeout => NULL)", "22023"),
        ("subscribe(NULL)", "22023"),
        ("subscribe(1)", "22023"),
        ("subscribe('')", "22023"),
        ("subscribe('a..b')", "22023"),
        ("subscribe('nowhere')", "42P01"),
        ("subscribe('jammi.system.topics')", "42P01"),
        ("subscribe('t', from => nothing)", "42703"),
        ("subscribe('t', from => no_such_function())", "42883"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(five: Connection, call: str, sqlstate: str) -> None:
    statement = f"SELECT a FROM {call} LIMIT 1"
    with fails(sqlstate) as raised:
        five.execute(statement)
    position = raised.value.position
    assert position is not None
    assert statement.index("subscribe") <= position <= len(statement)


# --- bounded ---


def test_a_bounded_subscribe_is_a_relation_for_everything(five: Connection) -> None:
    assert value(five, f"SELECT sum(a) FROM {ALL}") == 20
    assert values(five, f"SELECT DISTINCT a FROM {ALL} ORDER BY a DESC") == [4, 3, 2, 1, 0]
    assert rows(five, f"SELECT b, count(*) FROM {ALL} GROUP BY b HAVING count(*) > 1 ORDER BY b") == [
        ("x", 5),
        ("y", 5),
    ]
    assert values(five, f"SELECT row_number() OVER (ORDER BY a, b) FROM {ALL} WHERE a < 2 ORDER BY 1") == [1, 2, 3, 4]
    assert values(five, f"SELECT a FROM {ALL} UNION SELECT 9 ORDER BY 1") == [0, 1, 2, 3, 4, 9]
    assert values(five, f"SELECT a FROM {ALL} EXCEPT SELECT 0 ORDER BY 1") == [1, 2, 3, 4]
    assert values(five, f"SELECT a FROM {ALL} WHERE a = (SELECT max(a) FROM {ALL})") == [4, 4]
    assert value(five, f"SELECT count(*) FROM {ALL} AS l JOIN {ALL} AS r ON l.a = r.a") == 20
    assert values(five, f"SELECT a FROM {ALL} ORDER BY a DESC, b LIMIT 2 OFFSET 1") == [4, 3]
    assert values(five, f"SELECT 1 WHERE 3 IN (SELECT a FROM {ALL})") == [1]
    assert values(five, f"SELECT s.a FROM (SELECT a FROM {ALL}) AS s WHERE s.a > 3") == [4, 4]
    assert value(five, f"WITH s AS (SELECT a FROM {ALL}) SELECT count(*) FROM s AS x, s AS y") == 100
    assert value(five, f"SELECT count(*) FROM t LEFT JOIN {ALL} AS s ON t.a = s.a + 100") == 10


def test_the_columns_are_those_of_the_topic(five: Connection) -> None:
    topic = five.execute("SELECT * FROM t").fetch_arrow_table().schema
    assert five.execute(f"SELECT * FROM {ALL}").fetch_arrow_table().schema.equals(topic)
    assert five.execute("SELECT * FROM subscribe('t', from => 0) LIMIT 1").fetch_arrow_table().schema.equals(topic)


@pytest.mark.parametrize(
    "source",
    [
        "subscribe('t', until => 'latest') AS s",
        "subscribe('t', until => 'latest') s",
        "subscribe('t', until => 'latest') \"s\"",
        "/* first */ SUBSCRIBE ( 't' /* topic */ , until /* when */ => 'latest' ) AS s -- end\n",
        "(SELECT * FROM subscribe('t', until => 'latest')) AS s",
    ],
)
def test_an_alias_qualifies_the_columns(five: Connection, source: str) -> None:
    assert values(five, f"SELECT s.a FROM {source} WHERE s.b = 'x'") == [0, 1, 2, 3, 4]


def test_without_an_alias_it_is_called_subscribe(five: Connection) -> None:
    assert values(five, f"SELECT subscribe.a FROM {ALL} WHERE subscribe.a > 3") == [4, 4]


def test_a_column_may_be_called_subscribe(conn: Connection) -> None:
    conn.execute("CREATE TOPIC subscribe (subscribe INT)")
    conn.execute("INSERT INTO subscribe VALUES (1)")
    assert values(conn, "SELECT subscribe FROM subscribe") == [1]
    assert values(conn, "SELECT subscribe FROM subscribe('subscribe', until => 'latest')") == [1]
    assert values(conn, "SELECT 'subscribe(''x'')'") == ["subscribe('x')"]


def test_rows_come_in_offset_order(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    for part in range(30):
        conn.execute(f"INSERT INTO t SELECT value FROM range({part * 3000}, {part * 3000 + 3000})")
    expected = list(range(90_000))
    assert conn.execute(f"SELECT a FROM {ALL}").fetch_arrow_table().column(0).to_pylist() == expected
    assert (
        conn.execute("SELECT a FROM subscribe('t', from => 0) LIMIT 90000").fetch_arrow_table().column(0).to_pylist()
        == expected
    )
    odd = conn.execute(f"SELECT a + 0 AS a FROM {ALL} WHERE abs(a) % 2 = 1").fetch_arrow_table().column(0).to_pylist()
    assert odd == expected[1::2]


# --- live ---


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT a FROM subscribe('t', from => 0) LIMIT 3", [0, 0, 1]),
        ("SELECT a FROM subscribe('t', from => 0) LIMIT 3 OFFSET 3", [1, 2, 2]),
        ("SELECT a FROM subscribe('t', from => 0) OFFSET 2 LIMIT 1", [1]),
        ("SELECT a FROM subscribe('t', from => 0) LIMIT 0", []),
        ("SELECT a * 2 FROM subscribe('t', from => 3) WHERE b = 'y' LIMIT 2", [6, 8]),
        ("SELECT upper(b) || a FROM subscribe('t', from => 4) WHERE abs(a) = 4 LIMIT 2", ["X4", "Y4"]),
        ("SELECT s.a FROM (SELECT a FROM subscribe('t', from => 0) WHERE b = 'x') AS s WHERE s.a > 2 LIMIT 2", [3, 4]),
        ("WITH s AS (SELECT a FROM subscribe('t', from => 0)) SELECT a FROM s LIMIT 2", [0, 0]),
        ("SELECT upper(b) FROM subscribe('t', from => 3) LIMIT 2", ["X", "Y"]),
        ("SELECT upper(b) AS u FROM subscribe('t', from => 3) AS s WHERE a > 3 LIMIT 1", ["X"]),
        ("SELECT NULL FROM subscribe('t', from => 3) LIMIT 1", [None]),
        ("SELECT count FROM (SELECT a AS count FROM subscribe('t', from => 3)) LIMIT 1", [3]),
        ("SELECT unnest([a, a + 1]) FROM subscribe('t', from => 3) LIMIT 3", [3, 4, 3]),
        ("SELECT a FROM subscribe('t', from => 3) WHERE a IN (SELECT max(a) FROM t) LIMIT 1", [4]),
        ("SELECT (SELECT max(a) FROM t) FROM subscribe('t', from => 3) LIMIT 1", [4]),
        ("SELECT s.a FROM subscribe('t', from => 3) AS s, (VALUES (3), (4)) AS v(x) WHERE s.a = v.x LIMIT 2", [3, 3]),
        ("SELECT CASE WHEN a > 3 THEN 'big' END FROM subscribe('t', from => 3) LIMIT 3", [None, None, "big"]),
        ("SELECT a FROM subscribe('t', from => 0) WHERE a IN (1, 4) AND b LIKE 'x%' LIMIT 2", [1, 4]),
    ],
)
def test_a_live_result_filters_projects_and_ends_by_limit(
    five: Connection, statement: str, expected: list[object]
) -> None:
    assert values(five, statement) == expected


def test_from_latest_is_the_default_and_fixed_when_the_statement_starts(five: Connection, other: Connection) -> None:
    cursor = five.execute("SELECT a FROM subscribe('t')")
    other.execute("INSERT INTO t VALUES (5, 'x')")
    other.execute("INSERT INTO t VALUES (6, 'x')")
    assert cursor.fetchone() == (5,)
    assert cursor.fetchone() == (6,)
    cursor.close()


def test_until_latest_is_fixed_when_the_statement_starts(five: Connection, other: Connection) -> None:
    cursor = five.execute("SELECT a FROM subscribe('t', from => 4, until => 'latest')")
    relation = five.execute(f"SELECT max(a) FROM {ALL}")
    other.execute("INSERT INTO t VALUES (5, 'x')")
    assert cursor.fetchall() == [(4,), (4,)]
    assert relation.fetchall() == [(4,)]


def test_until_an_offset_to_come_waits_for_it(five: Connection, other: Connection) -> None:
    for statement, expected in (
        ("SELECT a FROM subscribe('t', from => 5, until => 6)", [5, 6]),
        ("SELECT sum(a) FROM subscribe('t', from => 5, until => 8)", [26]),
    ):
        start = value(five, "SELECT next_offset FROM jammi.system.topics")

        def publish(first: int = start) -> None:
            for number in range(first, first + 2):
                other.execute(f"INSERT INTO t VALUES ({number}, 'x')")

        with background(publish):
            assert values(five, statement) == expected


def test_until_a_time_to_come_ends_when_it_is_over(five: Connection, other: Connection) -> None:
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(milliseconds=150)

    def publish() -> None:
        other.execute("INSERT INTO t VALUES (5, 'x')")
        until(lambda: dt.datetime.now(dt.UTC) > moment + dt.timedelta(milliseconds=20))
        other.execute("INSERT INTO t VALUES (6, 'x')")

    with background(publish):
        found = rows(five, "SELECT a, _produced_at FROM subscribe('t', from => 4, until => ?)", [moment])
    assert [row[0] for row in found[:2]] == [4, 4]
    assert all(row[1] <= moment for row in found)
    assert 6 not in [row[0] for row in found]
    later = dt.datetime.now(dt.UTC) + dt.timedelta(milliseconds=50)
    assert value(five, "SELECT count(*) FROM subscribe('t', until => ?)", [later]) == 12


def test_idle_timeout_ends_a_live_result(five: Connection) -> None:
    statement = "SELECT a FROM subscribe('t', from => 3, idle_timeout => INTERVAL '20 milliseconds')"
    assert values(five, statement) == [3, 3, 4, 4]
    assert five.execute(statement).fetch_arrow_table().num_rows == 4


@pytest.mark.parametrize("fetch", ["fetchall", "fetch_arrow_table", "fetch_df", "fetch_polars"])
def test_a_call_that_must_see_the_end_is_refused_at_once(five: Connection, fetch: str) -> None:
    cursor = five.execute("SELECT a FROM subscribe('t', from => 'earliest')")
    with unbounded():
        getattr(cursor, fetch)()
    assert cursor.fetchone() == (0,)  # the refusal cost nothing
    cursor.close()


def test_a_live_result_is_read_as_it_arrives(five: Connection, other: Connection) -> None:
    cursor = five.execute("SELECT a FROM subscribe('t', from => 4)")
    assert cursor.fetchmany(2) == [(4,), (4,)]
    with background(lambda: other.execute("INSERT INTO t VALUES (5, 'x'), (6, 'x')")):
        iterator = iter(cursor)
        assert next(iterator) == (5,)
        assert next(iterator) == (6,)
    cursor.close()
    reader = five.execute("SELECT a FROM subscribe('t', from => 4)").fetch_record_batch()
    assert next(reader).column(0).to_pylist()[:2] == [4, 4]


def test_a_live_result_is_an_async_iterator(five: Connection, other: Connection) -> None:
    async def read() -> list[int]:
        found: list[int] = []
        cursor = five.execute("SELECT a FROM subscribe('t', from => 4)")
        async for batch in cursor:
            found += batch.column(0).to_pylist()
            if len(found) == 2:
                await asyncio.to_thread(other.execute, "INSERT INTO t VALUES (5, 'x')")
            if len(found) >= 3:
                break
        cursor.close()
        return found

    assert asyncio.run(asyncio.wait_for(read(), 50)) == [4, 4, 5]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM subscribe('t')",
        "SELECT a, count(*) FROM subscribe('t') GROUP BY a",
        "SELECT a FROM subscribe('t') ORDER BY a",
        "SELECT a FROM subscribe('t') ORDER BY a LIMIT 1",
        "SELECT DISTINCT a FROM subscribe('t')",
        "SELECT DISTINCT a FROM subscribe('t') LIMIT 1",
        "SELECT row_number() OVER () FROM subscribe('t')",
        "SELECT a FROM subscribe('t') UNION ALL SELECT 1",
        "SELECT a FROM subscribe('t') UNION SELECT 1",
        "SELECT a FROM subscribe('t') EXCEPT SELECT 1",
        "SELECT a FROM subscribe('t') INTERSECT SELECT 1",
        "SELECT max(a) FROM (SELECT a FROM subscribe('t'))",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM subscribe('t'))",
        "SELECT a FROM t WHERE a IN (SELECT a FROM subscribe('t'))",
        "SELECT (SELECT max(a) FROM subscribe('t'))",
        "SELECT l.a FROM subscribe('t') AS l JOIN subscribe('t') AS r ON l.a = r.a",
        "SELECT t.a FROM t LEFT JOIN subscribe('t') AS s ON t.a = s.a",
        "SELECT t.a FROM subscribe('t') AS s FULL JOIN t ON t.a = s.a",
        "SELECT a FROM (SELECT a FROM subscribe('t') LIMIT 5) AS s ORDER BY a",
        "SELECT count(*) FROM subscribe('t', idle_timeout => INTERVAL '1 second')",
        "SELECT a, sum(a) OVER (PARTITION BY b) FROM subscribe('t')",
    ],
)
def test_what_needs_the_end_is_refused_over_an_unbounded_subscribe(five: Connection, statement: str) -> None:
    """Some of these could be answered some day; none may hang, or give a part for the whole."""
    with unbounded() as raised:
        five.execute(statement)
    assert raised.value.position is None or raised.value.position >= 0


# --- joins ---


def test_a_live_result_joins_tables_as_of_each_batch(five: Connection, other: Connection) -> None:
    five.execute("CREATE TEMP TABLE names AS VALUES (4, 'four'), (5, 'five')")
    statement = (
        "SELECT s.a, n.column2 FROM subscribe('t', from => 3) AS s LEFT JOIN names AS n ON s.a = n.column1 "
        "WHERE s.b = 'x' LIMIT 4"
    )
    cursor = five.execute(statement)
    assert cursor.fetchone() == (3, None)
    assert cursor.fetchone() == (4, "four")
    five.execute("INSERT INTO names VALUES (6, 'six')")
    other.execute("INSERT INTO t VALUES (6, 'x')")
    assert cursor.fetchone() == (6, "six")
    cursor.close()


def test_a_live_result_joins_a_topic_as_of_each_batch(five: Connection, other: Connection) -> None:
    five.execute("CREATE TOPIC prices (a INT, price INT)")
    five.execute("INSERT INTO prices VALUES (4, 40)")
    cursor = five.execute(
        "SELECT s.a, p.price FROM subscribe('t', from => 4) AS s JOIN prices AS p USING (a) WHERE s.b = 'x'"
    )
    assert cursor.fetchone() == (4, 40)
    other.execute("INSERT INTO prices VALUES (5, 50)")
    other.execute("INSERT INTO t VALUES (5, 'x')")
    assert cursor.fetchone() == (5, 50)
    cursor.close()


def test_a_live_result_joins_files(five: Connection, tmp_path: Path) -> None:
    target = tmp_path / "names.parquet"
    five.execute(
        f"COPY (SELECT * FROM (VALUES (3, 'three'), (4, 'four')) AS v(n, name)) TO '{target}' STORED AS PARQUET"
    )
    five.execute(f"CREATE EXTERNAL TABLE names STORED AS PARQUET LOCATION '{target}'")
    assert rows(
        five, "SELECT a, name FROM subscribe('t', from => 2) AS s, names WHERE s.a = names.n AND b = 'x' LIMIT 2"
    ) == [(3, "three"), (4, "four")]
    assert values(five, f"SELECT name FROM {ALL} AS s RIGHT JOIN names ON a = n WHERE b = 'y' ORDER BY n") == [
        "three",
        "four",
    ]


def test_the_subscription_may_stand_on_the_right_of_a_right_join(five: Connection) -> None:
    five.execute("CREATE TEMP TABLE names AS VALUES (4, 'four')")
    assert rows(
        five,
        "SELECT s.a, n.column2 FROM names AS n RIGHT JOIN subscribe('t', from => 3) AS s ON s.a = n.column1 "
        "WHERE s.b = 'x' LIMIT 2",
    ) == [(3, None), (4, "four")]


def test_a_live_result_joins_a_bounded_subscribe(five: Connection) -> None:
    assert rows(
        five,
        "SELECT l.a, r.b FROM subscribe('t', from => 4) AS l JOIN subscribe('t', until => 'latest') AS r "
        "ON l.a = r.a AND l.b = r.b LIMIT 2",
    ) == [(4, "x"), (4, "y")]


# --- views ---


def test_views_over_topics_read_the_topic_anew(five: Connection) -> None:
    five.execute("CREATE VIEW v AS SELECT a, b FROM t WHERE b = 'x'")
    assert value(five, "SELECT count(*) FROM v") == 5
    five.execute("INSERT INTO t VALUES (9, 'x')")
    assert value(five, "SELECT count(*) FROM v") == 6
    five.execute("DROP VIEW v")
    with fails("42P01"):
        five.execute("SELECT * FROM v")


def test_a_view_over_a_bounded_subscribe_is_refused_or_reads(five: Connection) -> None:
    try:
        five.execute(f"CREATE VIEW v AS SELECT a FROM {ALL}")
    except errors.NotSupportedError as error:
        assert error.hint
        return
    assert value(five, "SELECT count(*) FROM v") == 10
    five.execute("DROP VIEW v")


def test_a_temporary_table_keeps_what_a_bounded_subscribe_gave(five: Connection) -> None:
    five.execute(f"CREATE TEMP TABLE kept AS SELECT a FROM {ALL}")
    five.execute("INSERT INTO t VALUES (9, 'x')")
    assert value(five, "SELECT count(*) FROM kept") == 10
