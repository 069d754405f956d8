"""Random statements give the same tables and counts as in DuckDB, where both define the meaning."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jammi_sql
from jammi_sql import errors

_IDS = st.integers(0, 6)
_NUMBERS = st.one_of(st.none(), st.integers(-3, 3))
_TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "A", "b", "ab"]))


def _literal(value: Any) -> str:
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


_ROWS = st.lists(st.tuples(_IDS, _TEXTS, _NUMBERS), min_size=1, max_size=3).map(
    lambda rows: ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
)
_CONDITIONS = st.one_of(
    st.builds("id {} {}".format, st.sampled_from(["=", "<", ">=", "<>"]), _IDS),
    st.builds("n {} {}".format, st.sampled_from(["=", "<", ">=", "<>", "IS DISTINCT FROM"]), _NUMBERS.map(_literal)),
    st.builds("v {} {}".format, st.sampled_from(["=", "<", ">=", "<>", "IS NOT DISTINCT FROM"]), _TEXTS.map(_literal)),
    st.sampled_from(
        [
            "n IS NULL",
            "v IS NOT NULL AND n > 0",
            "NOT (n > 0 OR v = 'a')",
            "id IN (SELECT n FROM s)",
            "EXISTS (SELECT 1 FROM s WHERE s.k = t.id)",
            "n NOT IN (1, 2)",
            "id BETWEEN 1 AND 3",
            "v LIKE 'a%'",
            "n = (SELECT max(n) FROM t)",
            "coalesce(n, id) % 2 = 0",
        ]
    ),
)
_SETS = st.sampled_from(
    [
        "n = n + 1",
        "n = id, v = CAST(n AS VARCHAR)",
        "v = upper(v)",
        "v = v || 'x'",
        "n = CASE WHEN n > 0 THEN NULL ELSE 5 END",
        "n = (SELECT count(*) FROM s)",
        "n = (SELECT max(n) FROM t)",
        "n = (SELECT max(k) FROM s WHERE s.k = t.id)",
        "n = -n, v = coalesce(v, 'none')",
    ]
)
_STATEMENTS = st.one_of(
    st.builds("INSERT INTO t VALUES {}".format, _ROWS),
    st.builds("INSERT INTO t VALUES {} ON CONFLICT DO NOTHING".format, st.tuples(_IDS, _TEXTS, _NUMBERS).map(lambda row: f"({', '.join(map(_literal, row))})")),
    st.builds(
        "INSERT INTO t VALUES {} ON CONFLICT (id) DO UPDATE SET {}".format,
        st.tuples(_IDS, _TEXTS, _NUMBERS).map(lambda row: f"({', '.join(map(_literal, row))})"),
        st.sampled_from(["n = excluded.n", "v = excluded.v || t.v", "n = t.n + 1 WHERE t.n > 0", "n = excluded.n, v = NULL"]),
    ),
    st.builds("INSERT INTO t (id) VALUES ({})".format, _IDS),
    st.builds("INSERT INTO t SELECT id + 7, v, n FROM t WHERE {}".format, _CONDITIONS),
    st.builds("UPDATE t SET {} WHERE {}".format, _SETS, _CONDITIONS),
    st.builds("UPDATE t SET {}".format, _SETS),
    st.builds("UPDATE t SET v = s.w FROM s WHERE s.k = t.id AND {}".format, _CONDITIONS.filter(lambda text: "FROM" not in text)),
    st.builds("DELETE FROM t WHERE {}".format, _CONDITIONS),
    st.builds("DELETE FROM t USING s WHERE s.k = t.id AND {}".format, _CONDITIONS.filter(lambda text: "FROM" not in text)),
    st.builds("INSERT INTO s VALUES ({}, {}, {})".format, _IDS.map(lambda number: number + 100), _TEXTS.map(_literal), _NUMBERS.map(_literal)),
    st.sampled_from(["BEGIN", "COMMIT", "ROLLBACK", "DELETE FROM t", "SELECT n FROM t"]),
)  # fmt: skip


def _result(run: Any, error: type[Exception]) -> Any:
    try:
        return run()
    except error:
        return "error"


def _compare(statements: list[str], indexed: bool) -> None:
    theirs = duckdb.connect(":memory:")
    with jammi_sql.connect() as ours:
        for run in (theirs.execute, ours.execute):
            run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR DEFAULT 'd', n INT DEFAULT 3)")
            run("CREATE TABLE s (k INT, w VARCHAR, n INT)")
            run("INSERT INTO s VALUES (1, 'one', 1), (2, NULL, 4), (5, 'five', 0), (8, 'x', 2)")
        if indexed:
            ours.execute("CREATE INDEX i ON t (n, v)")
        in_transaction = False
        for statement in statements:
            if statement in ("COMMIT", "ROLLBACK"):
                if not in_transaction:
                    continue
                in_transaction = False
            elif statement == "BEGIN":
                if in_transaction:
                    continue
                in_transaction = True
            expected = _result(lambda text=statement: theirs.execute(text).fetchall(), duckdb.Error)
            cursor = _result(lambda text=statement: ours.execute(text), errors.DatabaseError)
            assert (expected == "error") == (cursor == "error"), statement
            if expected == "error":
                if in_transaction:  # DuckDB's is lost with it, ours is not
                    theirs.execute("ROLLBACK")
                    ours.execute("ROLLBACK")
                    in_transaction = False
            elif statement.startswith(("INSERT", "UPDATE", "DELETE")):
                assert cursor.rowcount == expected[0][0], statement
            for asked in ("SELECT id, v, n FROM t ORDER BY id", "SELECT k, w, n FROM s ORDER BY k, w, n"):
                theirs_now = theirs.execute(asked).fetchall()
                assert sorted(ours.execute(asked).fetchall(), key=str) == sorted(theirs_now, key=str), statement
    theirs.close()


@settings(max_examples=15)
@given(st.lists(_STATEMENTS, min_size=3, max_size=14), st.booleans())
def test_random_statements_leave_the_same_tables_as_in_duckdb(statements: list[str], indexed: bool) -> None:
    _compare(statements, indexed)


@pytest.mark.soak
@settings(max_examples=1500)
@given(st.lists(_STATEMENTS, min_size=10, max_size=40), st.booleans())
def test_many_random_statements_leave_the_same_tables_as_in_duckdb(statements: list[str], indexed: bool) -> None:
    _compare(statements, indexed)
