"""Each entry of the list of kernels means what DataFusion means, for every pair of special values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pytest

from jammi_sql.arrow.kernels import LISTED, Operand, listed
from jammi_sql.arrow.kernels.entry import Entry
from tests.kernel_support import INTEGERS, KINDS, NAMES, NUMBERS, PATTERNS, TEXTS, Both, array_of, bounds, compare


def every_pair(name: str) -> pa.RecordBatch:
    """All pairs of the values worth a test, in a column and its twin."""
    values = [*KINDS[name][1], None]
    pairs = [(left, right) for left in values for right in values]
    return pa.RecordBatch.from_pydict(
        {name: array_of(name, [left for left, _ in pairs]), f"{name}_2": array_of(name, [right for _, right in pairs])}
    )


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
    *(f"{{a}} LIKE '{pattern}'" for pattern in PATTERNS),
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
        low, high = bounds(KINDS[kind][0])
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
        assert compare(both) > 1, form
        compared += used
    assert [entry for entry in LISTED if entry not in compared] == []
