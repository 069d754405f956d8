"""Attached PostgreSQL databases."""

from __future__ import annotations

__all__: list[str] = []
