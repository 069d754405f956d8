"""Companion tables: durable rows that change, in the same store and the same transactions as the topics."""

from __future__ import annotations

from .definition import Index, MutableTableDefinition
from .registry import MutableTableRegistry

__all__ = ["Index", "MutableTableDefinition", "MutableTableRegistry"]
