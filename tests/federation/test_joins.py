"""Joins of tables that lie in several places have the rows that they have here, in whatever order they are made."""

from __future__ import annotations

import pytest

from jammi_sql import Connection
from jammi_sql.federation import cutting
from jammi_sql.federation.extent import Extent

from .bothways import explained, pushed_and_not
from .sample import ROWS


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) AS n FROM pg.public.one AS a, lite.main.two AS b",
        "SELECT 1 AS n FROM pg.public.one AS a, lite.main.two AS b, companion AS c WHERE c.id < 3",
    ],
)
def test_tables_of_which_no_column_is_wanted_have_rows(attached: Connection, text: str) -> None:
    assert pushed_and_not(attached, text)[0] != (0,)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT v.x, a.t FROM (VALUES (1), (2), (NULL)) AS v(x) JOIN pg.public.one AS a ON a.id = v.x",
        "SELECT a.id, o.one FROM pg.public.one AS a LEFT JOIN (SELECT 1 AS one) AS o ON o.one = a.k",
        "SELECT a.id FROM pg.public.one AS a JOIN lite.main.two AS b ON a.id = b.id"
        " WHERE a.k IN (SELECT x FROM (VALUES (1), (2)) AS v(x))",
    ],
)
def test_rows_that_stand_in_the_statement_are_joined_like_a_table(
    attached: Connection, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pushed_and_not(attached, text)
    monkeypatch.setattr(cutting, "_LARGE", 0)
    pushed_and_not(attached, text)


def test_the_keys_that_stand_in_the_statement_are_asked_for(
    attached: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "_LARGE", 20)
    text = "SELECT v.x, a.t FROM (VALUES (7), (9)) AS v(x) JOIN pg.public.one AS a ON a.id = v.x"
    assert "IN (7, 9)" in explained(attached, f"ANALYZE {text}")["source pg"]


def test_a_semi_join_with_an_empty_table_leaves_nothing_to_join(
    attached: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "_LARGE", 20)
    attached.execute("CREATE TABLE nobody (id BIGINT PRIMARY KEY)")
    try:
        text = "SELECT a.id, f.id FROM pg.public.one AS a JOIN filed.public.one AS f ON a.k = f.k WHERE a.id IN (SELECT id FROM nobody)"
        assert pushed_and_not(attached, text) == []
    finally:
        attached.execute("DROP TABLE nobody")


def test_filters_that_leave_next_to_nothing_leave_something_to_divide_by() -> None:
    extent = Extent(1e9)
    for _ in range(400):
        extent = extent.filtered(0.05)
    assert extent.joined(extent, {0}).rows == 1.0


@pytest.mark.parametrize("pushdown", ["on", "off"])
@pytest.mark.parametrize(
    "places",
    [
        ("pg.public.one", "lite.main.one", "companion"),
        ("filed.public.one", "filed.public.one", "companion"),
        ("pg.public.one", "pg.public.one", "pg.public.two"),
    ],
)
def test_nulls_that_are_not_distinct_meet_in_joins_of_three_tables(
    attached: Connection, places: tuple[str, str, str], pushdown: str
) -> None:
    first, second, third = places
    text = (
        f"SELECT a.id, b.id FROM {first} AS a JOIN {second} AS b ON (a.k IS NOT DISTINCT FROM b.k) AND a.id < 30 AND b.id < 30"
        f" JOIN {third} AS c ON c.id = b.id WHERE a.k IS NULL"
    )
    attached.execute(f"SET jammi.pushdown = {pushdown}")
    try:
        nulls = [row["id"] for row in ROWS["one"] if row["k"] is None and row["id"] < 30]
        assert sorted(attached.execute(text).fetchall()) == [(one, other) for one in nulls for other in nulls]
    finally:
        attached.execute("RESET jammi.pushdown")


def test_what_is_not_distinct_on_one_side_of_a_join_that_is_made_here(attached: Connection) -> None:
    text = (
        "SELECT x.id, y.id AS i, z.id AS j FROM pg.public.one AS x, pg.public.two AS y, lite.main.two AS z"
        " WHERE (x.id IS NOT DISTINCT FROM y.id) AND x.id = y.id AND (y.k IS NOT DISTINCT FROM z.k)"
    )
    assert pushed_and_not(attached, text)


def test_nulls_that_are_not_distinct_meet_in_the_joins_of_an_insert(attached: Connection) -> None:
    attached.execute("CREATE TABLE pairs (one BIGINT, other BIGINT)")
    try:
        attached.execute(
            "INSERT INTO pairs SELECT a.id, b.id AS other FROM pg.public.one AS a JOIN lite.main.one AS b"
            " ON (a.k IS NOT DISTINCT FROM b.k) JOIN companion AS c ON c.id = b.id WHERE a.k IS NULL"
        )
        nulls = [row["id"] for row in ROWS["one"] if row["k"] is None]
        count = len(nulls) * sum(place < 30 for place in nulls)
        assert attached.execute("SELECT count(*) FROM pairs").fetchall() == [(count,)]
    finally:
        attached.execute("DROP TABLE pairs")
