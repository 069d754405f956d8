"""Every listed expression, computed by the kernels and by DataFusion, over random batches: the same to the bit.

Where the kernels raise, they leave the batch to DataFusion, so its answer or error is right by itself. What must not
be is an answer of theirs where DataFusion gives another one or an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernel_support import (
    INTEGERS,
    KINDS,
    NAMES,
    NUMBERS,
    ODD_WORDS,
    PATTERNS,
    TEXTS,
    WORDS,
    Both,
    array_of,
    compare,
)


@st.composite
def batches(draw: st.DrawFn, names: Sequence[str]) -> pa.RecordBatch:
    """A batch with the columns ``names`` and their twins."""
    rows = draw(st.integers(0, 8))
    columns = {}
    for name in names:
        for twin in ("", "_2"):
            values = st.sampled_from([*KINDS[name][1], None]) | KINDS[name][2]
            columns[name + twin] = array_of(name, draw(st.lists(values, min_size=rows, max_size=rows)))
    return pa.RecordBatch.from_pydict(columns)


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
            quoted = self.one_of([word for word in WORDS + ODD_WORDS if word != "\x00"]).replace("'", "''")
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
            return f"({text} {self.one_of(['', 'NOT '])}LIKE '{self.one_of(PATTERNS)}')"
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
        compare(both)
