"""UPDATE, DELETE and TRUNCATE of companion tables: expressions mean what they mean in a SELECT."""

from __future__ import annotations

import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection

from .language import fails, rows, value, values

pytestmark = pytest.mark.both_stores


@pytest.fixture
def t(conn: Connection) -> Connection:
    conn.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR, n INT NOT NULL DEFAULT 5)")
    conn.execute("INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20), (3, NULL, 30)")
    conn.execute("CREATE TABLE s (id INT, w VARCHAR)")
    conn.execute("INSERT INTO s VALUES (1, 'A'), (2, 'B'), (9, 'Z')")
    conn.execute("CREATE TOPIC e (id INT, amount INT)")
    conn.execute("INSERT INTO e VALUES (1, 5), (1, 6), (3, 7)")
    return conn


def content(conn: Connection) -> list[tuple[object, ...]]:
    return rows(conn, "SELECT * FROM t ORDER BY id")


def test_update_counts_the_rows_it_touches(t: Connection) -> None:
    assert t.execute("UPDATE t SET n = n").rowcount == 3
    assert t.execute("UPDATE t SET n = 1 WHERE id > 1").rowcount == 2
    assert t.execute("UPDATE t SET n = 1 WHERE v = 'nobody'").rowcount == 0
    assert t.execute("UPDATE t SET n = 2 WHERE v <> 'a'").rowcount == 1  # NULL is not different
    assert content(t) == [(1, "a", 10), (2, "b", 2), (3, None, 1)]


def test_all_expressions_see_the_row_as_it_was(t: Connection) -> None:
    t.execute("UPDATE t SET n = id, id = n")
    assert content(t) == [(10, "a", 1), (20, "b", 2), (30, None, 3)]
    t.execute("UPDATE t SET (n, v) = (n + 1, v || n)")
    assert content(t) == [(10, "a1", 2), (20, "b2", 3), (30, None, 4)]
    t.execute("UPDATE t SET (n, v) = ROW(DEFAULT, 'x') WHERE id = 10")
    assert rows(t, "SELECT n, v FROM t WHERE id = 10") == [(5, "x")]


def test_keys_may_be_shifted_and_swapped(t: Connection) -> None:
    t.execute("UPDATE t SET id = id + 1")
    assert values(t, "SELECT id FROM t ORDER BY id") == [2, 3, 4]
    t.execute("UPDATE t SET id = id - 1")
    t.execute("UPDATE t SET id = 3 - id WHERE id < 3")
    assert content(t) == [(1, "b", 20), (2, "a", 10), (3, None, 30)]
    t.execute("UPDATE t AS x SET id = y.id FROM t AS y WHERE x.id + y.id = 3 AND x.id < 3")
    assert content(t) == [(1, "a", 10), (2, "b", 20), (3, None, 30)]
    for statement in ("UPDATE t SET id = 1", "UPDATE t SET id = 2 WHERE id = 1", "UPDATE t SET id = id / 2"):
        with fails("23505", errors.IntegrityError):
            t.execute(statement)
    assert content(t) == [(1, "a", 10), (2, "b", 20), (3, None, 30)]


def test_many_keys_shift_at_once(conn: Connection, store_kind: str) -> None:
    count = 150_000 if store_kind == "sqlite" else 30_000  # of several batches
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, u BIGINT UNIQUE)")
    conn.execute(f"INSERT INTO t SELECT value, value AS u FROM range({count})")
    assert conn.execute("UPDATE t SET id = id + 1, u = -u").rowcount == count
    assert rows(conn, "SELECT min(id), max(id), min(u), max(u), count(*) FROM t") == [(1, count, 1 - count, 0, count)]
    with fails("23505", errors.IntegrityError):
        conn.execute(f"UPDATE t SET u = abs(u) % {count - 10_000}")
    assert rows(conn, "SELECT min(u), count(DISTINCT u) FROM t") == [(1 - count, count)]


