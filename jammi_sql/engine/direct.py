"""Plain statements on their short way: what ``plan.direct`` recognises goes to the store without a planner.

Where the store's arithmetic and DataFusion's could part (overflow, NULL, NaN), a guard leaves the row alone, and the
statement is computed by DataFusion after all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
from pyarrow import types

from .. import faults
from ..arrow.storage import column_codec
from ..dialect import statements
from ..dialect.statements import Name
from ..plan.direct import (
    Addition,
    DirectChange,
    DirectSelect,
    Placeholder,
    Value,
    array_of,
    arrays_of,
    direct_delete,
    direct_select,
    direct_update,
    repeated,
    rows_of,
)
from ..ports import NamedQuery, Reader, Transaction
from ..results import BatchResult, IterableSource
from ..tables.catalog import CatalogTable
from ..tables.column import StoredColumn
from ..tables.condition import equal_to
from ..tables.rendering import TableRenderer
from ..tables.rendering.renderer import TENANT, quoted
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic, tenant_text

if TYPE_CHECKING:
    from .session import Session

__all__ = ["change_directly", "direct_outline", "direct_rows", "is_direct", "select_directly"]

_BIGINT = StoredColumn(pa.field("number", pa.int64()), "", column_codec(pa.int64()), None)
Parameters = Mapping[str, pa.Scalar]


def direct_rows(
    session: Session, statement: statements.Insert, target: CatalogTopic | CatalogTable, parameters: Parameters
) -> pa.RecordBatch | None:
    """The rows of ``VALUES`` of literals and parameters with the target's columns; ``None`` for any other source.

    That a column is NOT NULL is looked at by who writes them.
    """
    schema, owner = _shape(target)
    values = session.known.derived(statement, owner, lambda: _values(statement, target, schema.names))
    if values is None:
        return None
    arrays = arrays_of(list(values.values()), [schema.field(name) for name in values], parameters)
    if arrays is None:
        return None
    given = dict(zip(values, arrays, strict=True))
    count = len(arrays[0])
    columns = [given[field.name] if field.name in given else pa.nulls(count, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _shape(target: CatalogTopic | CatalogTable) -> tuple[pa.Schema, object]:
    """The columns of a relation, and what it has as long as they are the same."""
    if isinstance(target, CatalogTable):
        return target.schema, target.columns
    return target.codec.schema, target.codec


def _values(
    statement: statements.Insert, target: CatalogTopic | CatalogTable, every: list[str]
) -> dict[str, list[Value]] | None:
    """The values of ``VALUES`` by column, those that are left out missing; ``None`` for any other source."""
    source = statement.source
    if source is None or source.keyword != "VALUES" or statement.defaults or statement.alias is not None:
        return None
    names = every if statement.columns is None else list(statement.columns)
    if len(set(names)) != len(names) or not set(every).issuperset(names):
        return None
    left_out = [name for name in every if name not in names]
    if isinstance(target, CatalogTable) and any(target.column(name).default is not None for name in left_out):
        return None
    values = rows_of(source.body, len(names))
    return None if values is None else dict(zip(names, values, strict=True))


def is_direct(session: Session, statement: statements.Update | statements.Delete) -> bool:
    """Whether the statement may be one that ``change_directly`` takes, by its text alone.

    None is where ``SET jammi.pushdown = off`` leaves everything to DataFusion.
    """
    return session.settings.pushdown and _direct(session, statement) is not None


def _direct(session: Session, statement: statements.Update | statements.Delete) -> DirectChange | None:
    if isinstance(statement, statements.Update):
        return session.known.derived(statement, None, lambda: direct_update(statement))
    return session.known.derived(statement, None, lambda: direct_delete(statement))


def change_directly(
    session: Session,
    transaction: Transaction,
    table: CatalogTable,
    statement: statements.Update | statements.Delete,
    parameters: Parameters | pa.RecordBatch,
) -> int | None:
    """Change the row with a key; returns how many rows were changed, ``None`` where DataFusion must compute it or
    ``table`` was altered since it was looked up.

    With a ``RecordBatch`` the statement is meant once for each of its rows; where ``None`` comes back, some of them may
    have been changed, and the caller undoes that.
    """
    change = _direct(session, statement)
    if change is None:
        return None
    compiled = session.known.derived(statement, table.columns, lambda: _compile(table, change))
    rows = parameters.num_rows if isinstance(parameters, pa.RecordBatch) else 1
    arrays = None if compiled is None else compiled.bound(session.tenant, _reader(table.renderer, parameters), rows)
    tables = session.engine.services.tables
    if compiled is None or arrays is None or not tables.raise_version_of(transaction, table):
        return None
    changed = sum(transaction.execute(compiled.query, piece) for piece in table.renderer.pieces(arrays, compiled.key))
    faults.point("table.after_update" if isinstance(statement, statements.Update) else "table.after_delete")
    if changed:
        faults.point("table.after_version")
    else:
        tables.lower_version(transaction, table)
    return None if compiled.guarded and changed != rows else changed


def select_directly(session: Session, text: str, parameters: Parameters) -> BatchResult | None:
    """The row with a key, looked up in the store; ``None`` for any other query."""
    select = direct_select(text) if session.settings.pushdown else None
    if select is None or session.names.is_own(Name(select.table, 0)):
        return None
    store = session.engine.services.store
    if session.reader is not store:
        return _looked_up(session, select, parameters, session.reader)
    with closing(store.snapshot()) as snapshot:  # the catalogue and the row are of one moment
        return _looked_up(session, select, parameters, snapshot)


def direct_outline(session: Session, text: str) -> tuple[Mapping[str, pa.DataType], pa.Schema] | None:
    """The types of the parameters by their keys, and the columns, of a query that ``select_directly`` takes whatever their
    values; ``None`` for any other."""
    select = direct_select(text) if session.settings.pushdown else None
    if select is None or session.names.is_own(Name(select.table, 0)):
        return None
    table = _keyed(session, select, session.reader)
    if table is None:
        return None
    asked = ((name, value.key) for name, value in select.key if isinstance(value, Placeholder))
    return {key: table.column(name).field.type for name, key in asked}, _columns(table, select)


def _keyed(session: Session, select: DirectSelect, reader: Reader) -> CatalogTable | None:
    """The table whose columns are selected by a whole key; ``None`` where there is none, or it takes DataFusion."""
    table = session.names.find_relation(Name(select.table, 0), reader, tables_first=True)
    if not isinstance(table, CatalogTable):
        return None
    key = [name for name, _ in select.key]
    if not set(table.schema.names).issuperset((*(select.columns or ()), *key)):
        return None
    if not any(set(key).issuperset(unique) for unique in table.keys):
        return None
    columns = [table.column(name) for name in key]
    return None if any(types.is_floating(one.field.type) or not one.codec.comparable for one in columns) else table


def _columns(table: CatalogTable, select: DirectSelect) -> pa.Schema:
    names = table.schema.names if select.columns is None else select.columns
    return pa.schema([table.column(name).field for name in names])


def _looked_up(session: Session, select: DirectSelect, parameters: Parameters, reader: Reader) -> BatchResult | None:
    table = _keyed(session, select, reader)
    if table is None:
        return None
    read = _reader(table.renderer, parameters)
    conditions = []
    for name, value in select.key:
        column = table.column(name)
        stored = read(column, value)
        if stored is None or stored.null_count:
            return None
        conditions.append((column, stored[0].as_py()))
    session.scope.read(table)
    rows = session.engine.services.rows
    schema = _columns(table, select)
    batches = list(rows.scan(reader, table, session.tenant, schema.names, equal_to(conditions)))
    return session.queries.result(IterableSource(schema, batches))


Read = Callable[[StoredColumn, Value], pa.Array | None]
"""The values for a column as the store keeps them; ``None`` where they are not plainly of its type."""


def _reader(renderer: TableRenderer, parameters: Parameters | pa.RecordBatch) -> Read:
    def read(column: StoredColumn, value: Value) -> pa.Array | None:
        if isinstance(parameters, pa.RecordBatch):
            array = repeated(value, column.field, parameters)
        else:
            array = array_of((value,), column.field.type, parameters)
        if array is None:
            return None
        encoded = renderer.encode(column.codec, array)
        return None if encoded.specials is not None else encoded.values

    return read


class Place(Protocol):
    """Takes a value as a parameter, and says its number."""

    def __call__(self, column: StoredColumn, value: Value, *, null: bool) -> int: ...


@dataclass(frozen=True, slots=True)
class _Place:
    """A parameter of the store's statement: a value of a column's type, which may be NULL or not."""

    column: StoredColumn
    value: Value
    null: bool


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The statement of the store, its parameters but the tenant, and whether rows may be left alone by a guard."""

    query: NamedQuery
    places: tuple[_Place, ...]
    names: list[str]
    guarded: bool
    key: range
    """The parameters that name the row."""

    def bound(self, tenant: TenantId | None, read: Read, rows: int) -> pa.RecordBatch | None:
        """What to bind; ``None`` where a value is not plainly of its column's type."""
        owner = _one_text(tenant_text(tenant))
        arrays: list[pa.Array] = [owner if rows == 1 else pa.repeat(owner[0], rows)]
        for place in self.places:
            array = read(place.column, place.value)
            if array is None or (array.null_count and not place.null):
                return None
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, names=self.names)


