"""Which live statements run without DataFusion: a filter that was pushed down whole, and a choice of columns."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from datafusion import SessionContext

import jammi_sql
from jammi_sql.arrow.batches import join_columns
from jammi_sql.engine.live_source import LiveQuery
from jammi_sql.errors import UnboundedResult
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


def test_an_expression_in_a_live_statement_is_a_query_per_delivery(
    connection: jammi_sql.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = "SELECT a + 1 FROM subscribe('t', from => 0) LIMIT 3"
    assert connection.execute(statement).fetchall() == [(2,), (3,), (4,)]
    monkeypatch.delattr(LiveQuery, "_query")
    with pytest.raises(AttributeError):
        connection.execute(statement).fetchall()


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
