"""Results written out in the formats that programs read: parquet, arrow."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InterfaceError, ProgrammingError

__all__ = ["ArrowFormat", "ParquetFormat"]

_ROW_GROUP = 131_072  # rows; small groups make Parquet large and slow to read


def _check_names(schema: pa.Schema, what: str) -> None:
    """``ProgrammingError`` (42701) for a name that comes twice: who reads the file would lose one of the columns."""
    twice = [name for name in schema.names if schema.names.count(name) > 1]
    if twice:
        raise ProgrammingError(
            f"{what} cannot have two columns named {twice[0]}",
            sqlstate="42701",
            hint="give one of them another name with AS",
        )


class _OneResult:
    """A format whose file ends where its first result ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begun = False

    def begin_once(self) -> None:
        if self._begun:
            raise InterfaceError(
                f"{self._name} holds one result, and this is the second one",
                sqlstate="0A000",
                hint="run each query with its own --output, or use jsonl",
            )
        self._begun = True


class ArrowFormat:
    """An Arrow IPC stream, every batch as soon as it is there."""

    first_rows = 0

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._once = _OneResult("an Arrow stream")
        self._writer: pa.RecordBatchStreamWriter | None = None

    def begin(self, schema: pa.Schema) -> None:
        self._once.begin_once()
        self._writer = pa.ipc.new_stream(self._out, schema)  # type: ignore[arg-type] # any file object
        self._out.flush()

    def write(self, batch: pa.RecordBatch) -> None:
        assert self._writer is not None
        self._writer.write_batch(batch)
        self._out.flush()

    def end(self) -> None:
        assert self._writer is not None
        self._writer.close()
        self._out.flush()


class ParquetFormat:
    """A Parquet file. It can be read when it is complete, also after an interrupt, not before."""

    first_rows = 0

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._once = _OneResult("a Parquet file")
        self._schema = pa.schema([])
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def begin(self, schema: pa.Schema) -> None:
        _check_names(schema, "a Parquet file")
        self._once.begin_once()
        self._schema = schema
        self._writer = pq.ParquetWriter(self._out, schema)
        self._out.flush()

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= _ROW_GROUP:
            self._write_group()

    def end(self) -> None:
        assert self._writer is not None
        self._write_group()
        self._writer.close()
        self._out.flush()

    def _write_group(self) -> None:
        waiting, self._waiting, self._rows = (
            self._waiting,
            [],
            0,
        )  # before: one that cannot be written is not tried again
        if waiting:
            assert self._writer is not None
            self._writer.write_table(pa.Table.from_batches(waiting, schema=self._schema), row_group_size=_ROW_GROUP)
