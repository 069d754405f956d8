"""What the tests of sources share: definitions, and reading as the planner does."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
import pyarrow as pa

from jammi_sql.sources import RemoteColumn, RemoteRelation, Source, SourceDefinition
from jammi_sql.sources.opening import kind_of

__all__ = ["Connection", "column_of", "define", "make_wide", "never", "rows_of", "select", "values_of"]

Connection = psycopg.Connection[tuple[object, ...]]


def make_wide(there: Connection) -> None:
    """A PostgreSQL table of 40,000 rows of 400 bytes, ``wide``."""
    there.execute("CREATE TABLE wide (i int PRIMARY KEY, pad text NOT NULL)")
    there.execute("INSERT INTO wide SELECT i, repeat(chr(97 + i % 26), 400) FROM generate_series(1, 40000) AS i")
    there.execute("ANALYZE wide")


def never() -> None:
    """A check that ends nothing."""


def define(uri: str, kind: str | None = None, name: str = "there", **options: str) -> SourceDefinition:
    """An attachment, of the kind that its URI tells."""
    return SourceDefinition(name, kind or kind_of(uri), uri, options)


def select(source: Source, relation: RemoteRelation, columns: Sequence[str] | None = None, where: str = "") -> str:
    """The text that reads columns of a relation, all of them without ``columns``."""
    quote = source.quote
    chosen = [relation.column(name) for name in columns] if columns is not None else relation.columns
    parts = [f"{expression(column, quote)} AS {quoted(column.name, quote)}" for column in chosen]
    named = f"{quoted(relation.schema, quote)}.{quoted(relation.name, quote)}"
    return f"SELECT {', '.join(parts)} FROM {named} AS t {where}"


def expression(column: RemoteColumn, quote: str = '"') -> str:
    """How a column is read."""
    return (column.read or "{}").replace("{}", quoted(column.name, quote))


def quoted(name: str, quote: str) -> str:
    """An identifier."""
    return quote + name.replace(quote, quote * 2) + quote


def schema_of(relation: RemoteRelation, columns: Sequence[str] | None) -> pa.Schema:
    """Of the columns that are read."""
    whole = relation.arrow_schema
    return whole if columns is None else pa.schema([whole.field(name) for name in columns])


def rows_of(source: Source, schema: str, name: str, columns: Sequence[str] | None = None, where: str = "") -> pa.Table:
    """The rows of a relation."""
    relation = source.relation(schema, name)
    assert relation is not None
    wanted = schema_of(relation, columns)
    scan = source.scan([select(source, relation, columns, where)], wanted, never)
    try:
        return pa.Table.from_batches(list(scan.stream(0)), wanted)
    finally:
        scan.close()


def values_of(source: Source, schema: str, name: str, column: str, where: str = "") -> list[object]:
    """The values of one column."""
    return rows_of(source, schema, name, [column], where).column(0).to_pylist()


def column_of(source: Source, schema: str, name: str, column: str) -> RemoteColumn:
    """A column as the catalogue has it."""
    relation = source.relation(schema, name)
    assert relation is not None
    return relation.column(column)
