"""The same statements on companion tables and on DuckDB's: the same rows, counts and classes of errors.

DuckDB checks keys while it updates, row by row, and has no savepoints. So its tables have keys for ON CONFLICT alone,
else they are looked at after the statement, and going back is to fill the tables anew.
"""

from __future__ import annotations

import math
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from jammi_sql import Engine
from jammi_sql.errors import Error, IntegrityError, ProgrammingError

THOROUGH = settings.get_current_profile_name() == "thorough"

Rows = list[tuple[Any, ...]]
COLUMNS = {"t": "k BIGINT, a BIGINT, f DOUBLE, s VARCHAR", "u": "k BIGINT, a BIGINT, s VARCHAR"}

INTEGERS = st.sampled_from(
    [
        "k",
        "a",
        "3",
        "0",
        "-1",
        "a + 1",
        "a * 2 - k",
        "coalesce(a, k)",
        "nullif(a, 3)",
        "abs(a)",
        "length(s)",
        "a % 3",
        "CASE WHEN a > k THEN a ELSE 0 END",
        "(SELECT max(a) FROM u)",
        "(SELECT count(*) FROM u WHERE u.k = t.k)",
        "CAST(NULL AS BIGINT)",
        "CASE WHEN s LIKE 'a%' THEN 1 END",
        "greatest(a, k)",
    ]
)
TEXTS = st.sampled_from(
    [
        "s",
        "''",
        "'é'",
        "s || 'x'",
        "upper(s)",
        "coalesce(s, 'n')",
        "substr(s, 1, 1)",
        "replace(s, 'a', 'bb')",
        "CAST(a AS VARCHAR)",
        "CAST(NULL AS VARCHAR)",
        "(SELECT min(s) FROM u WHERE u.a = t.a)",
    ]
)
FLOATS = st.sampled_from(
    ["f", "f * 2", "-f", "f + a", "CAST('NaN' AS DOUBLE)", "1.5", "CAST(NULL AS DOUBLE)", "CAST(a AS DOUBLE) / 2"]
)
SIMPLE = st.sampled_from(
    [
        "k = 2",
        "a > 1",
        "a <= k",
        "a IN (1, 2, NULL)",
        "a NOT IN (1, 2)",
        "a BETWEEN 1 AND 3",
        "s IS NULL",
        "s < 'b'",
        "s LIKE 'a%'",
        "s NOT LIKE '%x'",
        "f > 1",
        "f = CAST('NaN' AS DOUBLE)",
        "f <> 1.5",
        "f < CAST('NaN' AS DOUBLE)",
        "k % 2 = 0",
        "length(s) > 1",
        "s IN ('a', '', 'é')",
        "EXISTS (SELECT 1 FROM u WHERE u.k = t.k)",
        "k IN (SELECT k FROM u)",
        "a NOT IN (SELECT k FROM u)",
        "a = (SELECT min(a) FROM u)",
        "true",
        "a IS NOT NULL",
        "k >= 0 AND k < 3",
        "a = 1 OR s = 'a'",
    ]
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds("NOT ({})".format, inner),
        st.builds("({}) AND ({})".format, inner, inner),
        st.builds("({}) OR ({})".format, inner, inner),
    ),
    max_leaves=3,
)
NUMBERS = st.none() | st.integers(-1, 5)
WORDS = st.sampled_from([None, "", "a", "ab", "b", "é"])
FLOAT_VALUES = st.sampled_from([None, 0.0, 1.5, -2.0, math.inf, math.nan])


def text(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)"
    return f"'{value}'" if isinstance(value, str) else str(value)


def tuples(rows: Any) -> str:
    return ", ".join(f"({', '.join(map(text, row))})" for row in rows)


