"""Metrics for Prometheus and OpenTelemetry, off unless asked for: what an engine measures, and where it goes."""

from __future__ import annotations

from .instruments import INSTRUMENTS
from .port import Instrument, Metrics, Observe, Record

__all__ = ["INSTRUMENTS", "Instrument", "Metrics", "Observe", "Record"]
