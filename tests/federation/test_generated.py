"""Any query gives the same rows, computed where the data is and computed here."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jammi_sql import Connection, Error
from jammi_sql.federation import cutting

from .bothways import same_rows
from .generating import queries

QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
EVERYWHERE = ("pg.public", "lite.main", "duck.main", "far.public", "filed.public")
# Where a source refuses what here wraps around, or gives another value's place up: said in the reference.
_MAY_REFUSE = {"22003"}


def agree(connection: Connection, text: str) -> None:
    connection.execute("SET jammi.pushdown = off")
    failed = None
    try:
        expected = connection.execute(text).fetchall()
    except Error as error:
        failed = error
    finally:
        connection.execute("RESET jammi.pushdown")
    try:
        found = connection.execute(text).fetchall()
    except Error as error:
        if failed is None and error.sqlstate not in _MAY_REFUSE:
            raise AssertionError(f"{text}\nfails when it is pushed: {error}") from error
        return
    if failed is None:
        assert same_rows(found, expected), (
            f"{text}\npushed {len(found)}: {found[:5]}\nhere {len(expected)}: {expected[:5]}"
        )


@QUIET
@given(text=queries(("pg.public",)))
def test_postgres(attached: Connection, text: str) -> None:
    agree(attached, text)


@QUIET
@given(text=queries(("lite.main",)))
def test_sqlite(attached: Connection, text: str) -> None:
    agree(attached, text)


@QUIET
@given(text=queries(("duck.main",)))
def test_duckdb(attached: Connection, text: str) -> None:
    agree(attached, text)


@QUIET
@given(text=queries(("far.public",)))
def test_another_jammi(attached: Connection, text: str) -> None:
    agree(attached, text)


@QUIET
@given(text=queries(("far.public", "pg.public")))
def test_another_jammi_and_postgres(attached: Connection, text: str) -> None:
    agree(attached, text)


@QUIET
@given(text=queries(("pg.public", "duck.main", "lite.main")))
def test_all_three(attached: Connection, text: str) -> None:
    agree(attached, text)


@QUIET
@given(text=queries(("pg.public", "filed.public", "lite.main")))
def test_files_beside_databases(attached: Connection, text: str) -> None:
    agree(attached, text)


@QUIET
@given(text=queries(("pg.public", "filed.public", "lite.main")))
def test_small_sides_first(attached: Connection, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_LARGE", 0)
        patch.setattr(cutting, "_TIMES", 0)
        agree(attached, text)


@QUIET
@given(text=st.sampled_from(list(combinations(EVERYWHERE, 2))).flatmap(queries))
def test_any_two(attached: Connection, text: str) -> None:
    agree(attached, text)


@QUIET
@given(text=queries(("pg.public", "lite.main")))
def test_both(attached: Connection, text: str) -> None:
    agree(attached, text)
