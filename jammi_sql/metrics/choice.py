"""What ``metrics=`` of ``connect`` takes."""

from __future__ import annotations

import sys

from ..errors import FeatureNotSupported, InvalidParameter
from .port import Metrics

__all__ = ["chosen_metrics"]

_TAKES = (
    "it takes 'prometheus', 'opentelemetry', a prometheus_client.CollectorRegistry, an OpenTelemetry MeterProvider or "
    "Meter, or an object with the contract jammi_sql.metrics.Metrics"
)


def chosen_metrics(metrics: object) -> Metrics:
    """Where metrics go: ``'prometheus'`` (the default registry), ``'opentelemetry'`` (the global provider), or an object.

    Raises ``InvalidParameter`` for what it does not take, ``FeatureNotSupported`` where the library is not installed.
    """
    try:
        if metrics == "prometheus":
            from prometheus_client import REGISTRY  # noqa: PLC0415 - optional

            from .prometheus import PrometheusMetrics  # noqa: PLC0415

            return PrometheusMetrics.of(REGISTRY)
        if metrics == "opentelemetry":
            from opentelemetry.metrics import get_meter_provider  # noqa: PLC0415 - optional

            from .opentelemetry import OpenTelemetryMetrics  # noqa: PLC0415

            return OpenTelemetryMetrics.of(get_meter_provider())
    except ImportError as error:
        raise FeatureNotSupported(
            f"metrics={metrics!r} needs a library that is not installed: {error.name}",
            hint="pip install 'jammi-sql[metrics]'",
        ) from error
    found = _of_library(metrics)
    if found is not None:
        return found
    if isinstance(metrics, Metrics):
        return metrics
    shown = repr(metrics) if isinstance(metrics, str) else f"a {type(metrics).__name__}"
    raise InvalidParameter(f"metrics cannot be {shown}", hint=_TAKES)


def _of_library(metrics: object) -> Metrics | None:
    """The metrics of an object of one of the libraries, which is loaded then; ``None`` for any other."""
    if "prometheus_client" in sys.modules:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - optional

        if isinstance(metrics, CollectorRegistry):
            from .prometheus import PrometheusMetrics  # noqa: PLC0415

            return PrometheusMetrics.of(metrics)
    if "opentelemetry.metrics" in sys.modules:
        from opentelemetry.metrics import Meter, MeterProvider  # noqa: PLC0415 - optional

        if isinstance(metrics, Meter | MeterProvider):
            from .opentelemetry import OpenTelemetryMetrics  # noqa: PLC0415

            return OpenTelemetryMetrics.of(metrics)
    return None
