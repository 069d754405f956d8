"""Every listed expression, computed by the kernels and by DataFusion, over random batches: the same to the bit.

Where the kernels raise, they leave the batch to DataFusion, so its answer or error is right by itself. What must not
be is an answer of theirs where DataFusion gives another one or an error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import datafusion
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jammi_sql.arrow.dataset import LazyDataset
from jammi_sql.arrow.expression import UnreadableExpression
from jammi_sql.arrow.filter import compile_filter
from jammi_sql.arrow.kernels import LISTED, Operand, listed
from jammi_sql.arrow.kernels.entry import Entry
from jammi_sql.arrow.program import UNDECIDED, Program, compile_program

_WORDS = [
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
_ODD_WORDS = ["é", "É", "ß", "ΑΣ", "İ", "\U0001d538b", "e\u0301", "\U0010ffff", "ﬁ", "\u00a0a\u3000"]  # fmt: skip
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


def _bounds(type_: Any) -> tuple[int, int]:
    width = type_.bit_width
    return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if str(type_).startswith("int") else (0, (1 << width) - 1)


def _integers(type_: Any) -> list[Any]:
    low, high = _bounds(type_)
    return [value for value in (*_OF_INTEGERS, low, low + 1, high, high - 1) if low <= value <= high]


_OF_FLOATS = [*_FLOATS, *(struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in _NANS)]

# Columns by name: type, values worth a test, and others. Each has a twin, so that there is something to compare with.
KINDS: dict[str, tuple[Any, list[Any], st.SearchStrategy[Any]]] = {
    **{
        str(type_): (type_, _integers(type_), st.integers(*_bounds(type_)))
        for type_ in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    },
    "f32": (pa.float32(), _OF_FLOATS, st.floats(width=32)),
    "f64": (pa.float64(), _OF_FLOATS, st.floats()),
    "truth": (pa.bool_(), [True, False], st.booleans()),
    "text": (pa.string(), _WORDS + _ODD_WORDS, st.text(max_size=4)),
    "plain": (pa.string(), _WORDS, st.text("ab%_ ", max_size=5)),
    "large": (pa.large_string(), _WORDS + _ODD_WORDS, st.text(max_size=4)),
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
_PATTERNS = ["%", "_", "a%", "%b", "%a%", "a_b", "a\\_b", "50\\%", "%\\\\%", "a%b", "__%", "\\", "a\\", "\\a%", "", ".*", "%\n%", "%%", "é%", "_%b", "a.b", "%\\", "\\%%"]  # fmt: skip


def _array(name: str, values: Sequence[Any]) -> pa.Array[Any]:
    type_ = KINDS[name][0]
    if name in ("at", "day"):
        return pa.array(values, pa.int64() if name == "at" else pa.int32()).cast(type_)
    if name == "f32":
        return pa.array(values, pa.float64()).cast(type_, safe=False)
    return pa.array(values, type_)


@st.composite
def batches(draw: st.DrawFn, names: Sequence[str]) -> pa.RecordBatch:
    """A batch with the columns ``names`` and their twins."""
    rows = draw(st.integers(0, 8))
    columns = {}
    for name in names:
        for twin in ("", "_2"):
            values = st.sampled_from([*KINDS[name][1], None]) | KINDS[name][2]
            columns[name + twin] = _array(name, draw(st.lists(values, min_size=rows, max_size=rows)))
    return pa.RecordBatch.from_pydict(columns)


def every_pair(name: str) -> pa.RecordBatch:
    """All pairs of the values worth a test, in a column and its twin."""
    values = [*KINDS[name][1], None]
    pairs = [(left, right) for left in values for right in values]
    return pa.RecordBatch.from_pydict(
        {name: _array(name, [left for left, _ in pairs]), f"{name}_2": _array(name, [right for _, right in pairs])}
    )


class Expressions:
    """SQL texts of a kind, over the columns ``names``."""

    def __init__(self, draw: st.DrawFn, names: Sequence[str]) -> None:
        self.draw = draw
        self.names = names

    def one_of(self, options: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def column(self, kinds: Sequence[str]) -> str | None:
        there = [name for name in self.names if name in kinds]
        return self.one_of(there) + self.one_of(["", "_2"]) if there else None

    def literal(self, kind: str) -> str:
        if kind in TEXTS:
            quoted = self.one_of([word for word in _WORDS + _ODD_WORDS if word != "\x00"]).replace("'", "''")
            return f"arrow_cast('{quoted}', '{NAMES[kind]}')"
        if kind in ("f32", "f64"):
            value = self.one_of(["0.0", "-0.0", "1.5", "-1.0", "NaN", "inf", "-inf", "9223372036854775807", "3"])
            return f"arrow_cast('{value}', 'Float{kind[1:]}')"
        if kind == "truth":
            return str(self.one_of(["true", "false", "NULL"]))
        if kind == "at":
            return "arrow_cast('2001-02-03T04:05:06Z', 'Timestamp(Microsecond, Some(\"UTC\"))')"
        if kind == "day":
            return "arrow_cast('2001-02-03', 'Date32')"
        if kind == "blob":
            return "X'61'"
        name = NAMES[kind]
        value = self.one_of(KINDS[kind][1])
        return f"arrow_cast('{value}', '{name}')"

    def value(self, kind: str, depth: int) -> str:
        """An expression of the type of ``kind``."""
        if kind == "truth":
            return self.condition(depth)
        column = self.column([kind])
        form = self.draw(st.integers(0, 9)) if depth else 0
        inner = depth - 1
        if form == 1:
            return (
                f"CASE WHEN {self.condition(inner)} THEN {self.value(kind, inner)} ELSE {self.value(kind, inner)} END"
            )
        if form == 2:
            return f"CASE {self.value(kind, inner)} WHEN {self.value(kind, inner)} THEN {self.value(kind, inner)} END"
        if form == 3:
            name = self.one_of(["coalesce", "nullif", "nvl"])
            return f"{name}({self.value(kind, inner)}, {self.value(kind, inner)})"
        if form == 4:
            return f"CASE WHEN {self.condition(inner)} THEN {self.value(kind, inner)} WHEN {self.condition(inner)} THEN NULL END"
        if form > 4 and kind in NUMBERS:
            return self.number(kind, inner)
        if form > 4 and kind in TEXTS:
            return self.text(kind, inner)
        return column if column is not None and self.draw(st.integers(0, 3)) else self.literal(kind)

    def number(self, kind: str, depth: int) -> str:
        name = NAMES[kind]
        form = self.draw(st.integers(0, 5))
        if form == 0:
            other = self.one_of([*NUMBERS, "truth"])
            return f"arrow_cast({self.value(other, depth)}, '{name}')"
        if form == 1:
            functions = ["abs"] if kind in INTEGERS else ["abs", "floor", "ceil", "sqrt"]
            return f"arrow_cast({self.one_of(functions)}({self.value(kind, depth)}), '{name}')"
        if form == 2 and not kind.startswith("uint"):
            return f"(-{self.value(kind, depth)})"
        operators = ["+", "-", "*", "/", "%"] + (["&", "|", "^"] if kind in INTEGERS else [])
        return f"({self.value(kind, depth)} {self.one_of(operators)} {self.value(kind, depth)})"

    def text(self, kind: str, depth: int) -> str:
        form = self.draw(st.integers(0, 4))
        if form == 0:
            return f"({self.value(kind, depth)} || {self.value(kind, depth)})"
        if form == 1:
            return f"concat({self.value(kind, depth)}, {self.value(kind, depth)}, {self.value(kind, depth)})"
        if form == 2:
            other = self.one_of([*INTEGERS, "truth", *TEXTS])
            return f"arrow_cast({self.value(other, depth)}, '{NAMES[kind]}')"
        return f"{self.one_of(['lower', 'upper', 'btrim', 'ltrim', 'rtrim'])}({self.value(kind, depth)})"

    def condition(self, depth: int) -> str:
        form = self.draw(st.integers(0, 11)) if depth else 0
        inner = depth - 1
        if form in (1, 2):
            return f"({self.condition(inner)} {self.one_of(['AND', 'OR'])} {self.condition(inner)})"
        if form == 3:
            return f"(NOT {self.condition(inner)})"
        if form == 4:
            test = self.one_of(["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN", "NULL", "NOT NULL"])
            return f"({self.condition(inner)} IS {test})"
        kind = self.one_of(self.names)
        if depth and kind in TEXTS and self.draw(st.booleans()):
            return self.match(kind, inner)
        if kind in ("f32", "f64") and form == 5:
            return f"isnan({self.value(kind, inner)})"
        if form == 6:
            return f"({self.value(kind, inner)} IS {self.one_of(['NULL', 'NOT NULL'])})"
        negation = self.one_of(["", "NOT "])
        if form == 7 and kind != "blob":
            inside = ", ".join(self.literal(kind) for _ in range(self.draw(st.integers(1, 6))))
            return f"({self.value(kind, inner)} {negation}IN ({inside}{self.one_of(['', ', NULL'])}))"
        if form == 8:
            return (
                f"({self.value(kind, inner)} {negation}BETWEEN {self.value(kind, inner)} AND {self.value(kind, inner)})"
            )
        if form == 9:
            return f"({self.value(kind, inner)} IS {negation}DISTINCT FROM {self.value(kind, inner)})"
        if kind == "truth" and form != 10:
            return self.column(["truth"]) or "true"
        below = max(inner, 0)
        operator = self.one_of(["=", "<>", "<", "<=", ">", ">="])
        return f"({self.value(kind, below)} {operator} {self.value(kind, below)})"

    def match(self, kind: str, depth: int) -> str:
        text = self.value(kind, depth)
        form = self.draw(st.integers(0, 4))
        if form <= 1:
            return f"({text} {self.one_of(['', 'NOT '])}LIKE '{self.one_of(_PATTERNS)}')"
        if form == 2:
            return f"({self.one_of(['character_length', 'octet_length'])}({text}) {self.one_of(['<', '=', '>'])} {self.draw(st.integers(0, 3))})"
        return f"{self.one_of(['contains', 'ends_with', 'starts_with'])}({text}, '{self.one_of(['a', '', 'b', '%', 'é', '.'])}')"


@st.composite
def cases(draw: st.DrawFn) -> tuple[pa.RecordBatch, str]:
    names = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3, unique=True))
    texts = Expressions(draw, names)
    outputs = [
        texts.value(draw(st.sampled_from(names)), draw(st.integers(0, 3))) for _ in range(draw(st.integers(1, 2)))
    ]
    condition = f" WHERE {texts.condition(draw(st.integers(0, 3)))}" if draw(st.booleans()) else ""
    listed = ", ".join(f"{output} AS c{number}" for number, output in enumerate(outputs))
    return draw(batches(names)), f"SELECT {listed} FROM t{condition}"


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


def _compare(both: Both) -> int:
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


def _examples(count: int) -> settings:
    """So many cases, or as many as a longer run asks for."""
    profile = settings()
    return settings(max_examples=max(count, profile.max_examples))


_FOLDED = ("Divide by zero", "verflow", "Cast error")


@_examples(60)
@given(cases())
def test_kernels_mean_what_datafusion_means(case: tuple[pa.RecordBatch, str]) -> None:
    try:
        both = Both(*case)
    except Exception as error:
        if any(text in str(error) for text in _FOLDED):
            return  # computed while planning, so it is the same error however it is run
        raise
    if both.program is not None:
        _compare(both)


# --- the list, entry by entry -------------------------------------------------------------------

_OF_ALL = [
    *(f"{{a}} {operator} {{b}}" for operator in ("=", "<>", "<", "<=", ">", ">=")),
    "{a} IS DISTINCT FROM {b}",
    "{a} IS NOT DISTINCT FROM {b}",
    "{a} IS NULL",
    "{a} IS NOT NULL",
    "{a} = {a}",
    "{a} BETWEEN {b} AND {a}",
]
_OF_CHOSEN = ["coalesce({a}, {b})", "CASE WHEN {a} < {b} THEN {a} WHEN {a} > {b} THEN {b} END"]
_OF_NUMBERS = ["{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / {b}", "abs({a})", "({a} + {b}) * {a} = {b}"]
_OF_INTEGERS_ONLY = ["{a} % {b}", "{a} & {b}", "{a} | {b}", "{a} ^ {b}"]
_OF_EXACT = [
    "nullif({a}, {b})",
    "nullif({a}, {a})",
    "CASE {a} WHEN {b} THEN 1 ELSE 2 END",
    "CASE {a} WHEN NULL THEN 1 WHEN {b} THEN 2 END",
]
_OF_REALS = ["{a} % {b}", "floor({a})", "ceil({a})", "sqrt({a})", "isnan({a})", "-{a}", "{a} + {b} < {a}"]
_OF_TRUTHS = [
    "{a} AND {b}",
    "{a} OR {b}",
    "NOT {a}",
    "({a} AND {b}) IS NULL",
    *(f"{{a}} IS {test}" for test in ("TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN")),
]
_OF_TEXTS = [
    *(f"{{a}} LIKE '{pattern}'" for pattern in _PATTERNS),
    "{a} NOT LIKE 'a%'",
    *(f"{function}({{a}}, '{text}')" for function in ("ends_with", "starts_with") for text in ("a", "", "%", "é", ".")),
    "{a} || {b}",
    "{a} || {b} || 'x'",
    "concat({a}, 'x', {b})",
    "concat({a}, {b})",
    *(f"{function}({{a}})" for function in ("lower", "upper", "btrim", "ltrim", "rtrim", "length", "octet_length")),
    "lower({a}) LIKE 'a%'",
]


def _forms() -> Iterator[tuple[str, str]]:
    """Expressions that are on the list, each with the kind of its columns."""
    for kind in KINDS:
        forms = [*_OF_ALL]
        forms += _OF_CHOSEN if kind != "at" else _OF_CHOSEN[1:]
        if kind in NUMBERS:
            forms += _OF_NUMBERS
            forms += [f"arrow_cast({{a}}, '{name}')" for name in _targets(kind)]
        if kind in INTEGERS:
            forms += _OF_INTEGERS_ONLY + (["-{a}"] if kind[0] == "i" else [])
        if kind in ("f32", "f64"):
            forms += _OF_REALS
        elif kind != "at":
            forms += _OF_EXACT
        if kind == "truth":
            forms += _OF_TRUTHS + [f"arrow_cast({{a}}, '{name}')" for name in _targets(kind)]
        if kind in TEXTS:
            forms += _OF_TEXTS + [f"arrow_cast({{a}}, '{name}')" for name in ("Utf8", "LargeUtf8")]
            forms += ["contains({a}, '.')", "contains({a}, '')"]
        for literal in _literals(kind):
            forms += [f"{{a}} {operator} {literal}" for operator in ("=", "<", "<=", ">", ">=", "<>")]
            forms += [f"{literal} < {{a}}", f"{{a}} IS DISTINCT FROM {literal}"]
        if kind not in ("truth", "blob"):
            forms += [
                f"{{a}} IN ({', '.join(_literals(kind) * 4)})",
                f"{{a}} NOT IN ({', '.join(_literals(kind) * 4)}, NULL)",
            ]
        for form in forms:
            yield kind, form.format(a=kind, b=f"{kind}_2")


def _targets(kind: str) -> list[str]:
    signed = [NAMES[name] for name in INTEGERS if name[0] == "i"]
    if kind == "truth":
        return [NAMES[name] for name in INTEGERS] + ["Utf8", "LargeUtf8"]
    if kind in INTEGERS:
        return [NAMES[name] for name in NUMBERS] + ["Utf8", "LargeUtf8"]
    return [*signed, "Float32", "Float64"]


def _literals(kind: str) -> list[str]:
    if kind in INTEGERS:
        low, high = _bounds(KINDS[kind][0])
        return [f"arrow_cast('{value}', '{NAMES[kind]}')" for value in (0, 1, low, high)]
    if kind in ("f32", "f64"):
        values = ("0.0", "-0.0", "1.5", "-1.5", "NaN", "inf", "-inf")
        return [f"arrow_cast('{value}', '{NAMES[kind]}')" for value in values] + [
            f"(-arrow_cast('NaN', '{NAMES[kind]}'))"
        ]
    if kind in TEXTS:
        return [f"arrow_cast('{value}', '{NAMES[kind]}')" for value in ("", "a", "é", "\\", "z")]
    return {
        "truth": ["true", "false"],
        "at": ["arrow_cast('2001-02-03T04:05:06Z', 'Timestamp(Microsecond, Some(\"UTC\"))')"],
        "day": ["arrow_cast('2001-02-03', 'Date32')"],
        "blob": ["X'61'"],
    }[kind]


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """The entries by which whatever is compiled is computed."""
    found: list[Entry] = []
    original = listed.entry_of

    def entry_of(function: str, operands: Sequence[Operand]) -> Entry:
        found.append(original(function, operands))
        return found[-1]

    monkeypatch.setattr(listed, "entry_of", entry_of)
    return found


def test_every_entry_means_what_datafusion_means_for_every_pair_of_special_values(used: list[Entry]) -> None:
    compared: list[Entry] = []
    pairs = {kind: every_pair(kind) for kind in KINDS}
    for kind, form in _forms():
        used.clear()
        both = Both(pairs[kind], f"SELECT {form} AS r FROM t")
        assert both.program is not None, (kind, form, both.unlisted)
        assert _compare(both) > 1, form
        compared += used
    assert [entry for entry in LISTED if entry not in compared] == []