T_ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, FLOAT_VALUES, WORDS), min_size=1, max_size=4).map(tuples)
# With ON CONFLICT, DuckDB passes over a row without looking whether its key is NULL, or was there a row before.
KEYED_ROWS = st.lists(
    st.tuples(st.integers(-1, 5), NUMBERS, FLOAT_VALUES, WORDS), min_size=1, max_size=4, unique_by=lambda row: row[0]
).map(tuples)
U_ROWS = st.lists(st.tuples(st.integers(0, 5), NUMBERS, WORDS), min_size=1, max_size=4).map(tuples)
ASSIGNMENTS = st.lists(
    st.one_of(
        st.builds("a = {}".format, INTEGERS),
        st.builds("k = {}".format, INTEGERS),
        st.builds("s = {}".format, TEXTS),
        st.builds("f = {}".format, FLOATS),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one[0],
).map(", ".join)
RETURNING = st.sampled_from(["", "", " RETURNING k, s", " RETURNING a + 1 AS n, upper(s) AS w"])
STATEMENTS = st.one_of(
    st.builds("INSERT INTO t VALUES {}{}".format, T_ROWS, RETURNING),
    st.builds("INSERT INTO u VALUES {}".format, U_ROWS),
    st.builds("INSERT INTO t (s, k) SELECT s, k + 10 FROM t WHERE {}".format, CONDITIONS),
    st.builds("INSERT INTO t (k, a) SELECT k, a FROM u".format),
    st.builds("INSERT INTO t VALUES {} ON CONFLICT DO NOTHING".format, KEYED_ROWS),
    st.builds("INSERT INTO t VALUES {} ON CONFLICT (k) DO NOTHING".format, KEYED_ROWS),
    st.builds(
        "INSERT INTO t VALUES {} ON CONFLICT (k) DO UPDATE SET s = coalesce(excluded.s, t.s) || 'c', f = excluded.f{}".format,
        KEYED_ROWS,
        st.sampled_from(["", " WHERE t.a > 1", " WHERE excluded.a IS NOT NULL"]),
    ),
    st.builds("UPDATE t SET {} WHERE {}{}".format, ASSIGNMENTS, CONDITIONS, RETURNING),
    st.builds("UPDATE t SET {} WHERE {}".format, ASSIGNMENTS, CONDITIONS),
    st.builds(
        "UPDATE t SET a = u.a, s = u.s || coalesce(t.s, '') FROM u WHERE t.{} = u.k".format, st.sampled_from("ka")
    ),
    st.builds("UPDATE t SET a = v.b * 2 FROM (VALUES (1, 2.5), (2, 4)) AS v(x, b) WHERE t.k = v.x".format),
    st.builds("DELETE FROM t WHERE {}{}".format, CONDITIONS, RETURNING),
    st.builds("DELETE FROM u WHERE k = {}".format, st.integers(0, 5)),
    st.builds("DELETE FROM t USING u WHERE t.a = u.k AND u.a > {}".format, st.integers(0, 3)),
    st.builds(
        "MERGE INTO t USING u ON t.{} = u.k WHEN MATCHED AND u.a IS NULL THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET s = u.s, a = t.a + 1 WHEN NOT MATCHED{} THEN INSERT (k, a, s) VALUES (u.k + 20, u.a, u.s)".format,
        st.sampled_from("ka"),
        st.sampled_from(["", " AND u.a > 1"]),
    ),
    st.just("TRUNCATE TABLE t"),
    st.sampled_from(["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT p", "ROLLBACK TO p", "RELEASE p"]),
    st.sampled_from(["BEGIN", "SAVEPOINT p", "ROLLBACK TO p"]),
)


class Duck:
    """DuckDB with what it lacks."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.fill({"t": [], "u": []}, keys=False)
        self.levels: list[tuple[str, dict[str, Rows]]] = []

    def rows(self) -> dict[str, Rows]:
        return {name: self.connection.execute(f"SELECT * FROM {name}").fetchall() for name in COLUMNS}

    def fill(self, rows: dict[str, Rows], *, keys: bool) -> None:
        for name, columns in COLUMNS.items():
            key = ", PRIMARY KEY (k)" + (", UNIQUE (a)" if name == "t" else "") if keys else ""
            self.connection.execute(f"CREATE OR REPLACE TABLE {name} ({columns}{key})")
            if rows[name]:
                self.connection.execute(f"INSERT INTO {name} VALUES {tuples(rows[name])}")

    def control(self, statement: str) -> bool:
        """A statement about transactions; whether it is to succeed."""
        word, *rest = statement.split()
        if word == "BEGIN":
            if not self.levels:
                self.levels = [("", self.rows())]
                return True
            return False
        if not self.levels:
            return False
        if word in ("COMMIT", "ROLLBACK") and not rest:
            if word == "ROLLBACK":
                self.fill(self.levels[0][1], keys=False)
            self.levels = []
            return True
        if word == "SAVEPOINT":
            self.levels.append(("p", self.rows()))
            return True
        if len(self.levels) == 1:
            return False
        if word == "RELEASE":
            self.levels.pop()
        else:
            self.fill(self.levels[-1][1], keys=False)
        return True

    def run(self, statement: str) -> tuple[int, Rows | None] | type[Error]:
        before = self.rows()
        keyed = "ON CONFLICT" in statement
        try:
            if keyed:
                self.fill(before, keys=True)
            result = self.connection.execute(statement).fetchall()
            after = self.rows()
        except duckdb.ConstraintException:
            self.fill(before, keys=False)
            return IntegrityError
        except duckdb.Error as error:
            self.fill(before, keys=False)
            return ProgrammingError if "ON CONFLICT" in str(error) or "same row twice" in str(error) else Error
        if keyed:
            self.fill(after, keys=False)
        for name, keys in (("t", (0, 1)), ("u", (0,))):
            for place in keys:
                values = [row[place] for row in after[name] if row[place] is not None]
                if len(values) != len(set(values)) or any(row[0] is None for row in after[name]):
                    self.fill(before, keys=False)
                    return IntegrityError
        if "RETURNING" in statement:
            return len(result), result
        return (-1 if statement.startswith("TRUNCATE") else result[0][0]), None


def ordered(rows: Any) -> list[str]:
    return sorted(repr(tuple(row)) for row in rows)


@settings(max_examples=1500 if THOROUGH else 10)
@given(st.lists(STATEMENTS, min_size=12, max_size=25), st.booleans())
def test_statements_do_what_they_do_in_duckdb(statements: list[str], push: bool) -> None:
    with Engine.open() as engine:
        session = engine.session()
        if not push:
            session.execute("SET jammi.pushdown = off")
        session.execute(f"CREATE TABLE t ({COLUMNS['t']}, PRIMARY KEY (k), UNIQUE (a))")
        session.execute(f"CREATE TABLE u ({COLUMNS['u']}, PRIMARY KEY (k))")
        duck = Duck()
        first = [
            "INSERT INTO t VALUES (0, 1, 1.5, 'a'), (1, 2, CAST('NaN' AS DOUBLE), NULL), (2, NULL, NULL, 'ab'), (3, 0, 0.0, '')",
            "INSERT INTO u VALUES (1, NULL, 'u'), (2, 3, NULL), (3, 1, 'a')",
        ]
        for statement in [*first, *statements]:
            if statement.split()[0] in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"):
                try:
                    session.execute(statement)
                    succeeded = True
                except Error:
                    succeeded = False
                assert succeeded == duck.control(statement), statement
            else:
                expected = duck.run(statement)
                try:
                    cursor = session.execute(statement)
                    found = cursor.fetchall() if cursor.description else None
                except Error as error:
                    assert isinstance(expected, type), (statement, error)
                    assert isinstance(error, expected) or another_first(error, expected), (statement, error, expected)
                else:
                    assert not isinstance(expected, type), (statement, expected)
                    count, rows = expected
                    if rows is None:
                        assert cursor.rowcount == count, statement
                    else:
                        assert ordered(found) == ordered(rows), statement
            for name, rows in duck.rows().items():
                assert ordered(session.execute(f"SELECT * FROM {name}").fetchall()) == ordered(rows), (statement, name)


def another_first(error: Error, expected: type[Error]) -> bool:
    """Two things are wrong with a statement, and each engine says another one first."""
    return {type(error), expected} <= {IntegrityError, ProgrammingError} or error.sqlstate in (
        "21000",
        "23502",
        "23505",
    )
