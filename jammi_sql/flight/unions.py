"""Parameters that come as unions, as clients send them that do not know the types: each value says which one it has."""

from __future__ import annotations

import pyarrow as pa

from ..errors import InvalidParameter

__all__ = ["has_unions", "without_unions"]


def has_unions(schema: pa.Schema) -> bool:
    """Whether some column is a union."""
    return any(pa.types.is_union(field.type) for field in schema)


def without_unions(table: pa.Table) -> pa.Table:
    """The same values, those of a union in a column of the type that they have.

    ``InvalidParameter`` (07006) where those of one column have types without a common one.
    """
    columns = [
        _plain(name, column) if pa.types.is_union(column.type) else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _plain(name: str, column: pa.ChunkedArray) -> pa.Array:
    values = [each.value for each in column]
    types = {each.type for each in values if each.is_valid}
    try:
        one = types.pop() if len(types) == 1 else None if types else pa.null()
        plain: pa.Array = pa.array([each.as_py() for each in values], one)
        return plain
    except pa.ArrowException as error:
        raise InvalidParameter(
            f"the values of parameter {name} have different types",
            sqlstate="07006",
            hint="give all rows the same types",
        ) from error
