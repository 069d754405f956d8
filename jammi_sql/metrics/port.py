"""The contract of whatever keeps metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["Instrument", "Metrics", "Observe", "Record"]

Record = Callable[[float], object]
"""Adds to a counter, or takes a value into a histogram. From any thread, in about a microsecond."""

Observe = Callable[[], Mapping[tuple[str, ...], float]]
"""The values of a gauge now, by the values of its labels. MUST be quick and MUST NOT raise."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is measured, in the words of OpenTelemetry.

    ``unit`` is ``s``, ``By`` or a noun in braces such as ``{batch}``. ``labels`` are names; how many values each takes is
    bounded.
    """

    name: str
    kind: str
    """``counter``, ``histogram`` or ``gauge``."""
    unit: str
    summary: str
    labels: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()
    """Upper limits of a histogram's buckets, in ``unit``."""

    @property
    def prometheus_name(self) -> str:
        """As OpenTelemetry's own exporters write it for Prometheus: the unit in words, ``_total`` for a counter."""
        name = self.name.replace(".", "_")
        suffix = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        if not name.endswith(suffix):
            name += suffix
        return f"{name}_total" if self.kind == "counter" else name


@runtime_checkable
class Metrics(Protocol):
    """Keeps what several engines of a process measure, each with the same instruments.

    Asking again for an instrument MUST give the same one.
    """

    def counter(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        """What adds to the counter with these values of its labels."""
        ...

    def histogram(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        """What takes a value into the histogram with these values of its labels."""
        ...

    def gauge(self, instrument: Instrument, observe: Observe) -> Callable[[], None]:
        """Ask ``observe`` whenever somebody collects; of several engines the largest value counts.

        Returns what ends that.
        """
        ...
