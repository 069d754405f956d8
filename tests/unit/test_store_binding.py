"""Parameters that cannot be bound, and results that are not what was declared."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from jammi_sql.errors import DataError, Error, InterfaceError, InternalError, NumericValueOutOfRange, OperationalError
from jammi_sql.ports import NamedQuery
from jammi_sql.stores import SqliteStore

ECHO = NamedQuery("echo", "SELECT ?1 AS value", pa.schema([("value", pa.int64())]))


@pytest.fixture(scope="module")
def store() -> Iterator[SqliteStore]:
    with SqliteStore.temporary() as made:
        yield made


@pytest.mark.parametrize(
    ("value", "kind", "sqlstate"),
    [
        (2**63, NumericValueOutOfRange, "22003"),
        (-(2**63) - 1, NumericValueOutOfRange, "22003"),
        (10**30, NumericValueOutOfRange, "22003"),
        (float("nan"), DataError, "22000"),
        ("\ud800", DataError, "22021"),
        (True, InterfaceError, None),
        ([1], InterfaceError, None),
        (b"x".__class__, InterfaceError, None),
    ],
    ids=repr,
)
def test_a_value_that_would_change_is_refused(
    store: SqliteStore, value: object, kind: type[Error], sqlstate: str | None
) -> None:
    with pytest.raises(kind) as caught:
        store.query(ECHO, (value,))  # type: ignore[arg-type]
    assert sqlstate in (None, caught.value.sqlstate)


@pytest.mark.parametrize("parameters", [(), (1, 2)])
def test_a_wrong_number_of_parameters_is_an_error(store: SqliteStore, parameters: tuple[int, ...]) -> None:
    with pytest.raises(OperationalError, match="echo"):
        store.query(ECHO, parameters)
    assert store.query(ECHO, (5,)).to_pydict() == {"value": [5]}


def test_a_statement_is_run_by_the_method_that_its_declaration_asks_for(store: SqliteStore) -> None:
    with pytest.raises(InternalError, match="is for execute"):
        store.query(NamedQuery("rowless", "SELECT 1", None))
    transaction = store.begin()
    with pytest.raises(InternalError, match="is not for execute"):
        transaction.execute(ECHO, (1,))
    transaction.rollback()


def test_columns_of_other_names_than_declared_are_an_error(store: SqliteStore) -> None:
    with pytest.raises(InternalError, match=r"\['other'\], declared are \['value'\]"):
        store.query(NamedQuery("misnamed", "SELECT 1 AS other", ECHO.returns))


def test_integers_become_the_declared_number_type_only_without_loss(store: SqliteStore) -> None:
    columns: list[tuple[str, pa.DataType]] = [("value", pa.int32()), ("real", pa.float64())]
    narrow = pa.schema(columns)
    query = NamedQuery("narrow", "SELECT ?1 AS value, ?2 AS real", narrow)
    assert store.query(query, (7, 2**53)).to_pydict() == {"value": [7], "real": [float(2**53)]}
    for values in ((2**31, 1), (1, 2**53 + 1)):
        with pytest.raises(InternalError, match="out of range"):
            store.query(query, values)


def test_many_different_statements_do_not_pile_up(store: SqliteStore) -> None:
    for number in range(600):
        query = NamedQuery("one_of_many", f"SELECT {number} AS value", ECHO.returns)
        assert store.query(query).to_pydict() == {"value": [number]}
    assert len(store._readers._idle[-1]._statements) <= 256
