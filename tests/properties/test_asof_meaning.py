"""As-of joins against a naive reference, and against DuckDB where both mean the same."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jammi_sql
from jammi_sql.dbapi import Connection

DAY = datetime.date(2026, 1, 1)
NOON = datetime.datetime(2026, 1, 1, 12)
FLOATS = [0.0, -0.0, 1.5, -2.0, math.inf, -math.inf, math.nan, 5e-324]

KEYS: dict[pa.DataType, list[Any]] = {
    pa.int32(): [-(2**31), -1, 0, 7, 2**31 - 1],
    pa.int64(): [-(2**63), -1, 0, 5, 2**63 - 1],
    pa.uint64(): [0, 1, 2**64 - 1],
    pa.string(): ["", "a", "b", "a\0", "ab", "ä", "x" * 40],
    pa.binary(): [b"", b"\0", b"\0\0", b"a"],
    pa.bool_(): [True, False],
    pa.float64(): FLOATS,
    pa.decimal128(12, 2): [decimal.Decimal("-1.50"), decimal.Decimal("0.00"), decimal.Decimal("99999.99")],
    pa.date32(): [DAY, DAY + datetime.timedelta(1)],
}
TIMES: dict[pa.DataType, list[Any]] = {
    pa.int8(): [-128, -1, 0, 1, 127],
    pa.int64(): [-(2**63), -5, -1, 0, 1, 2, 3, 2**63 - 1],
    pa.uint64(): [0, 1, 2, 2**64 - 1],
    pa.float32(): [0.0, -0.0, 1.5, -2.0, math.inf, -math.inf, math.nan],
    pa.float64(): FLOATS,
    pa.decimal128(30, 3): [decimal.Decimal(n).scaleb(-3) for n in (-(10**25), -1, 0, 1, 2, 10**25)],
    pa.date32(): [DAY + datetime.timedelta(n) for n in range(5)],
    pa.timestamp("us"): [NOON + datetime.timedelta(microseconds=n) for n in (0, 1, 2, 10, 10**9)],
    pa.timestamp("ns"): [NOON + datetime.timedelta(microseconds=n) for n in (0, 1, 2, 10, 10**9)],
    pa.timestamp("us", "UTC"): [(NOON + datetime.timedelta(days=n)).replace(tzinfo=datetime.UTC) for n in range(4)],
    pa.time64("us"): [datetime.time(1, 2, 3), datetime.time(0), datetime.time(23, 59, 59, 999_999)],
    pa.duration("us"): [datetime.timedelta(seconds=n) for n in (-1, 0, 1)],
}
OPERATORS = [">=", ">", "<=", "<"]


@dataclass
class Case:
    keys: list[pa.DataType]
    time: pa.DataType
    left: list[tuple[Any, ...]]
    right: list[tuple[Any, ...]]
    operator: str
    keeps: bool
    mirrored: bool
    chunk: int

    def table(self, rows: list[tuple[Any, ...]]) -> pa.Table:
        names = [*(f"k{place}" for place in range(len(self.keys))), "t"]
        columns = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate([*self.keys, self.time])]
        whole = pa.table([*columns, pa.array(range(len(rows)), pa.int64())], names=[*names, "id"])
        return pa.Table.from_batches(whole.to_batches(max_chunksize=self.chunk), whole.schema)

    @property
    def statement(self) -> str:
        keys = "".join(f"l.k{place} = r.k{place} AND " for place in range(len(self.keys)))
        time = f"r.t {dict(zip(OPERATORS, ['<=', '<', '>=', '>'], strict=True))[self.operator]} l.t"
        word = "LEFT " if self.keeps else ""
        time = time if self.mirrored else f"l.t {self.operator} r.t"
        return f"SELECT l.id, r.id, r.t FROM l ASOF {word}JOIN r ON {keys}{time}"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    keys = draw(st.lists(st.sampled_from(list(KEYS)), max_size=3))
    time = draw(st.sampled_from(list(TIMES)))
    row = st.tuples(*(st.sampled_from([*KEYS[key], None]) for key in keys), st.sampled_from([*TIMES[time], None]))
    return Case(
        keys,
        time,
        draw(st.lists(row, max_size=30)),
        draw(st.lists(row, max_size=30)),
        draw(st.sampled_from(OPERATORS)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.integers(1, 9)),
    )


def rank(value: Any) -> Any:
    """A value in SQL's order: NaN is the greatest and equal to itself."""
    return (math.isnan(value), 0.0 if math.isnan(value) else value) if isinstance(value, float) else value


def matches(case: Case, left: tuple[Any, ...]) -> set[int]:
    """The right rows that may be taken: all that are nearest."""
    compare = {
        ">=": lambda a, b: a >= b,
        ">": lambda a, b: a > b,
        "<=": lambda a, b: a <= b,
        "<": lambda a, b: a < b,
    }[case.operator]
    found = [
        (rank(right[-1]), number)
        for number, right in enumerate(case.right)
        if all(a is not None and b is not None for a, b in zip(left, right, strict=True))
        and [rank(value) for value in left[:-1]] == [rank(value) for value in right[:-1]]
        and compare(rank(left[-1]), rank(right[-1]))
    ]
    if not found:
        return set()
    best = (max if case.operator in (">=", ">") else min)(time for time, _ in found)
    return {number for time, number in found if time == best}


@pytest.fixture(scope="module")
def conn() -> Iterator[Connection]:
    with jammi_sql.connect(":memory:") as connection:
        yield connection


def run(conn: Connection, case: Case) -> dict[int, tuple[Any, Any]]:
    with conn.cursor() as cursor:
        for name, rows in (("l", case.left), ("r", case.right)):
            cursor.adbc_ingest(name, case.table(rows), mode="replace", temporary=True)
        rows = cursor.execute(case.statement).fetchall()
    found = {row[0]: (row[1], row[2]) for row in rows}
    assert len(found) == len(rows), "a left row came twice"
    return found


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_each_left_row_gets_one_of_the_nearest_right_rows(conn: Connection, case: Case) -> None:
    check(conn, case)


@pytest.mark.soak
@settings(max_examples=5_000, deadline=None)
@given(case=cases())
def test_each_left_row_gets_one_of_the_nearest_right_rows_many_times(conn: Connection, case: Case) -> None:
    check(conn, case)


def check(conn: Connection, case: Case) -> None:
    found = run(conn, case)
    for number, left in enumerate(case.left):
        expected = matches(case, left)
        if expected:
            assert found[number][0] in expected, (left, case.right)
        elif case.keeps:
            assert found[number] == (None, None)
        else:
            assert number not in found


# Where DuckDB means something else: it has no time zones without an extension, and -0.0 and NaN need not agree.
_SHARED = [pa.int64(), pa.date32(), pa.timestamp("us"), pa.timestamp("ns"), pa.float64(), pa.decimal128(30, 3)]


@settings(max_examples=30, deadline=None)
@given(case=cases())
def test_duckdb_finds_rows_of_the_same_times(conn: Connection, case: Case) -> None:
    if case.time not in _SHARED or not case.keys:
        return
    found = run(conn, case)
    with duckdb.connect() as duck:
        duck.register("l", case.table(case.left))
        duck.register("r", case.table(case.right))
        theirs = duck.execute(case.statement).fetchall()
    assert len(theirs) == len(found)
    for left, _, time in theirs:
        assert rank(found[left][1]) == rank(time)
