"""What is not the dialect's is DataFusion's, byte for byte."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import datafusion
import pyarrow as pa
import pytest

from jammi_sql.dbapi import Connection

from .language import rows, value, values

QUERIES = [
    "SELECT a, b FROM (VALUES (1, 'x'), (2, 'y'), (2, 'z')) AS v(a, b) QUALIFY row_number() OVER (PARTITION BY a ORDER BY b DESC) = 1 ORDER BY a",
    "SELECT * EXCLUDE (b) FROM (VALUES (1, 'x')) AS v(a, b)",
    "SELECT * EXCEPT (b) FROM (VALUES (1, 'x')) AS v(a, b)",
    "SELECT * REPLACE (a * 10 AS a) FROM (VALUES (1, 'x')) AS v(a, b)",
    "SELECT array_sort([3, 1, 2]), array_append([1], 2), [1, 2, 3][2], [1, 2, 3][1:2], make_array()",
    "SELECT unnest([1, 2, 3]) AS u ORDER BY u",
    "SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2), (3)) AS v(a)",
    "SELECT a, count(*) FROM (VALUES (1), (1), (2)) AS v(a) GROUP BY ROLLUP (a) ORDER BY a NULLS LAST",
    "SELECT a FROM (VALUES (1), (2)) AS v(a) GROUP BY GROUPING SETS ((a), ()) ORDER BY 1",
    "SELECT {'a': 1, 'b': 'x'}",
    "SELECT named_struct('a', 1)['a']",
    "SELECT map {'k': 1}['k']",
    "SELECT 'a' || 'b', 7 % 3, 2 ^ 3, 1 << 4, 5 & 3",
    "SELECT DATE '2024-01-31' + INTERVAL '1 month'",
    "SELECT E'a\\nb', X'00ff', $$dollar$$, $tag$it's$tag$",
    "SELECT 'FROM subscribe(''t'')', \"a?b\" FROM (SELECT 1 AS \"a?b\")",
    "SELECT 1 AS subscribe, 2 AS topic, 3 AS tenant, 4 AS returning, 5 AS until",
    "SELECT TRY_CAST('x' AS INT), CAST('1' AS BIGINT), '2'::INT, arrow_cast(1, 'UInt8')",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
    "SELECT CASE WHEN 1 = 1 THEN 'a' ELSE 'b' END, coalesce(NULL, 1), nullif(1, 1)",
    "SELECT EXTRACT(YEAR FROM DATE '2024-02-29'), date_part('dow', DATE '2024-02-29'), substring('abc' FROM 2 FOR 1), trim(BOTH 'x' FROM 'xax')",
    "SELECT 1 IS DISTINCT FROM NULL, 1 IS NOT DISTINCT FROM 1, 'a' LIKE 'A', 'a' ILIKE 'A', 'a' ~ '^a', 'a' SIMILAR TO 'a'",
    "SELECT * FROM generate_series(1, 3)",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM (VALUES (1.0), (2.0), (3.0)) AS v(a)",
    "SELECT count(*) FILTER (WHERE a > 1), string_agg(b, ',' ORDER BY b) FROM (VALUES (1, 'x'), (2, 'y')) AS v(a, b)",
    "VALUES (1, 'x'), (2, 'y')",
    "SELECT 1 AS a UNION ALL SELECT 2 INTERSECT SELECT 2 ORDER BY a",
    "SELECT a FROM (VALUES (1), (2), (NULL)) AS v(a) ORDER BY a DESC NULLS LAST LIMIT 2 OFFSET 1",
    "SELECT 1.0 / 0, 9223372036854775807 + 1, -7 / 2, -7 % 3, 0.1 + 0.2",
    "FROM (VALUES (1)) AS v(a) SELECT a",
    "SELECT v.* FROM (VALUES (1)) AS v(a), LATERAL (SELECT 1) AS w",
    "SELECT regexp_replace('a.b', '\\.', '-'), split_part('a:b', ':', 2), 'C:\\dir'",
    "SELECT /* hint */ 1 -- end",
]


@pytest.mark.parametrize("statement", QUERIES)
def test_a_query_means_what_it_means_in_datafusion(conn: Connection, statement: str) -> None:
    config = datafusion.SessionConfig(
        {"datafusion.sql_parser.map_string_types_to_utf8view": "false", "datafusion.execution.time_zone": "UTC"}
    )
    expected = datafusion.SessionContext(config).sql(statement).to_arrow_table()
    found = conn.execute(statement).fetch_arrow_table()
    assert found.schema.names == expected.schema.names
    assert found.schema.types == expected.schema.types
    assert found.to_pylist() == expected.to_pylist()


def test_external_tables_and_copy_to(conn: Connection, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    conn.execute("CREATE TOPIC t (a INT, b VARCHAR)")
    conn.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    for kind in ("parquet", "csv", "json"):
        target = folder / f"t.{kind}"
        conn.execute(f"COPY (SELECT a, b FROM t ORDER BY a) TO '{target}' STORED AS {kind.upper()}")
        assert target.exists()
        options = " OPTIONS ('format.has_header' 'true')" if kind == "csv" else ""
        conn.execute(f"CREATE EXTERNAL TABLE {kind}_file STORED AS {kind.upper()} LOCATION '{target}'{options}")
        assert [tuple(map(str, row)) for row in rows(conn, f"SELECT a, b FROM {kind}_file ORDER BY a")] == [
            ("1", "x"),
            ("2", "y"),
        ]
        assert value(conn, f"SELECT count(*) FROM t JOIN {kind}_file AS f ON t.b = f.b") == 2
        conn.execute(f"DROP TABLE {kind}_file")
    conn.execute(f"COPY t TO '{folder}/whole.parquet'")
    assert (folder / "whole.parquet").exists()


def test_temporary_tables_live_in_memory_in_the_session(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TEMP TABLE k (a INT, b VARCHAR)")
    assert conn.execute("INSERT INTO k VALUES (1, 'x'), (2, 'y')").rowcount == 2
    conn.execute("INSERT INTO k (b, a) VALUES (?, ?)", ["z", 3])
    assert values(conn, "SELECT a FROM k ORDER BY a") == [1, 2, 3]
    with pytest.raises(other.ProgrammingError):
        other.execute("SELECT * FROM k")
    conn.execute("CREATE OR REPLACE TEMPORARY TABLE k AS SELECT 9 AS a")
    assert values(conn, "SELECT a FROM k") == [9]
    conn.execute("DROP TABLE k")
    with pytest.raises(conn.ProgrammingError):
        conn.execute("SELECT * FROM k")


def test_the_ways_to_create_a_temporary_table_from_a_query(conn: Connection) -> None:
    conn.execute("CREATE TEMP TABLE k AS SELECT ? AS a, 'x' AS b", [1])
    with pytest.raises(conn.ProgrammingError) as raised:
        conn.execute("CREATE TEMP TABLE k AS SELECT 2 AS a")
    assert raised.value.sqlstate == "42P07"
    conn.execute("CREATE TEMP TABLE IF NOT EXISTS k AS SELECT 2 AS a")
    assert rows(conn, "SELECT a, b FROM k") == [(1, "x")]
    conn.execute("CREATE OR REPLACE TEMP TABLE k AS SELECT a + 1 AS a, NULL AS b FROM k")
    assert rows(conn, "SELECT a, b FROM k") == [(2, None)]
    conn.execute('CREATE TEMP TABLE "Odd.Name" (a BIGINT) AS SELECT 3')
    assert values(conn, 'SELECT a FROM "Odd.Name"') == [3]
    conn.execute("CREATE TEMP TABLE s.k AS VALUES (4)")
    assert values(conn, "SELECT column1 FROM s.k") == [4]
    conn.execute("CREATE TEMP TABLE typed (a SMALLINT, b VARCHAR) AS VALUES (1, 'y')")
    assert conn.execute("SELECT a FROM typed").fetch_arrow_table().schema.field("a").type == pa.int16()
    with pytest.raises(conn.ProgrammingError) as unknown:
        conn.execute("CREATE TEMP TABLE n AS SELECT nothing FROM k")
    assert unknown.value.sqlstate == "42703"
    assert unknown.value.position == len("CREATE TEMP TABLE n AS SELECT ")


def test_an_insert_into_a_temporary_table_that_is_cancelled_at_any_moment_adds_all_or_nothing(conn: Connection) -> None:
    chance = random.Random(5)
    for _ in range(15):
        conn.execute("CREATE OR REPLACE TEMP TABLE k AS SELECT 0 AS a")
        timer = threading.Timer(chance.uniform(0.001, 0.05), conn.adbc_cancel)
        timer.start()
        try:
            done = conn.execute("INSERT INTO k SELECT value FROM generate_series(1, 100000)").rowcount == 100_000
        except conn.Error as error:
            assert error.sqlstate == "57014"
            done = False
        timer.join()
        assert value(conn, "SELECT count(*) FROM k") == (100_001 if done else 1)


def test_prepare_and_execute(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1), (2), (3)")
    conn.execute("PREPARE q(INT) AS SELECT a FROM t WHERE a > $1 ORDER BY a")
    assert values(conn, "EXECUTE q(1)") == [2, 3]
    conn.execute("INSERT INTO t VALUES (4)")
    assert values(conn, "EXECUTE q(2)") == [3, 4]
    conn.execute("DEALLOCATE q")
    with pytest.raises(conn.Error):
        conn.execute("EXECUTE q(1)")


def test_datafusions_own_settings(conn: Connection) -> None:
    conn.execute("SET datafusion.execution.batch_size = 100")
    assert rows(conn, "SHOW datafusion.execution.batch_size") == [("datafusion.execution.batch_size", "100")]
    assert max(batch.num_rows for batch in conn.execute("SELECT value FROM range(1000)").fetch_record_batch()) <= 100
    conn.execute("RESET datafusion.execution.batch_size")
    assert len(rows(conn, "SHOW ALL")) > 10
    with pytest.raises(conn.Error):
        conn.execute("SET datafusion.no_such_setting = 1")


def test_show_statements_of_datafusion(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    assert "t" in repr(rows(conn, "SHOW TABLES"))
    assert "a" in repr(rows(conn, "SHOW COLUMNS FROM t"))
    assert rows(conn, "SHOW FUNCTIONS LIKE 'abs'")
    assert rows(conn, "DESCRIBE SELECT 1 AS one")


def test_views_and_subqueries(conn: Connection) -> None:
    conn.execute("CREATE VIEW v (x, y) AS SELECT 1, 'z'")
    assert rows(conn, "SELECT x, y FROM v") == [(1, "z")]
    conn.execute("CREATE OR REPLACE VIEW v AS SELECT 2 AS x")
    assert values(conn, "SELECT x FROM v") == [2]
    with pytest.raises(conn.ProgrammingError):
        conn.execute("CREATE VIEW v AS SELECT 3 AS x")
    conn.execute("DROP VIEW v")
    conn.execute("DROP VIEW IF EXISTS v")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE OR REPLACE TABLE t (a INT)",
    ],
)
def test_what_is_not_built_yet_is_refused_with_a_hint(conn: Connection, statement: str) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    with pytest.raises(conn.NotSupportedError) as raised:
        conn.execute(statement)
    assert raised.value.sqlstate == "0A000"
    assert raised.value.hint
    assert raised.value.position is not None


def test_values_read_back_from_every_interface_are_equal(conn: Connection) -> None:
    statement = "SELECT value AS n, 'x' || value AS s FROM range(5) ORDER BY n"
    expected: list[tuple[Any, ...]] = [(number, f"x{number}") for number in range(5)]
    assert rows(conn, statement) == expected
    assert [tuple(row) for row in conn.execute(statement).fetch_df().itertuples(index=False)] == expected
    assert conn.execute(statement).fetch_polars().rows() == expected
    assert list(conn.execute(statement)) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1 AS x UNION SELECT 'a' ORDER BY x", [("1",), ("a",)]),
        ("SELECT 1 UNION ALL SELECT 2.5", [(1.0,), (2.5,)]),
        ("SELECT CASE WHEN true THEN 1 ELSE 'a' END", [("1",)]),
    ],
)
def test_types_that_are_coerced_late_are_those_of_the_rows(
    conn: Connection, query: str, expected: list[object]
) -> None:
    cursor = conn.execute(query)
    described = cursor.description
    assert sorted(cursor.fetchall()) == expected
    assert described is not None
    assert str(described[0][1]) == ("double" if isinstance(expected[0][0], float) else "string")  # type: ignore[index]
