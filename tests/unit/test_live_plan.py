"""Which live statements run without DataFusion: those whose expressions are all on the kernels' list."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from datafusion import SessionContext

import jammi_sql
from jammi_sql.arrow.batches import join_columns
from jammi_sql.engine.live_source import LiveQuery
from jammi_sql.errors import DataError, UnboundedResult
from jammi_sql.plan.shape import shape_of


@pytest.fixture
def connection() -> Iterator[jammi_sql.Connection]:
    with jammi_sql.connect() as connection:
        connection.execute("CREATE TOPIC t (a INT NOT NULL, b VARCHAR, c DOUBLE)")
        connection.execute("INSERT INTO t VALUES (1, 'one', 1.5), (2, NULL, 2.5), (3, 'three', NULL)")
        yield connection


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("SELECT a FROM subscribe('t', from => 0) WHERE a > 1 LIMIT 2", [(2,), (3,)]),
        (
            "SELECT s.c, s._offset, a AS number FROM subscribe('t', from => 0) AS s WHERE b = 'one' LIMIT 1",
            [(1.5, 0, 1)],
        ),
        ("SELECT * FROM subscribe('t', until => 0) WHERE c IS NULL", [(3, "three", None)]),
    ],
)
def test_a_filter_and_columns_of_a_live_statement_need_no_query_per_delivery(
    connection: jammi_sql.Connection,
    statement: str,
    rows: list[tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(LiveQuery, "_query")
    found = connection.execute(statement).fetchall()
    assert [row[-len(rows[0]) :] for row in found] == rows


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("SELECT a + 1 FROM subscribe('t', from => 0) LIMIT 3", [(2,), (3,), (4,)]),
        (
            "SELECT a, c * 2 AS d FROM subscribe('t', from => 0) WHERE a * 2 > 2 AND lower(b) LIKE 'th%' LIMIT 1",
            [(3, None)],
        ),
        ("SELECT x.d + 1 FROM (SELECT a + 1 AS d FROM subscribe('t', from => 0)) x WHERE x.d % 2 = 1 LIMIT 1", [(4,)]),
        (
            "SELECT a + c, a + c + 1 FROM subscribe('t', from => 0) WHERE a + c > 1 AND (a + c) * 2 > 5 LIMIT 1",
            [(4.5, 5.5)],
        ),
        ("SELECT 7 FROM subscribe('t', from => 0) WHERE b IS NOT NULL LIMIT 2", [(7,), (7,)]),
        (
            "SELECT CASE WHEN c > 2 THEN b ELSE 'few' END FROM subscribe('t', from => 0) LIMIT 3",
            [("few",), (None,), ("few",)],
        ),
        ("SELECT a FROM subscribe('t', until => 0) WHERE a NOT IN (NULL, 5)", []),
        ("SELECT a FROM subscribe('t', until => 0) WHERE a NOT IN (NULL, 5) OR a = 2", [(2,)]),
    ],
)
def test_listed_expressions_of_a_live_statement_need_no_query_per_delivery(
    connection: jammi_sql.Connection,
    statement: str,
    rows: list[tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(LiveQuery, "_query")
    assert connection.execute(statement).fetchall() == rows


def test_any_other_expression_is_a_query_per_delivery(
    connection: jammi_sql.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = "SELECT reverse(b) FROM subscribe('t', from => 0) LIMIT 1"
    assert connection.execute(statement).fetchall() == [("eno",)]
    monkeypatch.delattr(LiveQuery, "_query")
    with pytest.raises(AttributeError):
        connection.execute(statement).fetchall()


def test_a_delivery_of_which_the_kernels_cannot_tell_is_datafusions(connection: jammi_sql.Connection) -> None:
    connection.execute("INSERT INTO t VALUES (4, 'Straße', 0)")
    found = connection.execute("SELECT upper(b) FROM subscribe('t', from => 0) LIMIT 4").fetchall()
    assert found == [("ONE",), (None,), ("THREE",), ("STRASSE",)]
    live = connection.execute("SELECT 10 / (a - 4) FROM subscribe('t', from => 1)")
    with pytest.raises(DataError, match="Divide by zero"):
        live.fetchone()


def test_columns_of_several_batches_are_joined_in_the_order_asked_for() -> None:
    first = pa.record_batch({"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]})
    second = pa.record_batch({"a": [3], "b": ["z"], "c": [2.5]})
    joined = join_columns([first, second], ["c", "b"])
    assert joined.to_pydict() == {"c": [0.5, 1.5, 2.5], "b": ["x", None, "z"]}
    assert join_columns([first], ["b"]).to_pydict() == {"b": ["x", None]}


def test_joined_dictionary_columns_keep_their_values() -> None:
    batches = [pa.record_batch({"d": pa.array([value]).dictionary_encode()}) for value in ("x", "y")]
    assert join_columns(batches, ["d"]).to_pydict() == {"d": ["x", "y"]}


def test_a_relation_is_not_counted_as_another_whose_name_begins_alike() -> None:
    context = SessionContext()
    for name in ("__subscribe_1", "__subscribe_10"):
        context.register_record_batches(name, [[pa.record_batch({"a": [1]})]])
    text = "SELECT x.a FROM __subscribe_1 x JOIN __subscribe_10 y ON x.a = y.a"
    assert shape_of(context.sql(text).logical_plan(), "__subscribe_1", None).joined
    twice = "SELECT a FROM __subscribe_1 WHERE a IN (SELECT a FROM __subscribe_1)"
    with pytest.raises(UnboundedResult):
        shape_of(context.sql(twice).logical_plan(), "__subscribe_1", None)
