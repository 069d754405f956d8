"""Queries of literals alone are planned once: what they give is the same for as long as it means the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from datafusion import SessionContext

from jammi_sql import connect
from jammi_sql.engine.constants import Constants
from jammi_sql.errors import ProgrammingError

PLANNED = "SELECT 1 AS planned_once"


@pytest.fixture
def connection() -> Iterator[Any]:
    with connect(":memory:") as made:
        yield made


def plans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that DataFusion plans from now on."""
    seen: list[str] = []
    plan = SessionContext.sql

    def told(context: SessionContext, query: str, *arguments: Any, **options: Any) -> Any:
        seen.append(query)
        return plan(context, query, *arguments, **options)

    monkeypatch.setattr(SessionContext, "sql", told)
    return seen


def test_one_is_planned_once_and_has_its_row_each_time(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = plans(monkeypatch)
    for _ in range(3):
        cursor = connection.execute("SELECT 1 AS a, 'x' AS b, NULL AS c, 2.5 AS d")
        assert [column[0] for column in cursor.description] == ["a", "b", "c", "d"]
        assert cursor.fetchall() == [(1, "x", None, 2.5)]
        assert cursor.fetchall() == []
    assert len(seen) == 1


@pytest.mark.parametrize("text", ["SELECT random()", "SELECT uuid()", "SELECT now()"])
def test_what_is_another_value_each_time_is_computed_each_time(connection: Any, text: str) -> None:
    assert len({connection.execute(text).fetchone() for _ in range(5)}) == 5


def test_a_parameter_is_no_literal(connection: Any) -> None:
    for value in (1, 2, "x", None):
        assert connection.execute("SELECT ? AS a", (value,)).fetchall() == [(value,)]
        assert connection.execute("SELECT 1 AS a, :b AS b", {"b": value}).fetchall() == [(1, value)]


def test_an_option_that_changes_what_one_means_changes_it(connection: Any) -> None:
    def columns(text: str) -> list[Any]:
        table = connection.execute(text).fetch_arrow_table()
        return list(zip(table.schema.names, table.schema.types, strict=True))

    assert columns("SELECT 1.5 AS Shown") == [("shown", pa.float64())]
    connection.execute("SET datafusion.sql_parser.parse_float_as_decimal = true")
    assert columns("SELECT 1.5 AS Shown") == [("shown", pa.decimal128(2, 1))]
    connection.execute("SET datafusion.sql_parser.enable_ident_normalization = false")
    assert columns("SELECT 1.5 AS Shown") == [("Shown", pa.decimal128(2, 1))]
    connection.execute("RESET datafusion.sql_parser.parse_float_as_decimal")
    assert columns("SELECT 1.5 AS Shown") == [("Shown", pa.float64())]


def test_the_columns_that_are_told_before_it_runs_are_those_that_it_has(connection: Any) -> None:
    text = "SELECT 1.5 AS a"
    for option, wanted in (("false", pa.float64()), ("true", pa.decimal128(2, 1))):
        connection.execute(f"SET datafusion.sql_parser.parse_float_as_decimal = {option}")
        for _ in range(2):
            cursor = connection.cursor()
            assert cursor.adbc_execute_schema(text).field("a").type == wanted
            assert cursor.execute(text).fetch_arrow_table().schema.field("a").type == wanted


def test_one_runs_as_every_statement_does(connection: Any) -> None:
    for _ in range(2):
        cursor = connection.execute(PLANNED)
        shown = connection.execute("SELECT statement, state FROM jammi.system.queries").fetchall()
        assert (PLANNED, "waiting") in shown
        cursor.close()
    with pytest.raises(ProgrammingError):
        connection.execute(f"{PLANNED}, missing")


def test_a_long_text_and_a_large_row_are_not_kept() -> None:
    context = SessionContext()
    kept = Constants()
    for text, keeps in (("SELECT 1", True), ("SELECT 1 + 1", False), (f"SELECT '{'x' * 5000}'", False)):
        frame = context.sql(text)
        kept.keep(text, frame.logical_plan(), frame.collect())
        assert (kept.row(text) is not None) is keeps, text
    large = f"SELECT '{'x' * 3000}' AS a, '{'y' * 1000}' AS b"
    frame = context.sql(large)
    kept.keep(large, frame.logical_plan(), [pa.record_batch({"a": ["x" * 5000]})])
    assert kept.row(large) is None
