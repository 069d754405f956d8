"""Metrics in a registry of ``prometheus_client``."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from .gauges import Observers
from .port import Instrument, Observe, Record

__all__ = ["PrometheusMetrics"]


class PrometheusMetrics:
    """The ``Metrics`` of one registry; ``of`` gives the same for the same registry, which takes a name once only."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = weakref.ref(registry)
        self._lock = threading.Lock()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, Observers] = {}

    @classmethod
    def of(cls, registry: CollectorRegistry) -> PrometheusMetrics:
        """Those of ``registry``."""
        with _lock:
            found = _known.get(registry)
            if found is None:
                found = _known[registry] = cls(registry)
            return found

    def counter(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        """As ``Metrics.counter``."""
        with self._lock:
            counter = self._counters.get(instrument.name)
            if counter is None:
                counter = self._counters[instrument.name] = Counter(
                    instrument.prometheus_name, instrument.summary, instrument.labels, registry=self._registry()
                )
        record: Record = counter.labels(*labels).inc
        return record

    def histogram(self, instrument: Instrument, labels: tuple[str, ...]) -> Record:
        """As ``Metrics.histogram``."""
        with self._lock:
            histogram = self._histograms.get(instrument.name)
            if histogram is None:
                histogram = self._histograms[instrument.name] = Histogram(
                    instrument.prometheus_name,
                    instrument.summary,
                    instrument.labels,
                    registry=self._registry(),
                    buckets=instrument.boundaries,
                )
        record: Record = histogram.labels(*labels).observe
        return record

    def gauge(self, instrument: Instrument, observe: Observe) -> Callable[[], None]:
        """As ``Metrics.gauge``."""
        with self._lock:
            observers = self._gauges.get(instrument.name)
            if observers is None:
                observers = self._gauges[instrument.name] = Observers()
                registry = self._registry()
                if registry is not None:
                    registry.register(_Gauge(instrument, observers))
        return observers.add(observe)


class _Gauge:
    """A collector of Prometheus's that asks when it is collected."""

    def __init__(self, instrument: Instrument, observers: Observers) -> None:
        self._instrument = instrument
        self._observers = observers

    def describe(self) -> Iterator[Metric]:
        """What there will be; without values, so that registering asks nobody."""
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        """The values now."""
        family = self._family()
        for labels, value in self._observers.values().items():
            family.add_metric(labels, value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        instrument = self._instrument
        return GaugeMetricFamily(instrument.prometheus_name, instrument.summary, labels=instrument.labels)


_lock = threading.Lock()
_known: weakref.WeakKeyDictionary[CollectorRegistry, PrometheusMetrics] = weakref.WeakKeyDictionary()
