"""Window functions of a plan, and what they are in the dialect of a source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from .expression import Column, Expression, Literal
from .said import NotSaid, Said
from .select import Select, SortKey
from .substrait_expressions import Functions, aggregate_type, read_expression, read_sort_key
from .substrait_types import Json, emitted

__all__ = ["has_windows", "windowed"]

_NUMBERED = frozenset({"row_number", "rank", "dense_rank"})
_NEIGHBOURS = frozenset({"lag", "lead"})
_AGGREGATES = frozenset({"count", "sum", "min", "max"})
_PLAIN = re.compile(r"(count|sum|min|max)\(.*\)", re.DOTALL)
_ABSENT = Literal(pa.scalar(None, pa.null()))
_LARGEST = 2**31 - 1
"""Rows that a frame or a neighbour may be away."""


@dataclass(frozen=True, slots=True)
class _Window:
    function: str
    arguments: tuple[Expression, ...]
    partitions: tuple[Expression, ...]
    order: tuple[SortKey, ...]
    frame: str
    type: Any

    @property
    def by_row(self) -> bool:
        """Whether it matters which of two rows comes first that the order does not tell apart."""
        if self.function in ("rank", "dense_rank"):
            return False
        return self.function not in _AGGREGATES or (self.frame.startswith("ROWS") and self.frame != _WHOLE["ROWS"])


_WHOLE = {kind: f"{kind} BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING" for kind in ("ROWS", "RANGE")}
_SO_FAR = "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"


def has_windows(body: Json) -> bool:
    """Whether a projection computes window functions."""
    return any("windowFunction" in expression for expression in body.get("expressions", ()))


def windowed(select: Select, body: Json, functions: Functions) -> Select:
    """What a projection with window functions gives; ``NotSaid`` for one that may mean something else there. Its columns are
    those of a table of its own, for nothing else can be computed beside a window."""
    base = select.plain()
    types = [column.type for column in base.columns]
    given: list[Expression | _Window] = [Column(index, data_type) for index, data_type in enumerate(types)]
    for json in body["expressions"]:
        window = json.get("windowFunction")
        given.append(read_expression(json, types, functions) if window is None else _read(window, types, functions))
    mapping = emitted(body)
    chosen = given if mapping is None else [given[place] for place in mapping]
    # Where a window is to stand, something that is no column, for the keys that are left.
    beside = base.project([_ABSENT if isinstance(each, _Window) else each for each in chosen])
    columns = [
        Said(_said(base, each), each.type) if isinstance(each, _Window) else said
        for each, said in zip(chosen, beside.columns, strict=True)
    ]
    return replace(beside, columns=tuple(columns)).nested()


def _read(body: Json, types: Sequence[Any], functions: Functions) -> _Window:
    name = functions[int(body.get("functionReference", 0))]
    arguments = tuple(read_expression(each["value"], types, functions) for each in body.get("arguments", ()))
    if name in _NUMBERED:
        result: Any = pa.uint64()
    elif name in _NEIGHBOURS and arguments:
        result = arguments[0].type
    elif name in _AGGREGATES:
        result = aggregate_type(name, arguments)
    else:
        raise NotSaid(f"{name} of a window is computed here")
    return _Window(
        name,
        arguments,
        tuple(read_expression(each, types, functions) for each in body.get("partitions", ())),
        tuple(read_sort_key(each, types, functions) for each in body.get("sorts", ())),
        _frame(body),
        result,
    )


def _frame(body: Json) -> str:
    kind = {"BOUNDS_TYPE_ROWS": "ROWS", "BOUNDS_TYPE_RANGE": "RANGE"}.get(body.get("boundsType", ""))
    if kind is None:
        raise NotSaid("a frame of GROUPS is computed here")
    frame = f"{kind} BETWEEN {_bound(body, 'lower', 'PRECEDING')} AND {_bound(body, 'upper', 'FOLLOWING')}"
    if kind == "RANGE" and frame not in (_WHOLE["RANGE"], _SO_FAR):
        raise NotSaid("a frame of RANGE with offsets is computed here")
    return frame


def _bound(body: Json, side: str, outermost: str) -> str:
    ((kind, details),) = body.get(f"{side}Bound", {"": {}}).items()
    match kind:
        case "unbounded":
            return f"UNBOUNDED {outermost}"
        case "currentRow":
            return "CURRENT ROW"
        case "preceding" | "following":
            offset = int(details.get("offset", 0))
            if 0 <= offset <= _LARGEST:
                return f"{offset} {kind.upper()}"
    raise NotSaid("this frame of a window is computed here")


def _said(base: Select, window: _Window) -> str:
    dialect, columns, name = base.dialect, base.columns, window.function
    if name not in dialect.windows:
        raise NotSaid(f"{name} of a window is not known to mean the same in {dialect.name}")
    kinds = [each.type for each in (*window.partitions, *(key.expression for key in window.order))]
    if any(pa.types.is_floating(kind) for kind in kinds):
        raise NotSaid("a window over doubles is computed here: zeros and NaN are told apart otherwise there")
    if window.by_row:
        _check_order(base, window)
    arguments = [dialect.value(argument, columns) for argument in window.arguments]
    frame = ""
    if name in _AGGREGATES:
        if name == "sum" and pa.types.is_floating(arguments[0].type):
            raise NotSaid("a sum of doubles in a window is computed here, in the order of its rows")
        text = dialect.measure(name, arguments, window.type, distinct=False)
        if not _PLAIN.fullmatch(text):
            raise NotSaid(f"{name} of a window is computed here")
        frame = window.frame if window.order or window.frame.startswith("ROWS") else ""
    elif name in _NEIGHBOURS:
        text = _neighbour(window, arguments)
    else:
        text = f"{name}()"
    keys = [dialect.group_key(dialect.value(each, columns)) for each in window.partitions]
    sorts = [
        dialect.sort_key(dialect.value(key.expression, columns), descending=key.descending, nulls_first=key.nulls_first)
        for key in window.order
    ]
    over = [
        *([f"PARTITION BY {', '.join(keys)}"] if keys else ()),
        *([f"ORDER BY {', '.join(sorts)}"] if sorts else ()),
        *([frame] if frame else ()),
    ]
    return dialect.in_range(name, f"{text} OVER ({' '.join(over)})", arguments)


def _check_order(base: Select, window: _Window) -> None:
    """``NotSaid`` where rows may be alike to the order, so that which one comes first is anybody's choice."""
    expressions = [*window.partitions, *(key.expression for key in window.order)]
    told = {each.index for each in expressions if isinstance(each, Column)}
    if not any(key <= told for key in base.extent.unique):
        raise NotSaid(
            f"{window.function} of a window in an order that is no key's is computed here: rows may be alike to it"
        )


def _neighbour(window: _Window, arguments: Sequence[Said]) -> str:
    """lag and lead, with a constant distance."""
    texts = [arguments[0].text]
    if len(window.arguments) > 1:
        distance = window.arguments[1]
        value = distance.value.as_py() if isinstance(distance, Literal) else None
        if not isinstance(value, int) or not 0 <= value <= _LARGEST:
            raise NotSaid(f"{window.function} by a number of rows that is no constant is computed here")
        texts.append(str(value))
    if len(window.arguments) > 2:
        instead = window.arguments[2]
        if not isinstance(instead, Literal) or instead.type != window.type:
            raise NotSaid(f"{window.function} with a value for rows that are not there is computed here")
        texts.append(arguments[2].text)
    return f"{window.function}({', '.join(texts)})"
