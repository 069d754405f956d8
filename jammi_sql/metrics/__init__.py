"""Metrics for Prometheus and OpenTelemetry, off unless asked for: what an engine measures, and where it goes."""

from __future__ import annotations

from .choice import chosen_metrics
from .instruments import INSTRUMENTS
from .port import Instrument, Metrics, Observe, Record
from .recorder import Recorder

__all__ = ["INSTRUMENTS", "Instrument", "Metrics", "Observe", "Record", "Recorder", "chosen_metrics"]
