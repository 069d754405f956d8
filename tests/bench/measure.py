"""How the benchmarks measure: contenders take turns, and the median of the rounds counts.

The machine may be busy with other things at any moment. What is compared therefore runs alternately, in short rounds,
and a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

__all__ = ["Figure", "Report", "interleaved", "median_ratio", "percentile", "seconds"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report: what was measured, with its target where there is one."""

    area: str
    name: str
    value: str
    target: str = ""
    met: bool | None = None


@dataclass(slots=True)
class Report:
    """The figures of a run, in the order in which they were measured."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, area: str, name: str, value: str, target: str = "", met: bool | None = None) -> None:
        """Keep a figure."""
        self.figures.append(Figure(area, name, value, target, met))

    def show(self, console: Console) -> None:
        """One table."""
        table = Table(title="Benchmarks", title_justify="left")
        for column in ("area", "what", "measured", "target", ""):
            table.add_column(column, overflow="fold")
        area = ""
        for figure in self.figures:
            mark = "" if figure.met is None else "✓" if figure.met else "✗"
            table.add_row(figure.area if figure.area != area else "", figure.name, figure.value, figure.target, mark)
            area = figure.area
        console.print(table)

    def write(self, path: Path) -> None:
        """The same as JSON."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([asdict(figure) for figure in self.figures], indent=1), encoding="utf-8")


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def interleaved(*contenders: Callable[[], object], rounds: int = 5) -> list[list[float]]:
    """The seconds of each contender in each round. The first round warms up and does not count."""
    taken: list[list[float]] = [[] for _ in contenders]
    for turn in range(rounds + 1):
        for place, contender in enumerate(contenders):
            duration = seconds(contender)
            if turn:
                taken[place].append(duration)
    return taken


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(upper / lower for upper, lower in zip(numerators, denominators, strict=True))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
