"""Looks at a store, its broker and this machine, and says what is wrong and what to do. It changes nothing."""

from __future__ import annotations

from .diagnose import SCHEMA, diagnose
from .finding import Check, Finding, Level

__all__ = ["SCHEMA", "Check", "Finding", "Level", "diagnose"]
