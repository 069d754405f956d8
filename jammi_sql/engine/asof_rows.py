"""The rows of an as-of join's right side: those that are kept, and the relation that gives them to DataFusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import SessionContext

from ..arrow.filter import compile_filter
from .staging import RowsRelation, Staged

__all__ = ["KeptRows", "RightSide", "nullable", "padded_rows", "whole_rows"]

_SLICE = 1_024


class RightSide(RowsRelation):
    """The right side's rows, each under its number. It remembers which of its columns are asked for."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__(schema)
        self.asked: set[str] = set()

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> None:  # noqa: A002
        self.asked.update(self._schema.names if columns is None else columns)
        if filter is not None:
            self.asked.update(compile_filter(filter, self._schema).columns)


class KeptRows:
    """The rows of a right side, the keys in front of them left out; past ``most`` bytes in a file."""

    def __init__(self, schema: pa.Schema, most: int) -> None:
        self._most = most
        self.schema = schema
        self.held: list[pa.RecordBatch] = []
        self.staged: Staged | None = None
        self._bytes = 0

    def add(self, batch: pa.RecordBatch | None) -> None:
        if batch is None or not batch.num_rows:
            return
        rows = pa.RecordBatch.from_arrays(
            batch.columns[batch.num_columns - len(self.schema) :], schema=nullable(self.schema)
        )
        if self.staged is not None:
            self.staged.add(rows)
            return
        self.held.append(rows)
        self._bytes += rows.nbytes
        if self._bytes > self._most:
            self.staged = Staged(nullable(self.schema))
            for held in self.held:
                self.staged.add(held)
            self.held = []

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self.held if self.staged is None else self.staged.batches()

    def close(self) -> None:
        self.held = []
        if self.staged is not None:
            self.staged.close()


def nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def whole_rows(kept: KeptRows, schema: pa.Schema) -> Any:
    """The kept rows with all columns of ``schema``, NULL where nobody asked for one."""
    whole, padded = nullable(schema), padded_rows(kept, schema)
    if kept.staged is None:
        batches = list(padded()) or [pa.RecordBatch.from_pylist([], schema=whole)]
        return SessionContext().read_batches(batches).into_view()
    relation = RightSide(whole)
    relation.batches = partial(_slices, padded)
    return relation


def _slices(batches: Callable[[], Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    """Small batches: a sort must have room for one of them, whatever the others have taken."""
    for batch in batches():
        for start in range(0, batch.num_rows, _SLICE):
            yield batch.slice(start, _SLICE)


def padded_rows(kept: KeptRows, schema: pa.Schema) -> Callable[[], Iterator[pa.RecordBatch]]:
    whole = nullable(schema)

    def padded() -> Iterator[pa.RecordBatch]:
        for batch in kept.batches():
            columns = [
                batch.column(field.name) if field.name in kept.schema.names else pa.nulls(batch.num_rows, field.type)
                for field in whole
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=whole)

    return padded