@lru_cache(maxsize=256)
def _one_text(text: str) -> pa.Array:
    return pa.array([text], pa.string())


def _compile(table: CatalogTable, change: DirectChange) -> _Compiled | None:
    names = {column.name: column for column in table.columns}
    key = {name for name, _ in change.key}
    if not key <= names.keys() or not any(key.issuperset(unique) for unique in table.keys):
        return None
    in_keys = {name for unique in table.keys for name in unique}
    given = table.renderer.given
    places: list[_Place] = []
    assignments: list[str] = []
    guards: list[str] = []

    def place(column: StoredColumn, value: Value, *, null: bool) -> int:
        places.append(_Place(column, value, null))
        return len(places) + 1

    for name, value in change.assignments:
        column = names.get(name)
        if column is None or name in in_keys:
            return None
        if isinstance(value, Addition):
            added = _addition(table, names, column, value, place)
            if added is None:
                return None
            expression, guard = added
            guards.append(guard)
        else:
            expression = given(place(column, value, null=column.field.nullable))
        assignments.append(f"{quoted(column.physical)} = {expression}")
    assigned = len(places)
    conditions = [f"{TENANT} = {given(1)}"]
    for name, value in change.key:
        column = names[name]
        if types.is_floating(column.field.type):
            return None
        conditions.append(f"{quoted(column.physical)} = {given(place(column, value, null=False))}")
    stored = [pa.utf8(), *(table.renderer.stored_type(place.column.codec) for place in places)]
    text = table.renderer.change_where(table.storage, assignments, [*conditions, *guards], stored)
    bound = [str(number) for number in range(len(places) + 1)]
    return _Compiled(
        NamedQuery(f"table {table.name}", text, None),
        tuple(places),
        bound,
        bool(guards),
        range(1 + assigned, 1 + len(places)),
    )


def _addition(
    table: CatalogTable, names: Mapping[str, StoredColumn], target: StoredColumn, addition: Addition, place: Place
) -> tuple[str, str] | None:
    """The expression of the store, and what must hold for it to be DataFusion's."""
    column = names.get(addition.column)
    if column is None:
        return None
    if types.is_float64(column.field.type) and types.is_float64(target.field.type):
        added = column
    elif _is_small_integer(column.field.type) and _is_small_integer(target.field.type):
        added = _BIGINT
    else:
        return None
    number = place(added, addition.value, null=False)
    return table.renderer.addition(column, target, "-" if addition.negative else "+", number)


def _is_small_integer(data_type: pa.DataType) -> bool:
    return types.is_signed_integer(data_type) or (
        types.is_unsigned_integer(data_type) and not types.is_uint64(data_type)
    )
