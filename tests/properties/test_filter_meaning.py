"""Pushed filters against DataFusion itself, and pruning against pushed filters, over random batches and conditions."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import datafusion
import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jammi_sql.arrow.dataset import LazyDataset
from jammi_sql.arrow.filter import compile_filter
from jammi_sql.arrow.ranges import MINIMUM_ROWS, can_match, decode_ranges, encode_ranges, offset_bounds

# Per column: SQL literals of exactly its type. The columns draw their values from the same ones.
_WORDS = ("", "a", "ab", "b", "é", "z" * 70, "z" * 64 + "y", "\U0010ffff" * 17)


def _cast(values: Sequence[object], type_: str) -> list[str]:
    return [f"arrow_cast('{value}', '{type_}')" for value in values]


def _raw(values: Sequence[int], width: int, type_: str) -> list[str]:
    return [f"arrow_cast(arrow_cast({value}, 'Int{width}'), '{type_}')" for value in values]


def _floats(type_: str) -> list[str]:
    values = ["0.0", "-0.0", "1.0", "-1.0", "1.5", "-2.5", "inf", "-inf", "NaN", "0.0001", "-60000"]
    return [*_cast(values, type_), f"(-{_cast(['NaN'], type_)[0]})"]


def _integers(width: int, signed: bool) -> list[str]:
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    return _cast([0, 1, 2, 3, low, high, low + 1, high - 1], f"{'' if signed else 'U'}Int{width}")


def _blobs(type_: str) -> list[str]:
    return [f"arrow_cast(X'{data}', '{type_}')" for data in ("", "00", "ff", "ff00", "61", "6162", "ff" * 65)]


LITERALS: dict[str, list[str]] = {
    "i8": _integers(8, True),
    "i16": _integers(16, True),
    "i32": _integers(32, True),
    "i64": _integers(64, True),
    "u8": _integers(8, False),
    "u16": _integers(16, False),
    "u32": _integers(32, False),
    "u64": _integers(64, False),
    "f16": _floats("Float16"),
    "f32": _floats("Float32"),
    "f64": _floats("Float64"),
    "text": _cast(_WORDS, "Utf8"),
    "large_text": _cast(_WORDS, "LargeUtf8"),
    "text_view": _cast(_WORDS, "Utf8View"),
    "word": _cast(_WORDS, "Dictionary(Int32, Utf8)"),
    "measure": _cast(["0.0", "1.5", "-1.5"], "Dictionary(Int32, Float64)"),
    "blob": _blobs("Binary"),
    "large_blob": _blobs("LargeBinary"),
    "blob_view": _blobs("BinaryView"),
    "fixed": [f"arrow_cast(X'{data}', 'FixedSizeBinary(2)')" for data in ("0000", "00ff", "6162", "ffff")],
    "truth": ["true", "false"],
    "ts_s": _raw([0, 1, -1, 86400, 10**10], 64, "Timestamp(Second, None)"),
    "ts_us": _raw([0, 1, -1, 86400, 10**15], 64, "Timestamp(Microsecond, None)"),
    "ts_utc": _raw([0, 1, -1, 86400, 10**15], 64, 'Timestamp(Microsecond, Some("UTC"))'),
    "ts_ns": _raw([0, 1, -1, 2**63 - 1, -(2**63)], 64, 'Timestamp(Nanosecond, Some("+05:00"))'),
    "day": _raw([0, 1, -1, 20000], 32, "Date32"),
    "day64": _raw([0, 86400000, -86400000], 64, "Date64"),
    "time_s": _raw([0, 1, 86399], 32, "Time32(Second)"),
    "time_us": _raw([0, 1, 86399999999], 64, "Time64(Microsecond)"),
    "span": _raw([0, 1, -1, 10**12], 64, "Duration(Microsecond)"),
    "d32": _cast(["0.00", "1.50", "-1.50", "999.99"], "Decimal32(5, 2)"),
    "d128": _cast(["0.00", "1.50", "-1.50", "9" * 28 + ".99"], "Decimal128(38, 2)"),
    "d256": _cast(["0.00", "1.50", "-1.50", "9" * 48 + ".99"], "Decimal256(50, 2)"),
    "gap": [f"interval '{text}'" for text in ("1 month", "30 days", "31 days", "-1 day", "1 month 1 second")],
    "ints": [f"arrow_cast({text}, 'List(Int64)')" for text in ("[1]", "[1, 2]", "[1, null]", "[null, 1]", "[2]")],
    "reals": [f"arrow_cast({text}, 'List(Float64)')" for text in ("[0.0]", "[-0.0]", "['NaN'::double]", "[1.0]")],
    "pair": [f"named_struct('a', {a}, 'b', {b})" for a in ("1", "2", "null::bigint") for b in ("'x'", "null::varchar")],
}
# What no SQL literal makes: NaN with payloads.
_STRANGE = {
    "f32": [struct.unpack("<f", struct.pack("<I", bits))[0] for bits in (0x7FC00001, 0xFFC00001)],
    "f64": [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x7FF8000000000001, 0xFFF8000000000001)],
}


@functools.cache
def _pool(column: str) -> pa.Array[Any]:
    """The literals of a column as values, as DataFusion makes them, and NULL at the end."""
    context = datafusion.SessionContext()
    text = " UNION ALL ".join(f"SELECT {index} i, {text} v" for index, text in enumerate(LITERALS[column]))
    values: Any = context.sql(f"SELECT v FROM ({text}) ORDER BY i").to_arrow_table()["v"]
    type_ = values.type
    plain = [chunk for chunk in values.chunks]
    strange = pa.array(_STRANGE.get(column, []), type_) if column in _STRANGE else pa.nulls(0, type_)
    result: pa.Array[Any] = pa.chunked_array([*plain, strange, pa.nulls(1, type_)], type_).combine_chunks()
    return result


def _taken(pool: pa.Array[Any], picks: Sequence[int]) -> pa.Array[Any]:
    """As ``pool.take``, which has no kernel for view types."""
    taken: pa.Array[Any] = pa.concat_arrays([pool.slice(0, 0), *(pool.slice(pick, 1) for pick in picks)])
    return taken


@st.composite
def _batches(draw: st.DrawFn, rows: st.SearchStrategy[int]) -> pa.RecordBatch:
    names = draw(st.lists(st.sampled_from(sorted(LITERALS)), min_size=1, max_size=3, unique=True))
    count = draw(rows)
    columns: dict[str, Any] = {"row": pa.array(range(count), pa.int64())}
    for name in names:
        pool = _pool(name)
        picks = draw(st.lists(st.integers(0, len(pool) - 1), min_size=count, max_size=count))
        columns[name] = _taken(pool, picks)
        if draw(st.booleans()):
            columns[name + "_2"] = _taken(pool, picks[::-1])
    return pa.RecordBatch.from_pydict(columns)


def _simple(draw: st.DrawFn, columns: Sequence[str]) -> str:
    column = draw(st.sampled_from(columns))
    literals = st.sampled_from(LITERALS[column.removesuffix("_2")])
    operators = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    form = draw(st.integers(0, 7))
    twin = column.removesuffix("_2") + ("" if column.endswith("_2") else "_2")
    if form == 0 and twin in columns:
        return f"{column} {draw(operators)} {twin}"
    if form == 1:
        return f"{column} IS {draw(st.sampled_from(['NULL', 'NOT NULL']))}"
    if form in (2, 3):
        negation = draw(st.sampled_from(["", "NOT "]))
        return f"{column} {negation}IN ({', '.join(draw(st.lists(literals, min_size=1, max_size=7)))})"
    if form == 4:
        return f"{column} {draw(st.sampled_from(['', 'NOT ']))}BETWEEN {draw(literals)} AND {draw(literals)}"
    if form == 5 and column.startswith("truth"):
        return column
    sides = [column, draw(literals)]
    return f" {draw(operators)} ".join(reversed(sides) if form == 6 else sides)


def _condition(draw: st.DrawFn, columns: Sequence[str], depth: int) -> str:
    form = draw(st.integers(0, 5)) if depth else 0
    if form in (1, 2):
        word = "AND" if form == 1 else "OR"
        return f"({_condition(draw, columns, depth - 1)} {word} {_condition(draw, columns, depth - 1)})"
    if form == 3:
        return f"NOT ({_condition(draw, columns, depth - 1)})"
    if form == 4:
        return f"({_condition(draw, columns, depth - 1)} OR NULL)"
    if form == 5:
        return f"({_condition(draw, columns, depth - 1)}) IS NULL"
    return _simple(draw, columns)


def _examples(count: int) -> settings:
    """So many cases, or as many as a longer run asks for."""
    profile = settings()
    return settings(max_examples=max(count, profile.max_examples))


class _Filtered(LazyDataset):
    """Answers with ``compile_filter`` alone, in two partitions."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        super().__init__(batch.schema)
        self.batch = batch
        self.pushed: list[Any] = []

    def partitions(self, scan: None) -> int:
        return 2

    def produce(
        self,
        scan: None,
        partition: int,
        columns: Sequence[str] | None,
        filter: Any,  # noqa: A002 - DataFusion passes it by this name
    ) -> Iterator[pa.RecordBatch]:
        self.pushed.append(filter)
        half = self.batch.num_rows // 2
        part = self.batch.slice(half) if partition else self.batch.slice(0, half)
        kept = compile_filter(filter, self.schema).apply(part)
        yield kept if columns is None else kept.select(list(columns))