def test_set_may_use_functions_sub_queries_topics_and_files(t: Connection, tmp_path: object) -> None:
    t.execute("UPDATE t SET v = upper(coalesce(v, 'none')) || '-' || lpad(CAST(id AS VARCHAR), 3, '0')")
    assert values(t, "SELECT v FROM t ORDER BY id") == ["A-001", "B-002", "NONE-003"]
    t.execute("UPDATE t SET n = (SELECT count(*) FROM s)")
    assert values(t, "SELECT DISTINCT n FROM t") == [3]
    t.execute("UPDATE t SET n = coalesce((SELECT sum(amount) FROM e WHERE e.id = t.id), 0)")
    assert values(t, "SELECT n FROM t ORDER BY id") == [11, 0, 7]
    t.execute("UPDATE t SET n = 100 WHERE id IN (SELECT id FROM e WHERE amount > 6)")
    t.execute("UPDATE t SET n = 200 WHERE EXISTS (SELECT 1 FROM s WHERE s.id = t.id AND s.w = 'A')")
    t.execute("UPDATE t SET n = 300 WHERE id NOT IN (SELECT id FROM e)")
    assert values(t, "SELECT n FROM t ORDER BY id") == [200, 300, 100]
    t.execute("UPDATE t SET n = CASE WHEN n > (SELECT avg(n) FROM t) THEN 1 ELSE 0 END")
    assert values(t, "SELECT n FROM t ORDER BY id") == [0, 1, 0]
    t.execute(f"COPY (SELECT 2 AS id, 77 AS m) TO '{tmp_path}/f.parquet' STORED AS PARQUET")
    t.execute(f"CREATE EXTERNAL TABLE f STORED AS PARQUET LOCATION '{tmp_path}/f.parquet'")
    t.execute("UPDATE t SET n = f.m FROM f WHERE f.id = t.id")
    assert values(t, "SELECT n FROM t ORDER BY id") == [0, 77, 0]
    t.execute("UPDATE t SET n = (SELECT max(a) FROM (SELECT amount AS a FROM subscribe('e', until => 'latest')))")
    assert values(t, "SELECT DISTINCT n FROM t") == [7]


def test_update_from_another_relation(t: Connection) -> None:
    assert t.execute("UPDATE t SET v = s.w FROM s WHERE s.id = t.id").rowcount == 2
    assert values(t, "SELECT v FROM t ORDER BY id") == ["A", "B", None]
    assert (
        t.execute("UPDATE t AS x SET v = y.w || x.v, n = DEFAULT FROM s AS y WHERE y.id = x.id AND x.id = 1").rowcount
        == 1
    )
    assert content(t)[0] == (1, "AA", 5)
    query = "UPDATE t SET n = q.total FROM (SELECT id, sum(amount) AS total FROM e GROUP BY id) AS q WHERE q.id = t.id"
    assert t.execute(query).rowcount == 2
    assert values(t, "SELECT n FROM t ORDER BY id") == [11, 20, 7]
    assert t.execute("UPDATE t SET v = a.w FROM s AS a JOIN s AS b ON a.id = b.id WHERE a.id = t.id").rowcount == 2
    assert t.execute("UPDATE t SET v = 'c' FROM s, e WHERE s.id = t.id AND e.id = s.id AND e.amount = 5").rowcount == 1
    assert (
        t.execute("UPDATE t SET v = y.v FROM (VALUES (1, 'one'), (3, 'three')) AS y (id, v) WHERE y.id = t.id").rowcount
        == 2
    )
    assert values(t, "SELECT v FROM t ORDER BY id") == ["one", "B", "three"]


def test_update_from_that_matches_a_row_twice_changes_nothing(t: Connection) -> None:
    before = content(t)
    for statement in (
        "UPDATE t SET v = s.w FROM s",
        "UPDATE t SET n = e.amount FROM e WHERE e.id = t.id",
        "UPDATE t SET n = 1 FROM e WHERE e.id = t.id",
    ):
        with fails("21000", says="more than once"):
            t.execute(statement)
        assert content(t) == before


def test_update_returning_has_the_new_values(t: Connection) -> None:
    assert sorted(rows(t, "UPDATE t SET n = n * 2 WHERE id < 3 RETURNING id, n, n + 1 AS m, upper(v)")) == [
        (1, 20, 21, "A"),
        (2, 40, 41, "B"),
    ]
    assert rows(t, "UPDATE t SET id = 100 WHERE id = 1 RETURNING *") == [(100, "a", 20)]
    assert rows(t, "UPDATE t SET n = 1 WHERE false RETURNING *") == []
    assert sorted(rows(t, "UPDATE t AS x SET v = s.w FROM s WHERE s.id = x.id RETURNING x.id, x.v")) == [(2, "B")]
    cursor = t.execute("UPDATE t SET n = 3 RETURNING id AS k")
    assert cursor.rowcount == 3
    assert [column[0] for column in cursor.description] == ["k"]


