"""What a look-up by a key is told to have before it runs, without a planner, is what the planner would say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from datafusion import SessionContext

from jammi_sql import connect

LOOK_UPS = [
    "SELECT v FROM t WHERE k = ?",
    "SELECT * FROM t WHERE k = ?",
    "SELECT k, v, at FROM t WHERE k = 7",
    "SELECT v FROM public.t WHERE t.k = $1 AND v = $2",
    "SELECT d FROM u WHERE a = ? AND b = ?",
]
OTHERS = [
    "SELECT v FROM t WHERE v = ?",
    "SELECT v, v FROM t WHERE k = ?",
    "SELECT v FROM t WHERE k = ? OR k = 1",
    "SELECT d FROM u WHERE a = ?",
    "SELECT v FROM f WHERE x = ?",
    "SELECT v FROM e WHERE k = ?",
    "SELECT v FROM shown WHERE k = ?",
    "SELECT v FROM t WHERE k = ? LIMIT ?",
]


@pytest.fixture
def connection() -> Iterator[Any]:
    with connect(":memory:") as made:
        made.execute("CREATE TABLE t (k BIGINT PRIMARY KEY, v VARCHAR NOT NULL, at TIMESTAMP)")
        made.execute("CREATE TABLE u (a INT, b VARCHAR, d DECIMAL(10, 2), PRIMARY KEY (a, b))")
        made.execute("CREATE TABLE f (x DOUBLE PRIMARY KEY, v BIGINT)")
        made.execute("CREATE TOPIC e (k BIGINT, v BIGINT)")
        made.execute("CREATE VIEW shown AS SELECT k, v FROM t")
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


def outlined(connection: Any, text: str) -> tuple[Any, Any]:
    found = connection._port.outline(text.replace("?", "$1", 1).replace("?", "$2", 1))
    return dict(found.parameters), found.columns


@pytest.mark.parametrize("text", LOOK_UPS + OTHERS)
def test_it_is_what_the_planner_says(connection: Any, text: str) -> None:
    told = outlined(connection, text)
    connection.execute("SET jammi.pushdown = off")
    assert outlined(connection, text) == told


@pytest.mark.parametrize("text", LOOK_UPS)
def test_it_takes_no_planner(connection: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = plans(monkeypatch)
    outlined(connection, text)
    assert not seen


def test_it_is_that_of_the_relation_as_it_is(connection: Any) -> None:
    def column() -> str:
        parameters, columns = outlined(connection, "SELECT v FROM t WHERE k = ?")
        assert parameters.keys() == {"1"}
        return str(columns.field("v").type)

    assert column() == "string"
    for change in ("ALTER TABLE t RENAME COLUMN v TO w", "ALTER TABLE t ADD COLUMN v BIGINT"):
        connection.execute(change)
    assert column() == "int64"
    connection.execute("DROP TABLE t")
    connection.execute("CREATE VIEW t AS SELECT 1 AS k, 1.5 AS v")
    assert column() == "double"
