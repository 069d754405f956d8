"""INSERT INTO a topic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql.dbapi import Connection

from .language import fails, rows, unbounded, value, values


@pytest.fixture
def topic(conn: Connection) -> Iterator[Connection]:
    conn.execute("CREATE TOPIC t (a INT NOT NULL, b VARCHAR)")
    yield conn


def test_one_insert_is_one_batch_with_one_offset(topic: Connection) -> None:
    assert topic.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL)").rowcount == 3
    assert topic.execute("INSERT INTO t SELECT 4, 'z'").rowcount == 1
    assert rows(topic, "SELECT _offset, _row_idx, a, b FROM t ORDER BY 1, 2") == [
        (0, 0, 1, "x"),
        (0, 1, 2, "y"),
        (0, 2, 3, None),
        (1, 0, 4, "z"),
    ]


def test_columns_may_come_in_any_order_and_the_others_are_null(topic: Connection) -> None:
    topic.execute("INSERT INTO t (b, a) VALUES ('x', 1)")
    topic.execute("INSERT INTO t (a) VALUES (2)")
    topic.execute("INSERT INTO t (a) SELECT 3")
    assert rows(topic, "SELECT a, b FROM t ORDER BY a") == [(1, "x"), (2, None), (3, None)]


def test_values_are_coerced_as_datafusion_does(topic: Connection) -> None:
    topic.execute("INSERT INTO t VALUES ('7', 8)")
    topic.execute("INSERT INTO t VALUES (7.0, true)")
    assert rows(topic, "SELECT a, b FROM t ORDER BY _offset") == [(7, "8"), (7, "true")]


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("INSERT INTO t (a, nothing) VALUES (1, 2)", "42703"),
        ("INSERT INTO t (a, a) VALUES (1, 2)", "42701"),
        ("INSERT INTO t (_offset, a) VALUES (1, 2)", "42703"),
        ("INSERT INTO t VALUES (1)", "42601"),
        ("INSERT INTO t VALUES (1, 'x', 3)", "42601"),
        ("INSERT INTO t VALUES", "42601"),
        ("INSERT INTO t", "42601"),
        ("INSERT t", "42601"),
        ("INSERT INTO t SELECT nothing FROM t", "42703"),
        ("INSERT INTO t SELECT * FROM nothing", "42P01"),
        ("INSERT INTO t VALUES (1, no_such_function())", "42883"),
        ("INSERT INTO jammi.system.topics VALUES (1)", "42809"),
        ("INSERT INTO t VALUES (1, 'x') RETURNING nothing", "42703"),
        ("INSERT INTO t VALUES (1, 'x') RETURNING", "42601"),
    ],
)
def test_a_statement_that_cannot_be_run_publishes_nothing(topic: Connection, statement: str, sqlstate: str) -> None:
    with pytest.raises(topic.ProgrammingError) as raised:
        topic.execute(statement)
    assert raised.value.hint
    assert raised.value.sqlstate == sqlstate or (sqlstate[:2] == "42" and raised.value.sqlstate in ("42000", "42601"))
    assert value(topic, "SELECT count(*) FROM t") == 0
    assert values(topic, "SELECT next_offset FROM jammi.system.topics") == [0]


def test_the_engines_columns_cannot_be_written(topic: Connection) -> None:
    for column in ("_offset", "_row_idx", "_produced_at", "_tenant_id"):
        with pytest.raises(topic.ProgrammingError):
            topic.execute(f"INSERT INTO t (a, {column}) VALUES (1, NULL)")


@pytest.mark.parametrize(
    "source",
    [
        "VALUES (1, 'x'), (NULL, 'y')",
        "(b) VALUES ('x')",
        "SELECT CASE WHEN value = 70000 THEN NULL ELSE value END, 'x' FROM range(100000)",
    ],
)
def test_not_null_is_enforced_and_the_whole_statement_fails(topic: Connection, source: str) -> None:
    with fails("23502", topic.IntegrityError, says="a"):
        topic.execute(f"INSERT INTO t {source}")
    assert value(topic, "SELECT count(*) FROM t") == 0
    assert values(topic, "INSERT INTO t VALUES (1, 'x') RETURNING _offset") == [0]


def test_a_failing_row_anywhere_publishes_nothing(topic: Connection) -> None:
    with pytest.raises(topic.DataError):
        topic.execute(
            "INSERT INTO t SELECT CAST(CASE WHEN value = 150000 THEN 'x' ELSE '1' END AS INT), 'y' FROM range(200000)"
        )
    assert value(topic, "SELECT count(*) FROM t") == 0
    assert values(topic, "SELECT next_offset FROM jammi.system.topics") == [0]


def test_a_large_insert_is_consecutive_batches_in_order(conn: Connection) -> None:
    conn.execute("CREATE TOPIC big (n BIGINT)")
    assert conn.execute("INSERT INTO big SELECT value FROM range(200000)").rowcount == 200_000
    assert rows(conn, "SELECT _offset, count(*), min(_row_idx), max(_row_idx) FROM big GROUP BY 1 ORDER BY 1") == [
        (0, 65536, 0, 65535),
        (1, 65536, 0, 65535),
        (2, 65536, 0, 65535),
        (3, 3392, 0, 3391),
    ]
    assert value(conn, "SELECT sum(n) FROM big") == 199_999 * 100_000
    assert value(conn, "SELECT count(DISTINCT n) FROM big") == 200_000


@pytest.mark.parametrize(("count", "offsets"), [(65_535, 1), (65_536, 1), (65_537, 2), (131_072, 2)])
def test_up_to_65536_rows_are_one_batch(conn: Connection, count: int, offsets: int) -> None:
    conn.execute("CREATE TOPIC big (n BIGINT)")
    conn.execute(f"INSERT INTO big SELECT value FROM range({count})")
    assert values(conn, "SELECT next_offset FROM jammi.system.topics") == [offsets]
    assert value(conn, "SELECT count(*) FROM big") == count


def test_an_insert_of_no_rows_publishes_no_batch(topic: Connection) -> None:
    assert topic.execute("INSERT INTO t SELECT 1, 'x' WHERE false").rowcount == 0
    assert rows(topic, "INSERT INTO t SELECT 1, 'x' WHERE false RETURNING _offset") == []
    assert values(topic, "SELECT next_offset FROM jammi.system.topics") == [0]


def test_a_topic_may_be_inserted_into_itself(topic: Connection) -> None:
    topic.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    for expected in (4, 8, 16):
        topic.execute("INSERT INTO t SELECT a, b FROM t")
        assert value(topic, "SELECT count(*) FROM t") == expected
    topic.execute("INSERT INTO t SELECT a, b FROM subscribe('t', until => 'latest')")
    assert value(topic, "SELECT count(*) FROM t") == 32


def test_a_bounded_subscribe_may_be_the_source_and_an_unbounded_one_not(topic: Connection) -> None:
    topic.execute("INSERT INTO t VALUES (1, 'x')")
    statement = "INSERT INTO t SELECT a, b FROM subscribe('t', from => 'earliest')"
    with unbounded(at=statement.index("subscribe")):
        topic.execute(statement)
    with unbounded():
        topic.execute("CREATE TOPIC u AS SELECT a FROM subscribe('t')")
    with unbounded():
        topic.execute("CREATE TEMP TABLE u AS SELECT a FROM subscribe('t')")
    with fails("0A000", topic.NotSupportedError):
        topic.execute("CREATE VIEW u AS SELECT a FROM subscribe('t')")
    assert value(topic, "SELECT count(*) FROM t") == 1
    assert values(topic, "SELECT name FROM jammi.system.topics") == ["t"]


def test_copy_to_of_an_unbounded_subscribe_is_refused(topic: Connection, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    with unbounded():
        topic.execute(f"COPY (SELECT a FROM subscribe('t')) TO '{target}' STORED AS PARQUET")
    assert not target.exists()
    topic.execute("INSERT INTO t VALUES (1, 'x')")
    topic.execute(f"COPY (SELECT a FROM subscribe('t', until => 'latest')) TO '{target}' STORED AS PARQUET")
    assert target.exists()


def test_returning_gives_offsets_and_what_was_written(topic: Connection) -> None:
    statement = "INSERT INTO t VALUES ('7', 'x'), (8, 'y') RETURNING _offset, _row_idx, a * 10 AS ten, upper(b)"
    cursor = topic.execute(statement)
    assert [column[0] for column in cursor.description or []][:3] == ["_offset", "_row_idx", "ten"]
    assert cursor.fetchall() == [(0, 0, 70, "X"), (0, 1, 80, "Y")]
    star = topic.execute("INSERT INTO t VALUES (9, 'z') RETURNING *").fetch_arrow_table()
    assert star.num_rows == 1
    assert {"a", "b", "_offset"} <= set(star.column_names)
    assert rows(topic, "INSERT INTO t VALUES (?, ?) RETURNING t.a, a + ?", [5, "w", 1]) == [(5, 6)]


def test_the_row_count_of_returning_is_the_number_of_rows(topic: Connection) -> None:
    assert topic.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y') RETURNING a").rowcount == 2


def test_executemany_is_one_statement_with_all_rows(topic: Connection) -> None:
    cursor = topic.cursor()
    cursor.executemany("INSERT INTO t VALUES (?, ?)", [(number, str(number)) for number in range(1000)])
    assert cursor.rowcount == 1000
    assert value(topic, "SELECT count(*) FROM t") == 1000
    cursor.executemany(
        "INSERT INTO t (b, a) VALUES (:name, :number + 1)", [{"name": "x", "number": 1}, {"name": None, "number": 2}]
    )
    assert rows(topic, "SELECT a, b FROM t WHERE _offset = (SELECT max(_offset) FROM t) ORDER BY a") == [
        (2, "x"),
        (3, None),
    ]
    cursor.executemany("INSERT INTO t VALUES (?, ?)", [])
    assert value(topic, "SELECT count(*) FROM t") == 1002


@pytest.mark.parametrize("bad", [(None, "x"), ("many", "x"), (2**40, "x")])
def test_executemany_is_all_or_nothing(topic: Connection, bad: tuple[object, object]) -> None:
    cursor = topic.cursor()
    parameters: list[tuple[object, object]] = [(number, "x") for number in range(100)]
    with pytest.raises(topic.Error):
        cursor.executemany("INSERT INTO t VALUES (?, ?)", [*parameters, bad])
    assert value(topic, "SELECT count(*) FROM t") == 0
    with pytest.raises(topic.Error):
        cursor.executemany("INSERT INTO t SELECT CAST(? AS INT), ?", [*parameters, bad])
    assert value(topic, "SELECT count(*) FROM t") == 0
    assert values(topic, "INSERT INTO t VALUES (1, 'x') RETURNING _offset") == [0]


def test_executemany_takes_arrow_data(topic: Connection) -> None:
    cursor = topic.cursor()
    cursor.executemany("INSERT INTO t VALUES ($1, $2)", pa.table({"a": [1, 2], "b": ["x", None]}))
    assert rows(topic, "SELECT a, b FROM t ORDER BY a") == [(1, "x"), (2, None)]


def test_a_temporary_table_and_a_file_may_be_the_source(topic: Connection, tmp_path: Path) -> None:
    topic.execute("CREATE TEMP TABLE s AS VALUES (1, 'x'), (2, 'y')")
    topic.execute("INSERT INTO t SELECT * FROM s")
    target = tmp_path / "rows.parquet"
    topic.execute(f"COPY (SELECT 3 AS a, 'z' AS b) TO '{target}' STORED AS PARQUET")
    topic.execute(f"CREATE EXTERNAL TABLE files STORED AS PARQUET LOCATION '{target}'")
    topic.execute("INSERT INTO t SELECT * FROM files")
    assert values(topic, "SELECT a FROM t ORDER BY a") == [1, 2, 3]


def test_insert_from_with_and_table_words(topic: Connection) -> None:
    topic.execute("INSERT INTO t WITH s AS (SELECT 1 AS x) SELECT x, 'with' FROM s")
    topic.execute("INSERT INTO TABLE t VALUES (2, 'table')")
    topic.execute("INSERT INTO t (SELECT 3, 'parens')")
    topic.execute("INSERT INTO t SELECT 4, 'a' UNION ALL SELECT 5, 'b'")
    assert values(topic, "SELECT a FROM t ORDER BY a") == [1, 2, 3, 4, 5]


def test_offsets_have_no_gaps_after_failures(topic: Connection) -> None:
    for number in range(6):
        if number % 2:
            with pytest.raises(topic.Error):
                topic.execute("INSERT INTO t VALUES (NULL, 'x')")
        else:
            topic.execute(f"INSERT INTO t VALUES ({number}, 'x')")
    assert values(topic, "SELECT _offset FROM t ORDER BY 1") == [0, 1, 2]


def test_on_conflict_belongs_to_tables(topic: Connection) -> None:
    with pytest.raises(topic.Error) as raised:
        topic.execute("INSERT INTO t VALUES (1, 'x') ON CONFLICT DO NOTHING")
    assert raised.value.sqlstate in ("0A000", "42601", "42809")
    assert value(topic, "SELECT count(*) FROM t") == 0
