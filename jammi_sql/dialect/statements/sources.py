"""Attached sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .fragment import Fragment

__all__ = ["Attach", "Detach", "RefreshSource", "ShowSources"]


@dataclass(frozen=True, slots=True)
class Attach:
    """``ATTACH [IF NOT EXISTS] 'uri' AS name [(TYPE type, option value, ...)]``; ``uri`` is an expression.

    ``options`` are without TYPE, which is ``kind``.
    """

    uri: Fragment
    name: str
    name_position: int
    if_not_exists: bool
    kind: str | None
    options: Mapping[str, str]
    position: int


@dataclass(frozen=True, slots=True)
class Detach:
    """``DETACH [IF EXISTS] name``."""

    name: str
    if_exists: bool
    position: int


@dataclass(frozen=True, slots=True)
class ShowSources:
    """``SHOW SOURCES``."""


@dataclass(frozen=True, slots=True)
class RefreshSource:
    """``REFRESH SOURCE name``."""

    name: str
    position: int
