"""What a session has set: its tenant and its settings."""

from __future__ import annotations

from dataclasses import dataclass

from .fragment import Fragment

__all__ = ["ResetSetting", "ResetTenant", "SetSetting", "SetTenant", "ShowSetting", "ShowTenant"]


@dataclass(frozen=True, slots=True)
class SetTenant:
    """``SET tenant = 'uuid'`` (or ``TO``); ``value`` is an expression."""

    value: Fragment


@dataclass(frozen=True, slots=True)
class ResetTenant:
    """``RESET tenant``."""


@dataclass(frozen=True, slots=True)
class ShowTenant:
    """``SHOW tenant``."""


@dataclass(frozen=True, slots=True)
class SetSetting:
    """``SET jammi.setting = value``; ``name`` without the prefix, ``value`` an expression or a bare word."""

    name: str
    value: Fragment
    position: int


@dataclass(frozen=True, slots=True)
class ShowSetting:
    """``SHOW jammi.setting``."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class ResetSetting:
    """``RESET jammi.setting``."""

    name: str
    position: int
