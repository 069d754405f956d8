"""Columns of the store's results as lists."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa

__all__ = ["buffers", "integers", "texts"]


def integers(table: pa.Table, column: int) -> list[int]:
    """A column of 64-bit integers as a list; ``to_pylist`` takes ten times as long."""
    values: list[int] = []
    for chunk in table.column(column).chunks:
        data = chunk.buffers()[1]
        if len(chunk) and data is not None:
            values += memoryview(data).cast("q")[chunk.offset : chunk.offset + len(chunk)].tolist()
    return values


def buffers(column: pa.ChunkedArray) -> list[pa.Buffer]:
    """The values of a binary column, each a slice of the column's memory."""
    buffers: list[pa.Buffer] = []
    for chunk in column.chunks:
        _, offsets, data = chunk.buffers()
        if len(chunk) and offsets is not None and data is not None:
            bounds = memoryview(offsets).cast("i")[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
            buffers += [data.slice(low, high - low) for low, high in pairwise(bounds)]
    return buffers


def texts(table: pa.Table, column: int) -> list[str]:
    """A column of texts, none of them null."""
    texts: list[str] = table.column(column).to_pylist()  # type: ignore[assignment] # the store's queries return no null
    return texts
