"""Values worth a test of each kind, and queries over them, by DataFusion and by the kernels."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import datafusion
import pyarrow as pa
from hypothesis import strategies as st

from jammi_sql.arrow.dataset import LazyDataset
from jammi_sql.arrow.expression import UnreadableExpression
from jammi_sql.arrow.filter import compile_filter
from jammi_sql.arrow.program import UNDECIDED, Program, compile_program

__all__ = [
    "INTEGERS",
    "KINDS",
    "NAMES",
    "NUMBERS",
    "ODD_WORDS",
    "PATTERNS",
    "TEXTS",
    "WORDS",
    "Both",
    "array_of",
    "bounds",
    "compare",
]

WORDS = [
    "",
    "a",
    "A",
    "b",
    "ab",
    "aB%",
    "a_b",
    "50%",
    "\\",
    "a\\b",
    "\n",
    "a\nb",
    " a ",
    "\ta",
    "z" * 40,
    ".*",
    "^a$",
    "\x00",
]

ODD_WORDS = ["é", "É", "ß", "ΑΣ", "İ", "\U0001d538b", "e\u0301", "\U0010ffff", "ﬁ", "\u00a0a\u3000"]  # fmt: skip

_FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -1.5,
    2.0,
    3.0,
    1e-40,
    1e300,
    2.0**63,
    -(2.0**63),
    2.0**53 + 2,
    2.0**31,
    float("inf"),
    -float("inf"),
]

_NANS = [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000001]
_OF_INTEGERS = [0, 1, 2, 3, -1, -2, 2**53 + 1]


def bounds(type_: Any) -> tuple[int, int]:
    width = type_.bit_width
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if str(type_).startswith("int") else (0, (1 << width) - 1)


def _integers(type_: Any) -> list[Any]:
    low, high = bounds(type_)
    return [value for value in (*_OF_INTEGERS, low, low + 1, high, high - 1) if low <= value <= high]


_OF_FLOATS = [*_FLOATS, *(struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in _NANS)]


# Columns by name: type, values worth a test, and others. Each has a twin, so that there is something to compare with.
KINDS: dict[str, tuple[Any, list[Any], st.SearchStrategy[Any]]] = {
    **{
        str(type_): (type_, _integers(type_), st.integers(*bounds(type_)))
        for type_ in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    },
    "f32": (pa.float32(), _OF_FLOATS, st.floats(width=32)),
    "f64": (pa.float64(), _OF_FLOATS, st.floats()),
    "truth": (pa.bool_(), [True, False], st.booleans()),
    "text": (pa.string(), WORDS + ODD_WORDS, st.text(max_size=4)),
    "plain": (pa.string(), WORDS, st.text("ab%_ ", max_size=5)),
    "large": (pa.large_string(), WORDS + ODD_WORDS, st.text(max_size=4)),
    "at": (pa.timestamp("us", "UTC"), [0, 1, -1, 10**15, 981173106000000], st.integers(-(10**15), 10**15)),
    "day": (pa.date32(), [0, 1, -1, 11356], st.integers(-1000, 30000)),
    "blob": (pa.binary(), [b"", b"a", bytes([255])], st.binary(max_size=2)),
}

INTEGERS = [name for name in KINDS if "int" in name]

NUMBERS = [*INTEGERS, "f32", "f64"]

TEXTS = ["text", "plain", "large"]

NAMES = {
    **{name: name.replace("uint", "UInt") if name[0] == "u" else name.replace("int", "Int") for name in INTEGERS},
    "f32": "Float32",
    "f64": "Float64",
    "truth": "Boolean",
    "text": "Utf8",
    "plain": "Utf8",
    "large": "LargeUtf8",
}

"""The types that there are casts to, as DataFusion names them."""

PATTERNS = ["%", "_", "a%", "%b", "%a%", "a_b", "a\\_b", "50\\%", "%\\\\%", "a%b", "__%", "\\", "a\\", "\\a%", "", ".*", "%\n%", "%%", "é%", "_%b", "a.b", "%\\", "\\%%"]  # fmt: skip


def array_of(name: str, values: Sequence[Any]) -> pa.Array[Any]:
    type_ = KINDS[name][0]
    if name in ("at", "day"):
        return pa.array(values, pa.int64() if name == "at" else pa.int32()).cast(type_)
    if name == "f32":
        return pa.array(values, pa.float64()).cast(type_, safe=False)
    return pa.array(values, type_)


class _Given(LazyDataset):
    """The one relation: pushed filters are applied as the live relation does."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        super().__init__(batch.schema)
        self.batch = batch

    def produce(self, scan: None, partition: int, columns: Any, filter: Any) -> Iterator[pa.RecordBatch]:  # noqa: A002
        kept = self.batch if filter is None else compile_filter(filter, self.schema).apply(self.batch)
        yield kept if columns is None else kept.select(list(columns))


