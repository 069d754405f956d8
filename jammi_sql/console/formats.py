"""Results written out in the formats that a terminal shows: table, markdown, csv, json, jsonl.

Each format writes a result as it arrives and flushes after every batch, so that a live one can be watched and piped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from rich.cells import cell_len

from ..dbapi.types import NUMBER
from ..dbapi.values import column_values, rows
from .escapes import Harmless
from .files import ArrowFormat, ParquetFormat
from .text import cell, json_value, plain

__all__ = ["FORMATS", "Format", "on_terminal"]


class Format(Protocol):
    """Writes results: for each ``begin``, ``write`` per batch, ``end`` also when it was interrupted."""

    first_rows: int
    """How many rows ``write`` wants to see at first, where so many come without a wait."""

    def begin(self, schema: pa.Schema) -> None: ...

    def write(self, batch: pa.RecordBatch) -> None: ...

    def end(self) -> None: ...


class TableFormat:
    """Aligned columns. Their widths are those of the header and of the first rows; later ones may stick out."""

    first_rows = 1_000

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._names: list[str] = []
        self._right: list[bool] = []
        self._widths: list[int] | None = None

    def begin(self, schema: pa.Schema) -> None:
        self._names = [cell(name) for name in schema.names]
        self._right = [field.type == NUMBER for field in schema]
        self._widths = None

    def write(self, batch: pa.RecordBatch) -> None:
        lines = _cells(batch)
        if self._widths is None:
            self._header(lines)
        self._lines(lines)
        self._out.flush()

    def end(self) -> None:
        if self._widths is None:
            self._header([])
        self._out.flush()

    def _header(self, lines: Sequence[Sequence[str]]) -> None:
        columns = zip(*lines, strict=True) if lines else ([] for _ in self._names)
        self._widths = [
            max([cell_len(name), *map(cell_len, column)]) for name, column in zip(self._names, columns, strict=True)
        ]
        self._lines([self._names])
        self._out.write(("-+-".join("-" * width for width in self._widths) + "\n").encode())

    def _lines(self, lines: Sequence[Sequence[str]]) -> None:
        assert self._widths is not None
        for line in lines:
            parts = [
                " " * (width - cell_len(text)) + text if right else text + " " * (width - cell_len(text))
                for text, width, right in zip(line, self._widths, self._right, strict=True)
            ]
            self._out.write((" | ".join(parts).rstrip() + "\n").encode())


class MarkdownFormat:
    """A table of GitHub's Markdown."""

    first_rows = 0

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def begin(self, schema: pa.Schema) -> None:
        self._line([_markdown(cell(name)) for name in schema.names])
        self._line(["---:" if field.type == NUMBER else "---" for field in schema])
        self._out.flush()

    def write(self, batch: pa.RecordBatch) -> None:
        for line in _cells(batch):
            self._line([_markdown(text) for text in line])
        self._out.flush()

    def end(self) -> None:
        self._out.flush()

    def _line(self, parts: Sequence[str]) -> None:
        self._out.write(("| " + " | ".join(parts) + " |\n").encode())


_QUOTE, _COMMA, _LINE_END, _NOTHING = (pa.scalar(text, pa.large_string()) for text in ('"', ",", "\n", ""))


class CsvFormat:
    """RFC 4180 with a header, quoted where it must be. NULL is nothing at all, an empty text is ``""``."""

    first_rows = 0

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def begin(self, schema: pa.Schema) -> None:
        self._line([pa.array([name], pa.large_string()) for name in schema.names])

    def write(self, batch: pa.RecordBatch) -> None:
        self._line([_csv_text(column) for column in batch.columns])

    def end(self) -> None:
        self._out.flush()

    def _line(self, columns: Sequence[pa.Array]) -> None:
        lines = _joined([*map(_csv_field, columns), _COMMA]) if columns else pa.array([], pa.large_string())
        # Ended by one more join, the lines lie one after the other in one buffer.
        ended = _joined([lines, _NOTHING, _LINE_END])
        text = ended.buffers()[2]
        if text is not None:
            length = pc.call_function("sum", [pc.call_function("binary_length", [ended])]).as_py()
            self._out.write(memoryview(text)[: length or 0])
        self._out.flush()


