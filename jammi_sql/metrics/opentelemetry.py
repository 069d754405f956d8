"""Metrics through OpenTelemetry's API; where they go is for the SDK that the application sets up."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial

from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, MeterProvider, Observation

from .gauges import Observers
from .port import Instrument, Observe, Record

__all__ = ["OpenTelemetryMetrics"]

_SCOPE = "jammi_sql"


class OpenTelemetryMetrics:
    """The ``Metrics`` of one meter; ``of`` gives the same for the same provider or meter."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._lock = threading.Lock()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, Observers] = {}

    @classmethod
    def of(cls, source: MeterProvider | Meter) -> OpenTelemetryMetrics:
        """Those of a meter, or of the meter ``jammi_sql`` of a provider."""
        with _lock:
            found = _known.get(source)
            if found is None:
                meter = source if isinstance(source, Meter) else source.get_meter(_SCOPE)
                found = _known[source] = cls(meter)
            return found

    def counter(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        """As ``Metrics.counter``."""
        with self._lock:
            counter = self._counters.get(instrument.name)
            if counter is None:
                counter = self._counters[instrument.name] = self._meter.create_counter(
                    instrument.name, instrument.unit, instrument.summary
                )
        return partial(counter.add, attributes=_attributes(instrument, labels))

    def histogram(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        """As ``Metrics.histogram``."""
        with self._lock:
            histogram = self._histograms.get(instrument.name)
            if histogram is None:
                histogram = self._histograms[instrument.name] = self._meter.create_histogram(
                    instrument.name,
                    instrument.unit,
                    instrument.summary,
                    explicit_bucket_boundaries_advisory=instrument.boundaries,
                )
        return partial(histogram.record, attributes=_attributes(instrument, labels))

    def gauge(self, instrument: Instrument, observe: Observe) -> Callable[[], None]:
        """As ``Metrics.gauge``."""
        with self._lock:
            observers = self._gauges.get(instrument.name)
            if observers is None:
                observers = self._gauges[instrument.name] = Observers()
                self._meter.create_observable_gauge(
                    instrument.name,
                    [partial(_observations, instrument, observers)],
                    instrument.unit,
                    instrument.summary,
                )
        return observers.add(observe)


def _observations(instrument: Instrument, observers: Observers, options: CallbackOptions) -> Iterator[Observation]:
    for labels, value in observers.values().items():
        yield Observation(value, _attributes(instrument, labels))


def _attributes(instrument: Instrument, labels: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(instrument.labels, labels, strict=True))


_lock = threading.Lock()
_known: weakref.WeakKeyDictionary[MeterProvider | Meter, OpenTelemetryMetrics] = weakref.WeakKeyDictionary()