CONFIG = {
    "datafusion.sql_parser.map_string_types_to_utf8view": "false",
    "datafusion.execution.target_partitions": "1",
    "datafusion.execution.time_zone": "UTC",
}

_context = datafusion.SessionContext(datafusion.SessionConfig(CONFIG))


class Both:
    """A query over a batch, planned once."""

    def __init__(self, batch: pa.RecordBatch, query: str) -> None:
        self.batch = batch
        self.query = query
        self.dataset = _Given(batch)
        _context.deregister_table("t")
        _context.register_dataset("t", self.dataset)
        self.frame = _context.sql(query)
        optimized = self.frame.optimized_logical_plan()
        self.plan = optimized.display_indent()
        self.schema = _context.create_dataframe_from_logical_plan(optimized).schema()
        self.program: Program | None = None
        try:
            self.program = compile_program(optimized, batch.schema, self.schema)
        except UnreadableExpression as error:
            self.unlisted = str(error)

    def by_datafusion(self) -> pa.Table:
        try:
            return self.frame.to_arrow_table()
        except Exception as error:
            if "BooleanScalar" not in str(error):
                raise
            # A filter that begins with NULL cannot be handed to a Python relation, but to one in memory.
            _context.deregister_table("t")
            _context.register_record_batches("t", [[self.batch]])
            return _context.sql(self.query).to_arrow_table()

    def by_kernels(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        assert self.program is not None
        rows = batch if self.program.pushed is None else self.program.pushed.apply(batch)
        return self.program.run(rows.select(self.program.columns))


def _bits(column: Any) -> list[Any]:
    """The values of a column, floats as their bits: NaN by payload and sign, zeros by sign."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_floating(array.type):
        array = array.view(pa.int32() if array.type == pa.float32() else pa.int64())
    values: list[Any] = array.to_pylist()
    return values


def _rows_that_are_decided(both: Both) -> pa.RecordBatch:
    """The rows of which the kernels have an answer when each comes alone."""
    assert both.program is not None
    rows = []
    for number in range(both.batch.num_rows):
        row = both.batch.slice(number, 1)
        with suppress(*UNDECIDED):
            both.by_kernels(row)
            rows.append(row)
    return pa.concat_batches(rows) if rows else both.batch.slice(0, 0)


def compare(both: Both) -> int:
    """How many rows were compared."""
    try:
        computed = both.by_kernels(both.batch)
    except UNDECIDED:
        both.dataset.batch = both.batch = _rows_that_are_decided(both)
        computed = both.by_kernels(both.batch)
    expected = both.by_datafusion()
    computed.validate(full=True)
    assert computed.schema.equals(both.schema)
    assert computed.schema.types == expected.schema.types
    assert computed.num_rows == expected.num_rows, both.plan
    for name in expected.schema.names:
        assert _bits(computed.column(name)) == _bits(expected[name]), (both.plan, name)
    return both.batch.num_rows
