"""MERGE INTO companion tables, in all its forms."""

from __future__ import annotations

import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection

from .language import fails, rows, values

pytestmark = pytest.mark.both_stores


@pytest.fixture
def t(conn: Connection) -> Connection:
    conn.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR, n INT NOT NULL DEFAULT 5)")
    conn.execute("INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)")
    conn.execute("CREATE TABLE s (id INT, w VARCHAR)")
    conn.execute("INSERT INTO s VALUES (1, 'A'), (2, NULL), (9, 'Z')")
    return conn


def content(conn: Connection) -> list[tuple[object, ...]]:
    return rows(conn, "SELECT * FROM t ORDER BY id")


def test_matched_rows_are_updated_and_missing_ones_inserted(t: Connection) -> None:
    statement = (
        "MERGE INTO t USING s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET v = s.w, n = t.n + 1 "
        "WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.w)"
    )
    assert t.execute(statement).rowcount == 3
    assert content(t) == [(1, "A", 11), (2, None, 21), (3, "c", 30), (9, "Z", 5)]


def test_each_row_goes_by_the_first_clause_that_fits(t: Connection) -> None:
    statement = (
        "MERGE INTO t AS x USING s AS y ON x.id = y.id "
        "WHEN MATCHED AND y.w IS NULL THEN DELETE "
        "WHEN MATCHED AND x.n > 100 THEN UPDATE SET v = 'never' "
        "WHEN MATCHED THEN UPDATE SET v = y.w, n = DEFAULT "
        "WHEN NOT MATCHED AND y.id > 100 THEN INSERT VALUES (y.id, 'never', 0) "
        "WHEN NOT MATCHED THEN INSERT (v, id, n) VALUES (y.w, y.id, DEFAULT) "
        "WHEN NOT MATCHED BY SOURCE AND x.id > 100 THEN DELETE "
        "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = -1 "
        "RETURNING id, v, n, n * 2 AS m"
    )
    cursor = t.execute(statement)
    assert cursor.rowcount == 4
    assert sorted(cursor.fetchall()) == [(1, "A", 5, 10), (2, "b", 20, 40), (3, "c", -1, -2), (9, "Z", 5, 10)]
    assert content(t) == [(1, "A", 5), (3, "c", -1), (9, "Z", 5)]


def test_a_condition_that_is_null_does_not_hold(t: Connection) -> None:
    statement = (
        "MERGE INTO t USING s ON t.id = s.id "
        "WHEN MATCHED AND s.w = 'A' THEN UPDATE SET v = 'first' "
        "WHEN MATCHED THEN UPDATE SET v = 'second' "
        "WHEN NOT MATCHED AND s.w = NULL THEN INSERT VALUES (s.id, 'x', 1)"
    )
    assert t.execute(statement).rowcount == 2
    assert values(t, "SELECT v FROM t ORDER BY id") == ["first", "second", "c"]


def test_do_nothing_takes_rows_out_of_later_clauses(t: Connection) -> None:
    statement = (
        "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND t.id = 1 THEN DO NOTHING WHEN MATCHED THEN DELETE "
        "WHEN NOT MATCHED THEN DO NOTHING"
    )
    assert t.execute(statement).rowcount == 1
    assert values(t, "SELECT id FROM t ORDER BY id") == [1, 3]


@pytest.mark.parametrize(
    ("source", "ids"),
    [
        ("s", [1, 2]),
        ("(SELECT id FROM s WHERE w IS NULL) AS s", [2]),
        ("(VALUES (3), (4)) AS s (id)", [3]),
        ("(SELECT a AS id FROM e) AS s", [1]),
        ("subscribe('e', until => 'latest') AS s", []),
        ("t AS s", [1, 2, 3]),
        ("f AS s", [2]),
        ("(SELECT id FROM s UNION SELECT 3) AS s", [1, 2, 3]),
        ("(WITH q AS (SELECT 1 AS id) SELECT * FROM q) AS s", [1]),
    ],
)
def test_the_source_may_be_any_relation(t: Connection, tmp_path: object, source: str, ids: list[int]) -> None:
    t.execute("CREATE TOPIC e (a INT)")
    t.execute("INSERT INTO e VALUES (1), (7)")
    t.execute(f"COPY (SELECT CAST(2 AS INT) AS id) TO '{tmp_path}/f.parquet' STORED AS PARQUET")
    t.execute(f"CREATE EXTERNAL TABLE f STORED AS PARQUET LOCATION '{tmp_path}/f.parquet'")
    on = "t.id = s.a AND s.a < 1" if source.startswith("subscribe") else "t.id = s.id"
    assert t.execute(f"MERGE INTO t USING {source} ON {on} WHEN MATCHED THEN DELETE").rowcount == len(ids)
    assert values(t, "SELECT id FROM t ORDER BY id") == [number for number in (1, 2, 3) if number not in ids]


def test_clauses_see_the_table_as_it_was(t: Connection) -> None:
    t.execute(
        "MERGE INTO t USING t AS o ON t.id = o.id + 1 WHEN MATCHED THEN UPDATE SET n = o.n, v = (SELECT max(v) FROM t)"
    )
    assert content(t) == [(1, "a", 10), (2, "c", 10), (3, "c", 20)]