def _rows(context: datafusion.SessionContext, table: str, condition: str) -> list[int]:
    result = context.sql(f"SELECT row FROM {table} WHERE {condition}").to_arrow_table()
    found: Any = result["row"].to_pylist()
    return sorted(found)


def _lazy_rows(context: datafusion.SessionContext, condition: str) -> list[int]:
    try:
        return _rows(context, "lazy", condition)
    except Exception as error:
        # DataFusion's own translation fails on NULL AND x for every pyarrow dataset, before the provider is asked.
        assume("unsupported operand type(s) for &: 'pyarrow.lib.BooleanScalar'" not in str(error))
        raise


@st.composite
def _cases(draw: st.DrawFn) -> tuple[pa.RecordBatch, list[str]]:
    batch = draw(_batches(st.integers(0, 12)))
    columns = batch.schema.names[1:]
    return batch, [_condition(draw, columns, 3) for _ in range(3)]


@_examples(100)
@given(_cases())
def test_a_pushed_filter_keeps_the_rows_that_datafusion_keeps(case: tuple[pa.RecordBatch, list[str]]) -> None:
    batch, conditions = case
    context = datafusion.SessionContext()
    context.register_record_batches("plain", [[batch]])
    context.register_dataset("lazy", _Filtered(batch))
    for condition in conditions:
        assert _lazy_rows(context, condition) == _rows(context, "plain", condition), condition


