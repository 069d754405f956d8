"""What a companion table is: a name, a schema, keys, indexes and an owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from ..arrow.storage import column_codec
from ..dialect import format_identifier_path
from ..errors import FeatureNotSupported, InvalidParameter, ProgrammingError, UndefinedColumn
from ..tenancy import TenantId
from ..topics.definition import check_column_name

__all__ = ["Index", "MutableTableDefinition", "check_table"]

_MOST_COLUMNS = 990  # SQLite has 2,000 in a result, and a column with NaNs takes two


@dataclass(frozen=True, slots=True)
class Index:
    """An index over columns that can be compared; a unique one is a constraint as well."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False


@dataclass(frozen=True, slots=True)
class MutableTableDefinition:
    """A companion table as it is registered.

    ``name`` is an identifier path: ``planes`` or ``fleet.planes``. ``schema`` holds the user's columns, none of which
    begins with ``_``. ``primary_key`` names its key columns, which are NOT NULL; empty for none. ``tenant`` owns the
    table, ``None`` makes it global. ``indexes`` are ``Index`` values, or lists of column names. ``unique`` are further
    keys, ``defaults`` SQL expressions by column. Raises ``InvalidParameter`` for what is of another kind.
    """

    name: str
    schema: pa.Schema
    primary_key: tuple[str, ...] = ()
    tenant: TenantId | None = None
    indexes: tuple[Index, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidParameter("a table's name is text", hint="write it as fleet.planes")
        if not isinstance(self.schema, pa.Schema):
            raise InvalidParameter("a table's schema is a pyarrow.Schema", hint="make it with pyarrow.schema")
        given: Any = self.primary_key
        key = (given,) if isinstance(given, str) else tuple(given or ())
        object.__setattr__(self, "primary_key", key)
        object.__setattr__(self, "tenant", TenantId.optional(self.tenant))
        object.__setattr__(self, "indexes", tuple(_index(item) for item in self.indexes or ()))
        unique = dict.fromkeys(tuple(columns) for columns in self.unique if tuple(columns) != key)
        object.__setattr__(self, "unique", tuple(unique))
        required = [name for name in key if name in self.schema.names]
        object.__setattr__(self, "schema", _with_not_null(self.schema, required))

    def __hash__(self) -> int:
        return hash((self.name, self.tenant))

    def same_as(self, other: MutableTableDefinition) -> bool:
        """Whether both have the same columns, keys and defaults; comments, options and plain indexes do not count."""
        return bool(
            self.schema.equals(other.schema)
            and self.primary_key == other.primary_key
            and sorted(self.unique) == sorted(other.unique)
            and dict(self.defaults) == dict(other.defaults)
        )


def _index(item: Any) -> Index:
    if isinstance(item, Index):
        return item
    if isinstance(item, str):
        return Index(f"{item}_index", (item,))
    columns = tuple(item)
    return Index("_".join([*columns, "index"]), columns)


def _with_not_null(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    wanted = set(names)
    fields = [item.with_nullable(False) if item.name in wanted else item for item in schema]
    return pa.schema(fields, metadata=schema.metadata)  # type: ignore[arg-type] # invariant in the stubs


def check_table(definition: MutableTableDefinition) -> None:
    """Raise where a table cannot be: reserved or repeated column names, keys of columns that are not there or cannot be
    compared, types that no store column holds."""
    schema = definition.schema
    if len(schema) > _MOST_COLUMNS:
        raise ProgrammingError(
            f"a table has at most {_MOST_COLUMNS} columns, not {len(schema)}",
            sqlstate="54011",
            hint="put some of them into a struct or a list",
        )
    if not len(schema):
        raise ProgrammingError("a table needs at least one column", sqlstate="42P16", hint="define one")
    for item in schema:
        check_column_name(item.name)
        if schema.names.count(item.name) > 1:
            raise ProgrammingError(f"column {item.name} is named twice", sqlstate="42701", hint="rename one of them")
        column_codec(item.type)
    for what, columns in (
        ("the primary key", definition.primary_key),
        *(("a unique key", columns) for columns in definition.unique),
        *((f"index {index.name}", index.columns) for index in definition.indexes),
    ):
        check_key(definition.name, schema, columns, what)
    for name in definition.defaults:
        _require_column(definition.name, schema, name)


def check_key(table: str, schema: pa.Schema, columns: tuple[str, ...], what: str) -> None:
    """``UndefinedColumn``, 42701 for a column named twice, ``FeatureNotSupported`` for types without an order."""
    for name in columns:
        _require_column(table, schema, name)
        if columns.count(name) > 1:
            raise ProgrammingError(f"column {name} is named twice in {what}", sqlstate="42701", hint="name it once")
        if not column_codec(schema.field(name).type).comparable:
            raise FeatureNotSupported(
                f"column {name} of type {schema.field(name).type} cannot be part of {what}",
                hint="use a column of numbers, text, bytes or times",
            )


def _require_column(table: str, schema: pa.Schema, name: str) -> None:
    if name not in schema.names:
        raise UndefinedColumn(f"table {table} has no column {name}", hint=f"its columns are {', '.join(schema.names)}")


def renamed(definition: MutableTableDefinition, namespace_and_name: tuple[str, ...]) -> MutableTableDefinition:
    """The same under another name."""
    return replace(definition, name=format_identifier_path(namespace_and_name))