def test_keys_may_go_from_one_row_to_another(t: Connection) -> None:
    statement = (
        "MERGE INTO t USING (VALUES (1, 2), (2, 3), (3, 0), (0, 1)) AS s (id, k) ON t.id = s.id "
        "WHEN MATCHED AND s.k = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET id = s.k WHEN NOT MATCHED THEN INSERT VALUES (s.k, 'new', 0)"
    )
    assert t.execute(statement).rowcount == 4
    assert content(t) == [(1, "new", 0), (2, "a", 10), (3, "b", 20)]


def test_two_clauses_may_swap_keys(t: Connection) -> None:
    statement = (
        "MERGE INTO t USING (VALUES (1), (2)) AS s (id) ON t.id = s.id "
        "WHEN MATCHED AND s.id = 1 THEN UPDATE SET id = 2 WHEN MATCHED THEN UPDATE SET id = 1"
    )
    assert t.execute(statement).rowcount == 2
    assert content(t) == [(1, "b", 20), (2, "a", 10), (3, "c", 30)]


def test_parameters_and_default_values(t: Connection) -> None:
    statement = (
        "MERGE INTO t USING (SELECT ? AS id, ? AS v) AS s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET v = concat(s.v, ?) WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)"
    )
    assert t.execute(statement, [1, "m", "!"]).rowcount == 1
    assert t.execute(statement, [50, "k", "!"]).rowcount == 1
    assert rows(t, "SELECT id, v, n FROM t WHERE id IN (1, 50) ORDER BY id") == [(1, "m!", 10), (50, "k", 5)]
    t.execute("CREATE TABLE d (a INT DEFAULT 1, b INT DEFAULT 2)")
    assert t.execute("MERGE INTO d USING s ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES").rowcount == 3
    assert rows(t, "SELECT DISTINCT * FROM d") == [(1, 2)]


def test_a_row_that_is_matched_twice_is_refused_whatever_happens_to_it(t: Connection) -> None:
    t.execute("INSERT INTO s VALUES (1, 'again')")
    before = content(t)
    for action in ("UPDATE SET v = s.w", "DELETE", "UPDATE SET v = 'same'"):
        with fails("21000", says="more than once"):
            t.execute(f"MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN {action}")
        assert content(t) == before
    with fails("21000"):
        t.execute(
            "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND s.w = 'A' THEN DELETE WHEN MATCHED THEN UPDATE SET v = 'x'"
        )
    assert content(t) == before
    statement = "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND s.w = 'again' THEN UPDATE SET v = s.w"
    assert t.execute(statement).rowcount == 1  # the other pair does nothing


@pytest.mark.parametrize(
    ("statement", "sqlstate", "cls"),
    [
        ("MERGE INTO nowhere USING s ON true WHEN MATCHED THEN DELETE", "42P01", errors.ProgrammingError),
        ("MERGE INTO t USING nowhere ON true WHEN MATCHED THEN DELETE", "42P01", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.nope = s.id WHEN MATCHED THEN DELETE", "42703", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET nope = 1", "42703", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = nope", "42703", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (nope) VALUES (1)", "42703", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, id) VALUES (1, 2)", "42701", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (1)", "42601", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (t.id, 'x', 1)", "42703", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN UPDATE SET v = 'x'", "42601", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN INSERT VALUES (1, 'x', 1)", "42601", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id", "42601", errors.ProgrammingError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (1, 'x', 1)", "23505", errors.IntegrityError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (NULL, 'x', 1)", "23502", errors.IntegrityError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, n) VALUES (7, NULL)", "23502", errors.IntegrityError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = NULL", "23502", errors.IntegrityError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET id = 3", "23505", errors.IntegrityError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = s.w", "22P02", errors.DataError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = 3000000000", "22003", errors.DataError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'x', 1 / (s.id - 9))", "22012", errors.DataError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE RETURNING 1 / (id - 1)", "22012", errors.DataError),
        ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE RETURNING nope", "42703", errors.ProgrammingError),
    ],
)  # fmt: skip
def test_what_fails_changes_nothing(t: Connection, statement: str, sqlstate: str, cls: type[errors.Error]) -> None:
    with fails(sqlstate, cls):
        t.execute(statement)
    assert content(t) == [(1, "a", 10), (2, "b", 20), (3, "c", 30)]


def test_merge_of_many_rows(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)")
    conn.execute("INSERT INTO t SELECT value, 0 FROM range(100000)")
    statement = (
        "MERGE INTO t USING (SELECT value * 2 AS id FROM range(100000)) AS s ON t.id = s.id "
        "WHEN MATCHED AND t.id % 4 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET n = 1 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 2) "
        "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = 3"
    )
    assert conn.execute(statement).rowcount == 150000
    assert rows(conn, "SELECT n, count(*) FROM t GROUP BY n ORDER BY n") == [(1, 25000), (2, 50000), (3, 50000)]


def test_merge_into_an_empty_table_and_from_an_empty_source(t: Connection) -> None:
    t.execute("CREATE TABLE u (id INT)")
    assert t.execute("MERGE INTO u USING t ON u.id = t.id WHEN NOT MATCHED THEN INSERT VALUES (t.id)").rowcount == 3
    t.execute("TRUNCATE TABLE s")
    assert (
        t.execute(
            "MERGE INTO u USING s ON u.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY SOURCE THEN DELETE"
        ).rowcount
        == 3
    )
    assert values(t, "SELECT id FROM u") == []
