"""Rows on their way into a source, in types that its driver writes exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from ..errors import DataError, Error, NotSupportedError

__all__ = ["Outgoing", "unsupported"]

Convert = Callable[[Any], Any]


class Outgoing:
    """Batches, converted one by one and counted. What a conversion raises is kept: a driver passes on its text alone."""

    def __init__(
        self, rows: pa.RecordBatchReader, types: Sequence[pa.DataType], convert: Sequence[Convert | None]
    ) -> None:
        """``types`` are those of the columns as they are sent; ``convert`` makes them, ``None`` by a safe cast."""
        self._rows = rows
        self._convert = convert
        self.schema = pa.schema(
            [pa.field(field.name, kind, field.nullable) for field, kind in zip(rows.schema, types, strict=True)]
        )
        self.count = 0
        self._failure: BaseException | None = None

    def reader(self, *, never_empty: bool = False) -> pa.RecordBatchReader:
        """The converted rows, once; with ``never_empty`` a batch without rows where there are none: the Flight SQL driver sends
        nothing at all of a stream without batches."""
        batches = self._batches()
        return pa.RecordBatchReader.from_batches(self.schema, self._one_at_least(batches) if never_empty else batches)

    def _one_at_least(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        first = next(batches, None)
        yield pa.RecordBatch.from_pylist([], schema=self.schema) if first is None else first
        yield from batches

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._rows:
                yield self.converted(batch)
        except BaseException as error:
            self._failure = error
            raise

    def converted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """One batch as it is sent."""
        columns = [
            _converted(batch.column(index), self.schema.field(index), convert)
            for index, convert in enumerate(self._convert)
        ]
        self.count += batch.num_rows
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def raise_failure(self) -> None:
        """Raise what the rows or their conversion raised, if anything."""
        if self._failure is not None:
            raise self._failure


def _converted(column: Any, field: Any, convert: Convert | None) -> Any:
    try:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if convert is not None:
            column = convert(column)
        return column if column.type == field.type else column.cast(field.type)
    except Error:
        raise
    except (pa.ArrowException, OverflowError) as error:  # Arrow's own message has the value
        raise DataError(
            f"column {field.name} has a value that the source cannot keep exactly", sqlstate="22003"
        ) from error


def unsupported(field: pa.Field[Any], kind: str, hint: str) -> NotSupportedError:
    """The error of a column whose type the source has none for."""
    return NotSupportedError(f"{kind} has no type that keeps column {field.name} ({field.type}) exactly", hint=hint)