def _pushed(batch: pa.RecordBatch, condition: str) -> Any:
    """The part of a condition that DataFusion pushes into a scan."""
    context = datafusion.SessionContext()
    dataset = _Filtered(batch)
    context.register_dataset("lazy", dataset)
    _lazy_rows(context, condition)
    return dataset.pushed[0] if dataset.pushed else None


@_examples(100)
@given(st.data())
def test_ranges_never_skip_a_batch_with_a_matching_row(data: st.DataObject) -> None:
    batch = data.draw(_batches(st.integers(1, 4)))
    condition = data.draw(st.composite(_condition)(batch.schema.names[1:], 3))
    compiled = compile_filter(_pushed(batch, condition), batch.schema)
    large = pa.Table.from_batches([batch] * MINIMUM_ROWS).combine_chunks().to_batches()[0]
    encoded = encode_ranges(large)
    assert encoded
    if compiled.mask(batch).true_count:
        assert can_match(compiled.node, decode_ranges(encoded, batch.schema))
        assert can_match(compiled.node, decode_ranges(b"", batch.schema))


@_examples(80)
@given(st.data())
def test_bounds_hold_every_value_of_the_column_in_a_matching_row(data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(-3, 6), min_size=1, max_size=20))
    columns: dict[str, Any] = {"row": range(len(values)), "i64": values, "f64": [float(value) for value in values]}
    batch = pa.RecordBatch.from_pydict({name: pa.array(column) for name, column in columns.items()})
    condition = data.draw(st.composite(_condition)(["i64", "f64"], 3))
    compiled = compile_filter(_pushed(batch, condition), batch.schema)
    low, high = offset_bounds(compiled.node, "i64")
    kept: Any = compiled.apply(batch).column("i64").to_pylist()
    assert [value for value in kept if low is not None and value < low] == []
    assert [value for value in kept if high is not None and value > high] == []