class JsonLinesFormat:
    """One JSON object per line and row."""

    first_rows = 0

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._names: list[str] = []

    def begin(self, schema: pa.Schema) -> None:
        self._names = _distinct(schema.names)

    def write(self, batch: pa.RecordBatch) -> None:
        for line in _objects(self._names, batch):
            self._out.write(line + b"\n")
        self._out.flush()

    def end(self) -> None:
        self._out.flush()


class JsonFormat:
    """One JSON array of objects per result, complete also after an interrupt."""

    first_rows = 0

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._names: list[str] = []
        self._before = b"\n"  # what stands before the next object

    def begin(self, schema: pa.Schema) -> None:
        self._names = _distinct(schema.names)
        self._before = b"\n"
        self._out.write(b"[")

    def write(self, batch: pa.RecordBatch) -> None:
        for line in _objects(self._names, batch):
            # In this order, because Ctrl-C may come between the two.
            before, self._before = self._before, b",\n"
            self._out.write(before + line)
        self._out.flush()

    def end(self) -> None:
        self._out.write(b"]\n" if self._before == b"\n" else b"\n]\n")
        self._out.flush()


def on_terminal(name: str, out: BinaryIO) -> Format:
    """A format of ``FORMATS`` for a person to read: what is data may hold what a terminal would obey."""
    return FORMATS[name](Harmless(out))  # type: ignore[arg-type] # as much of a file as is written to


FORMATS: Mapping[str, Callable[[BinaryIO], Format]] = {
    "table": TableFormat,
    "csv": CsvFormat,
    "json": JsonFormat,
    "jsonl": JsonLinesFormat,
    "parquet": ParquetFormat,
    "arrow": ArrowFormat,
    "markdown": MarkdownFormat,
}


def _cells(batch: pa.RecordBatch) -> list[tuple[str, ...]]:
    return [tuple(map(cell, row)) for row in rows(batch)]


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _csv_text(column: pa.Array) -> pa.Array:
    """The values as large text, of which a batch may hold more than 2 GiB."""
    if _csv_native(column.type):
        return column.cast(pa.large_string())
    values = [None if value is None else plain(value) for value in column_values(column)]
    return pa.array(values, pa.large_string())


def _csv_field(text: pa.Array) -> pa.Array:
    """``text`` with quotes around what would be read as something else without."""
    meant = pc.match_substring_regex(text, '^$|[",\\r\\n]')
    if not pc.any(meant).as_py():
        return text
    quoted = _joined([_QUOTE, pc.replace_substring(text, '"', '""'), _QUOTE, _NOTHING])
    field: pa.Array = pc.call_function("if_else", [meant, quoted, text])
    return field


def _joined(parts: Sequence[pa.Array | pa.Scalar]) -> pa.Array:
    """The texts of all parts but the last, which stands between them; a NULL is no text."""
    options = pc.JoinOptions(null_handling="replace", null_replacement="")
    joined: pa.Array = pc.call_function("binary_join_element_wise", list(parts), options)
    return joined


def _csv_native(kind: pa.DataType) -> bool:
    """Whether pyarrow's cast to text writes the type as ``plain`` would."""
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_null(kind)
    )


def _objects(names: Sequence[str], batch: pa.RecordBatch) -> Iterator[bytes]:
    columns = [[json_value(value) for value in column_values(column)] for column in batch.columns]
    for row in zip(*columns, strict=True):
        yield orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_PASSTHROUGH_DATETIME)


def _distinct(names: Sequence[str]) -> list[str]:
    """Names for the members of an object: the second ``a`` of a join becomes ``a_2``."""
    taken: set[str] = set()
    distinct: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        distinct.append(candidate)
    return distinct