@pytest.mark.parametrize(
    ("statement", "sqlstate", "cls", "at"),
    [
        ("UPDATE nowhere SET n = 1", "42P01", errors.ProgrammingError, 7),
        ("UPDATE t SET nope = 1", "42703", errors.ProgrammingError, 13),
        ("UPDATE t SET n = nope", "42703", errors.ProgrammingError, 17),
        ("UPDATE t SET n = 1 WHERE nope = 1", "42703", errors.ProgrammingError, 25),
        ("UPDATE t SET n = 1, n = 2", "42701", errors.ProgrammingError, 20),
        ("UPDATE t SET (n, v) = (1)", "42601", errors.ProgrammingError, None),
        ("UPDATE t SET n = nope(1)", "42883", errors.ProgrammingError, None),
        ("UPDATE t SET n = x.m FROM x", "42P01", errors.ProgrammingError, None),
        ("UPDATE t SET s.id = 1 FROM s", "42703", errors.ProgrammingError, 13),
        ("UPDATE t SET n = NULL", "23502", errors.IntegrityError, None),
        ("UPDATE t SET n = nullif(n, 30)", "23502", errors.IntegrityError, None),
        ("UPDATE t SET id = NULL WHERE id = 3", "23502", errors.IntegrityError, None),
        ("UPDATE t SET n = 3000000000", "22003", errors.DataError, None),
        ("UPDATE t SET n = 'x'", "22P02", errors.DataError, None),
        ("UPDATE t SET n = [1]", "42804", errors.ProgrammingError, None),
        ("UPDATE t SET n = sum(n)", "42803", errors.ProgrammingError, None),
        ("UPDATE t SET n = (SELECT n FROM t)", "21000", errors.ProgrammingError, None),
        ("UPDATE t SET n = CAST(v AS INT)", "22P02", errors.DataError, None),
        ("UPDATE t SET n = 1 / (n - 30)", "22012", errors.DataError, None),
        ("UPDATE t SET n = 1 WHERE 1 / (n - 30) > 0", "22012", errors.DataError, None),
        ("UPDATE t SET n = 1 WHERE id = 'x'", "22P02", errors.DataError, None),
        ("UPDATE t SET n = 1 RETURNING nope", "42703", errors.ProgrammingError, 29),
        ("UPDATE t SET n = 1 RETURNING 1 / (id - 3)", "22012", errors.DataError, None),
        ("UPDATE t SET n = 1 WHERE", "42601", errors.ProgrammingError, 24),
        ("UPDATE t SET n = a FROM subscribe('e') AS q", None, errors.Error, None),
        ("DELETE FROM nowhere", "42P01", errors.ProgrammingError, 12),
        ("DELETE FROM t WHERE nope = 1", "42703", errors.ProgrammingError, 20),
        ("DELETE FROM t WHERE 1 / (n - 30) > 0", "22012", errors.DataError, None),
        ("DELETE FROM t RETURNING nope", "42703", errors.ProgrammingError, 24),
        ("DELETE FROM t RETURNING 1 / (id - 3)", "22012", errors.DataError, None),
        ("DELETE FROM t USING nowhere", "42P01", errors.ProgrammingError, 20),
        ("TRUNCATE TABLE nowhere", "42P01", errors.ProgrammingError, 15),
    ],
)  # fmt: skip
def test_what_fails_changes_nothing(
    t: Connection, statement: str, sqlstate: str | None, cls: type[errors.Error], at: int | None
) -> None:
    with fails(sqlstate or "0A000", cls, at=at):
        t.execute(statement)
    assert content(t) == [(1, "a", 10), (2, "b", 20), (3, None, 30)]


def test_delete(t: Connection) -> None:
    assert t.execute("DELETE FROM t WHERE v = 'a' OR v IS NULL").rowcount == 2
    assert content(t) == [(2, "b", 20)]
    assert rows(t, "DELETE FROM t AS x WHERE x.id = 2 RETURNING x.*, n * 2 AS m") == [(2, "b", 20, 40)]
    assert t.execute("DELETE FROM t").rowcount == 0


