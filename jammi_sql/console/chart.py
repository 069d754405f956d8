"""The last result drawn as characters, by plotext."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..dbapi.types import NUMBER
from .escapes import escaped
from .text import cell

__all__ = ["KINDS", "Chart", "ChartError", "drawn"]

KINDS = ("line", "bar", "hist")

_POINTS = 2_000  # of a line; more than a terminal has dots
_BARS = 40
_BINS = 20
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class ChartError(Exception):
    """The result cannot be drawn so; says what can."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw: ``kind`` of ``KINDS``, the column along the bottom if there is one, and the columns drawn."""

    kind: str
    along: str | None
    drawn: tuple[str, ...]

    @classmethod
    def of(cls, table: pa.Table, words: Sequence[str]) -> Chart:
        """The chart that ``[line | bar | hist] [along] [column ...]`` asks for; what is left out is chosen."""
        kind = words[0].lower() if words and words[0].lower() in KINDS else None
        named = list(words[1:] if kind else words)
        for name in named:
            if table.schema.names.count(name) != 1:
                raise ChartError(f"the last result has no column {name}; it has {', '.join(table.schema.names)}")
        numbers = [field.name for field in table.schema if _is_number(field.type)]
        for name in named[1:] or named[: kind == "hist" or len(named) == 1]:
            if name not in numbers:
                raise ChartError(f"{name} is no column of numbers")
        if kind == "hist" or (kind is None and not named and len(table.schema) == 1):
            return cls("hist", None, tuple(_some(named or numbers[:1])))
        if len(named) > 1:
            along, columns = named[0], named[1:]
        elif named:
            along, columns = None, named
        else:
            first = table.schema.field(0).name if len(table.schema) else ""
            others = [name for name in numbers if name != first]
            along, columns = (first, others) if others else (None, numbers)
        if kind is None:
            kind = "bar" if along is not None and not _is_axis(table.schema.field(along).type) else "line"
        return cls(kind, along, tuple(_some(columns[:1] if kind == "bar" else columns)))


def drawn(table: pa.Table, chart: Chart, width: int, height: int, *, colour: bool) -> str:
    """The chart as lines. Rows in which one of its columns is NULL, NaN or infinite are left out."""
    import plotext  # noqa: PLC0415 - 0.4 s that only a chart needs

    used = [*([] if chart.along is None else [chart.along]), *chart.drawn]
    table = table.select(used)
    for name in used:
        column = table.column(name)
        # NaN and the infinities have no place either.
        table = table.filter(pc.is_finite(column) if pa.types.is_floating(column.type) else pc.is_valid(column))
    if not table.num_rows:
        raise ChartError("there are no values to draw")
    figure = plotext.figure
    figure.clear()
    figure.theme("default" if colour else "colorless")
    figure.plot_size(width, height)
    title = ", ".join(chart.drawn) if chart.along is None else f"{', '.join(chart.drawn)} by {chart.along}"
    if chart.kind == "hist":
        counts, edges = np.histogram(_numbers(table.column(chart.drawn[0])), bins=_BINS)
        figure.draw(figure.bar(((edges[:-1] + edges[1:]) / 2).tolist(), counts.tolist(), width=1))
        figure.ruler("x").lim(float(edges[0]), float(edges[-1]))
        figure.ruler("y").lim(0, int(counts.max()))
    elif chart.kind == "bar":
        if table.num_rows > _BARS:
            title += f" (the first {_BARS} of {table.num_rows:,} rows)"
            table = table.slice(0, _BARS)
        labels = _labels(table, chart.along)
        # The first one at the top, as in the table.
        values = _numbers(table.column(chart.drawn[0]))[::-1]
        figure.plot_size(width, max(min(height, 3 * len(labels) + 3), 2 * len(labels) + 3))
        places = list(range(1, len(values) + 1))
        figure.draw(figure.bar(places, values, orientation="horizontal", width=0.5))
        figure.ruler("x").lim(
            min(0.0, *values), max(0.0, *values) or 1.0
        )  # plotext 6.1 takes the second bar for the longest
        figure.ruler("y").ticks(places, labels[::-1])
    else:
        step = -(-table.num_rows // _POINTS)
        if step > 1:
            title += f" (one of {step} rows)"
            table = table.take(pa.array(range(0, table.num_rows, step)))
        _draw_lines(figure, table, chart)
    figure.title(escaped(title))
    text = str(figure.build()).rstrip("\n")
    return text if colour else "\n".join(line.rstrip() for line in _ESCAPE.sub("", text).splitlines())


def _draw_lines(figure: Any, table: pa.Table, chart: Chart) -> None:
    values = [float(number) for number in range(1, table.num_rows + 1)]
    if chart.along is not None:
        column = table.column(chart.along)
        if _is_axis(column.type):
            values = _numbers(column)
        if not _is_number(column.type):
            places = (
                [round(index * (len(values) - 1) / 4) for index in range(5)] if len(values) > 4 else range(len(values))
            )
            texts = _labels(table, chart.along)
            figure.ruler("x").ticks([values[place] for place in places], [texts[place][:16] for place in places])
    for name in chart.drawn:
        signal = figure.signal(values, _numbers(table.column(name)))
        signal.lines()
        if len(chart.drawn) > 1:
            signal.label(escaped(name))
        figure.draw(signal)


def _labels(table: pa.Table, along: str | None) -> list[str]:
    if along is None:
        return [str(number) for number in range(1, table.num_rows + 1)]
    return [cell(value)[:24] for value in table.column(along).to_pylist()]


def _numbers(column: pa.ChunkedArray) -> list[float]:
    return [_number(value) for value in column.to_pylist()]


def _number(value: Any) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return float(value.toordinal())
    return float(value)


def _is_number(kind: pa.DataType) -> bool:
    return bool(kind == NUMBER)


def _is_axis(kind: pa.DataType) -> bool:
    """Whether values of the type have places along a line."""
    return _is_number(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def _some(names: Sequence[str]) -> Sequence[str]:
    if not names:
        raise ChartError("the last result has no column of numbers")
    return names
