"""INTERSECT, EXCEPT and window functions whose tables lie in one source are computed there, where that means the same."""

from __future__ import annotations

import pytest

from jammi_sql import Connection

from .bothways import explained, pushed_and_not

PLACES = ["pg.public", "lite.main", "duck.main", "far.public"]
ANYWHERE = ["k", "k, t", "t, b", "id, by", '"Mixed Case"']


def sent(connection: Connection, text: str) -> list[str]:
    """The statements that sources get for a query, which gives the same rows computed here."""
    pushed_and_not(connection, text)
    return [line for kind, plan in connection.execute(f"EXPLAIN {text}").fetchall() if kind.startswith("source")
            for line in plan.splitlines() if line.startswith("SELECT")]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("word", ["INTERSECT", "EXCEPT"])
def test_rows_of_two_queries_are_compared_there(attached: Connection, place: str, word: str) -> None:
    for columns in ANYWHERE:
        (statement,) = sent(
            attached, f"SELECT {columns} FROM {place}.one {word} SELECT {columns} FROM {place}.two WHERE id < 30"
        )
        assert word in statement and "JOIN" not in statement
    (statement,) = sent(
        attached,
        f"SELECT k FROM {place}.one {word} SELECT k FROM {place}.two {word} SELECT k FROM {place}.two WHERE id < 3",
    )
    assert statement.count(word) == 2
    (statement,) = sent(
        attached,
        f"SELECT u.k, count(*) FROM (SELECT k FROM {place}.one {word} SELECT k FROM {place}.two) AS u"
        f" JOIN {place}.one AS o ON o.k = u.k GROUP BY u.k",
    )
    assert word in statement and "GROUP BY" in statement
    (statement,) = sent(
        attached, f"SELECT DISTINCT k, t FROM {place}.one {word} SELECT k, max(t) FROM {place}.two GROUP BY k"
    )
    assert word in statement


@pytest.mark.parametrize("place", PLACES)
def test_what_means_something_else_there_is_compared_here(attached: Connection, place: str) -> None:
    for word in ("INTERSECT", "EXCEPT"):
        # All of the left rows stay that are, or are not, on the right: elsewhere as many as there are on both sides.
        both = sent(attached, f"SELECT k FROM {place}.one {word} ALL SELECT k FROM {place}.two")
        assert len(both) == 2
        text = f"SELECT f FROM {place}.one {word} SELECT f FROM {place}.two"
        assert "doubles" in explained(attached, text)["computed here"]
        assert len(sent(attached, f"SELECT k FROM {place}.one {word} SELECT k FROM filed.public.two")) >= 1


def test_decimals_and_times_are_compared_where_there_are_such(attached: Connection) -> None:
    for columns in ("d", "dt, ts", "tz"):
        for place, parts in (("pg.public", 1), ("duck.main", 1), ("far.public", 1), ("lite.main", 2)):
            text = f"SELECT {columns} FROM {place}.one INTERSECT SELECT {columns} FROM {place}.two"
            if (place, columns) != ("lite.main", "tz"):  # a text there
                assert len(sent(attached, text)) == parts, text


# Those of tables whose keys are known there: which of two rows comes first that an order does not tell apart is anybody's choice.
BY_ROW = [
    "row_number() OVER (PARTITION BY k ORDER BY id DESC)",
    "row_number() OVER (ORDER BY t NULLS FIRST, id)",
    "lag(t) OVER (ORDER BY id)",
    "lead(k, 2) OVER (PARTITION BY b ORDER BY t, id)",
    "min(k) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING)",
    "sum(k) OVER (PARTITION BY b ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
]
WINDOWS = [
    "rank() OVER (ORDER BY t DESC)",
    "dense_rank() OVER (PARTITION BY b ORDER BY k NULLS FIRST, t DESC NULLS LAST)",
    "count(*) OVER ()",
    "count(t) OVER (PARTITION BY k)",
    "sum(k) OVER (PARTITION BY t ORDER BY b)",
    "max(t) OVER (ORDER BY k)",
]


@pytest.mark.parametrize("place", PLACES)
def test_windows_are_computed_there(attached: Connection, place: str) -> None:
    has_keys = place in ("pg.public", "lite.main")
    for window in [*WINDOWS, *(BY_ROW if has_keys else ())]:
        (statement,) = sent(attached, f"SELECT id, {window} AS w FROM {place}.one")
        assert "OVER (" in statement, window
    (statement,) = sent(
        attached,
        f"SELECT k, id FROM (SELECT *, rank() OVER (PARTITION BY k ORDER BY t) AS r FROM {place}.one) WHERE r = 1 AND id > 3",
    )
    assert "OVER (" in statement and "WHERE" in statement and "= " in statement
    (statement,) = sent(
        attached,
        f"SELECT r, count(*) AS n FROM (SELECT rank() OVER (PARTITION BY a.k ORDER BY a.t) AS r, b.k"
        f" FROM {place}.one AS a JOIN {place}.two AS b ON a.k = b.k) GROUP BY r HAVING count(*) > 1",
    )
    assert "OVER (" in statement and "HAVING" in statement
    if has_keys:
        for join, order in (("a.id = b.id", "a.t, b.id"), ("a.k = b.k", "a.id, b.id"), ("a.k = b.id", "a.id")):
            (statement,) = sent(
                attached,
                f"SELECT row_number() OVER (PARTITION BY a.b ORDER BY {order}) AS r, a.id, b.id"
                f" FROM {place}.one AS a JOIN {place}.two AS b ON {join}",
            )
            assert "OVER (" in statement, join
        text = f"SELECT row_number() OVER (ORDER BY a.id) AS r FROM {place}.one AS a JOIN {place}.two AS b ON a.k = b.k"
        assert "alike" in explained(attached, text)["computed here"]


STAYS = {
    "row_number() OVER (ORDER BY k)": "rows may be alike",
    "lag(t) OVER (PARTITION BY b ORDER BY k)": "rows may be alike",
    "sum(k) OVER (ORDER BY t ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)": "rows may be alike",
    "sum(f) OVER (ORDER BY id)": "sum of doubles",
    "rank() OVER (ORDER BY f)": "over doubles",
    "count(*) OVER (PARTITION BY f)": "over doubles",
    "ntile(3) OVER (ORDER BY id)": "ntile of a window",
    "first_value(t) OVER (ORDER BY id)": "first_value of a window",
    "lag(t, -1) OVER (ORDER BY id)": "no constant",
    "max(f) OVER (PARTITION BY k)": "max of double",
}


@pytest.mark.parametrize("place", PLACES)
def test_windows_that_may_mean_something_else_are_computed_here(attached: Connection, place: str) -> None:
    for window, why in STAYS.items():
        text = f"SELECT id, {window} AS w FROM {place}.one"
        if place == "lite.main" and window.startswith("max(f)"):  # there is no NaN
            continue
        plans = explained(attached, text)
        assert not any("OVER (" in plan for kind, plan in plans.items() if kind.startswith("source")), window
        alike = (
            place in ("duck.main", "far.public") and "rows may be alike" in plans["computed here"]
        )  # no keys are known
        assert alike or why in plans["computed here"], (window, plans["computed here"])
        if "alike" not in why:
            pushed_and_not(attached, text)
