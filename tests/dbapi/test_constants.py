"""Queries whose values are known once they are planned have their row at once, and are statements like others otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from datafusion import SessionContext

from jammi_sql import connect
from jammi_sql.engine.constants import is_constant
from jammi_sql.engine.frame_source import FrameSource
from jammi_sql.errors import Error, ProgrammingError


@pytest.fixture
def connection() -> Iterator[Any]:
    with connect(":memory:") as made:
        yield made


@pytest.mark.parametrize(
    ("text", "constant"),
    [
        ("SELECT 1", True),
        ("SELECT 1 + 1 AS a, 'x' AS b, NULL AS c, now() AS d", True),
        ("SELECT [1, 2] AS a", True),
        ("SELECT random()", False),
        ("SELECT 1 AS a UNION ALL SELECT 2", False),
        ("SELECT value FROM generate_series(1, 3)", False),
        ("SELECT (SELECT max(value) FROM generate_series(1, 3))", False),
    ],
)
def test_they_are_known_by_their_plan(text: str, constant: bool) -> None:
    assert is_constant(SessionContext().sql(text).optimized_logical_plan()) is constant


def test_no_stream_is_begun_for_one(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    begin = FrameSource.__init__

    def told(source: FrameSource, *arguments: Any, **options: Any) -> None:
        begun.append(source)
        begin(source, *arguments, **options)

    monkeypatch.setattr(FrameSource, "__init__", told)
    cursor = connection.execute("SELECT 1 AS a, 'x' AS b, NULL AS c, 2.5 AS d")
    assert [column[0] for column in cursor.description] == ["a", "b", "c", "d"]
    assert (cursor.fetchall(), cursor.fetchall()) == ([(1, "x", None, 2.5)], [])
    assert not begun
    assert 0 <= connection.execute("SELECT random()").fetchone()[0] < 1
    assert len(begun) == 1


@pytest.mark.parametrize("text", ["SELECT random()", "SELECT uuid()", "SELECT now()"])
def test_what_is_another_value_each_time_is_computed_each_time(connection: Any, text: str) -> None:
    assert len({connection.execute(text).fetchone() for _ in range(5)}) == 5


def test_a_parameter_has_the_value_of_each_time(connection: Any) -> None:
    for value in (1, 2, "x", None):
        assert connection.execute("SELECT ? AS a", (value,)).fetchall() == [(value,)]


@pytest.mark.parametrize("text", ["SELECT 1 WHERE false", "SELECT 1 LIMIT 0"])
def test_one_without_a_row_has_its_columns(connection: Any, text: str) -> None:
    table = connection.execute(text).fetch_arrow_table()
    assert (table.num_rows, table.schema.types) == (0, [pa.int64()])


def test_an_error_of_its_values_is_one_of_the_statement(connection: Any) -> None:
    with pytest.raises(Error) as caught:
        connection.execute("SELECT CAST('x' AS BIGINT)").fetchall()
    assert caught.value.sqlstate == "22P02"
    with pytest.raises(ProgrammingError):
        connection.execute("SELECT 1, missing")


def test_one_is_seen_while_its_result_is_open(connection: Any) -> None:
    cursor = connection.execute("SELECT 1 AS seen")
    shown = connection.execute("SELECT statement, state FROM jammi.system.queries").fetchall()
    assert ("SELECT 1 AS seen", "waiting") in shown
    cursor.close()
