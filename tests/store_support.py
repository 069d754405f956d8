"""A table in each kind of store, and the statements on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pytest

from jammi_sql.ports import NamedQuery, Reader, Store

__all__ = ["ALL", "COLUMNS", "ITEM", "QUERIES", "ROWS", "Opener", "Queries", "items", "names", "one_writer", "q"]

COLUMNS: list[tuple[str, pa.DataType]] = [("id", pa.int64()), ("name", pa.utf8())]

ITEM = pa.schema(COLUMNS)

ALL = NamedQuery("items", "SELECT id, name FROM item ORDER BY id", ITEM)

ROWS = "unnest($1::BIGINT[], $2::TEXT[]) AS g (id, name)"


@dataclass(frozen=True)
class Queries:
    """The same statements for each kind of store: ``insert`` for values, the others for the rows of a batch too."""

    insert: NamedQuery
    insert_rows: NamedQuery
    returning: NamedQuery
    some: NamedQuery
    by_id: NamedQuery
    by_ids: NamedQuery
    echo: str
    series: str
    check: str


QUERIES = {
    "sqlite": Queries(
        NamedQuery("insert_item", "INSERT INTO item (id, name) VALUES (?1, ?2)", None),
        NamedQuery("insert_item", "INSERT INTO item (id, name) VALUES (?1, ?2)", None),
        NamedQuery("append_item", "INSERT INTO item (id, name) SELECT ?1, ?2 RETURNING id, name", ITEM),
        NamedQuery("insert_some", "INSERT INTO item (id, name) SELECT ?1, ?2 WHERE ?1 <> 2", None),
        NamedQuery("item_by_id", "SELECT id, name FROM item WHERE id = ?1", ITEM),
        NamedQuery("item_by_id", "SELECT id, name FROM item WHERE id = ?1", ITEM),
        "SELECT ?1 AS value",
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {})",
        "23000",
    ),
    "postgres": Queries(
        NamedQuery("insert_item", "INSERT INTO item (id, name) VALUES ($1, $2)", None),
        NamedQuery("insert_item", f"INSERT INTO item (id, name) SELECT * FROM {ROWS}", None),
        NamedQuery("append_item", f"INSERT INTO item (id, name) SELECT * FROM {ROWS} RETURNING id, name", ITEM),
        NamedQuery("insert_some", f"INSERT INTO item (id, name) SELECT * FROM {ROWS} WHERE id <> 2", None),
        NamedQuery("item_by_id", "SELECT id, name FROM item WHERE id = $1", ITEM),
        NamedQuery(
            "item_by_id",
            "SELECT id, name FROM unnest($1::BIGINT[]) WITH ORDINALITY AS g (wanted, place) JOIN item ON id = wanted"
            " ORDER BY place",
            ITEM,
        ),
        "SELECT $1::{} AS value",
        "WITH n(id) AS (SELECT generate_series(1, {}::BIGINT))",
        "23000",
    ),
}


def q(store: Store) -> Queries:
    return QUERIES[store.kind]


Opener = Callable[..., Store]
one_writer = pytest.mark.parametrize("opener", ["sqlite"], indirect=True)

"""What only a store with one write lock, in a folder, does."""


def items(ids: list[int], texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(ids, pa.int64()), pa.array(texts, pa.utf8())], names=["id", "name"])


def names(reader: Reader) -> list[str]:
    return [str(name) for name in reader.query(ALL).column("name").to_pylist()]