def test_delete_using_removes_each_row_once(t: Connection) -> None:
    assert t.execute("DELETE FROM t USING e WHERE e.id = t.id").rowcount == 2  # two events match the first row
    assert content(t) == [(2, "b", 20)]
    assert rows(t, "DELETE FROM t USING s AS a JOIN s AS b ON a.id = b.id WHERE a.id = t.id RETURNING t.id, v") == [
        (2, "b")
    ]


def test_delete_by_sub_query(t: Connection) -> None:
    assert t.execute("DELETE FROM t WHERE id IN (SELECT id FROM s) AND n > (SELECT min(n) FROM t)").rowcount == 1
    assert t.execute("DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM s WHERE s.id = t.id)").rowcount == 1
    assert values(t, "SELECT id FROM t") == [1]


def test_truncate_empties_and_keeps_the_table(t: Connection) -> None:
    t.execute("TRUNCATE TABLE t")
    assert content(t) == []
    t.execute("INSERT INTO t (id) VALUES (1)")
    assert content(t) == [(1, None, 5)]


def test_parameters_in_updates_and_deletes(t: Connection) -> None:
    assert t.execute("UPDATE t SET v = ?, n = n + ? WHERE id = ?", ["x", 5, 1]).rowcount == 1
    assert t.execute("UPDATE t SET v = concat($2, $1) WHERE id = $3", ["x", "y", 2]).rowcount == 1
    assert rows(t, "UPDATE t SET v = :v WHERE id = :id RETURNING v || :v", {"v": "q", "id": 3}) == [("qq",)]
    assert t.execute("UPDATE t SET v = ? WHERE id = 3", [None]).rowcount == 1
    assert content(t) == [(1, "x", 15), (2, "yx", 20), (3, None, 30)]
    assert t.execute("DELETE FROM t WHERE id = :id OR n > :n", {"id": 1, "n": 25}).rowcount == 2
    assert content(t) == [(2, "yx", 20)]


def test_conditions_mean_what_datafusion_means(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (id INT, v VARCHAR, f DOUBLE)")
    conn.execute(
        "INSERT INTO t VALUES (1, 'Abc', 'NaN'::DOUBLE), (2, 'abc', 1.0), (3, '', NULL), (4, '10', 'inf'::DOUBLE), (5, '9', '-0'::DOUBLE)"
    )
    conn.execute("CREATE TEMP TABLE memory AS SELECT * FROM t")
    for condition in (
        "v LIKE 'a%'", "v > 'a'", "v < '9'", "f > 1e308", "f = 'NaN'::DOUBLE", "f < 'NaN'::DOUBLE", "f = 0.0", "NOT (f > 1)",
        "v NOT IN ('abc', NULL)", "f / 0 > 1", "id / 2 = 1", "id % 2 = 1 AND v <> ''", "(v = '') IS NOT TRUE", "v ~ '^[0-9]+$'",
    ):  # fmt: skip
        expected = values(conn, f"SELECT id FROM memory WHERE {condition} ORDER BY id")
        for setting in ("on", "off"):
            conn.execute(f"SET jammi.pushdown = {setting}")
            assert sorted(values(conn, f"UPDATE t SET v = v WHERE {condition} RETURNING id")) == expected, condition
            conn.execute("BEGIN")
            assert sorted(values(conn, f"DELETE FROM t WHERE {condition} RETURNING id")) == expected, condition
            conn.execute("ROLLBACK")


@pytest.mark.sqlite_only
def test_an_update_of_many_rows(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT, v VARCHAR)")
    conn.execute("INSERT INTO t SELECT value, 0, 'x' FROM range(200000)")
    assert conn.execute("UPDATE t SET n = id * 2 WHERE id % 2 = 0").rowcount == 100000
    assert value(conn, "SELECT sum(n) FROM t") == sum(range(0, 200000, 2)) * 2
    with fails("22012", errors.DataError):
        conn.execute("UPDATE t SET n = 1 / (id - 150000)")
    assert value(conn, "SELECT sum(n) FROM t") == sum(range(0, 200000, 2)) * 2
    assert conn.execute("DELETE FROM t WHERE n > 0").rowcount == 99999
    assert value(conn, "SELECT count(*) FROM t") == 100001
