"""The settings of a session: ``SET jammi.name = value``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from ..errors import InvalidParameter, UndefinedObject

__all__ = ["SETTINGS", "Setting", "Settings"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: ``read`` makes its value out of what SQL gave, and raises ``ValueError`` for what is no value."""

    name: str
    default: str
    summary: str
    read: Callable[[Any], str]


_ON = {"on", "true", "1", "yes"}
_OFF = {"off", "false", "0", "no"}
_SIZE = re.compile(r"^(\d+)\s*([kmgt]?)b?$", re.IGNORECASE)
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)?$")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
NONE = "none"


def _switch(value: Any) -> str:
    text = str(value).lower()
    if text in _ON:
        return "on"
    if text in _OFF:
        return "off"
    raise ValueError("on or off")


def _duration(value: Any) -> str:
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif str(value).lower() in (NONE, "off", "0"):
        return NONE
    else:
        found = _DURATION.match(str(value).strip().lower())
        if not found:
            raise ValueError("a time such as '5s', '200ms', INTERVAL '1 minute', or none")
        unit = found[2] or "s"
        seconds = float(found[1]) * _SECONDS["ms" if unit == "ms" or unit.startswith("milli") else unit[0]]
    if seconds <= 0:
        return NONE
    return f"{seconds:g}s"


def _size(value: Any) -> str:
    text = str(value).strip().lower()
    if text in (NONE, "off", "0"):
        return NONE
    found = _SIZE.match(text)
    if not found:
        raise ValueError("a size such as '512M' or '2G', a number of bytes, or none")
    return f"{int(found[1])}{found[2].upper()}"


def _rows(value: Any) -> str:
    text = str(value)
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise ValueError("a number of rows from 1 to 1000000")
    return str(int(text))


SETTINGS = MappingProxyType(
    {
        setting.name: setting
        for setting in (
            Setting(
                "pushdown",
                "on",
                "Whether batches that cannot match a filter are skipped unread; off reads everything.",
                _switch,
            ),
            Setting(
                "statement_timeout",
                NONE,
                "The longest time that a statement may run, such as '30s'; none for no limit.",
                _duration,
            ),
            Setting(
                "memory_limit",
                NONE,
                "Memory for sorts, joins and aggregates of this session, such as '2G'; sorts and aggregates spill.",
                _size,
            ),
            Setting("batch_size", "8192", "Rows in the batches of a result.", _rows),
        )
    }
)


class Settings:
    """The values in force."""

    def __init__(self) -> None:
        self._values = {name: setting.default for name, setting in SETTINGS.items()}

    def copy(self) -> Settings:
        """The same values, to be changed on their own."""
        other = Settings()
        other._values = dict(self._values)
        return other

    def set(self, name: str, value: Any, position: int | None = None) -> str:
        """Set it, and return how it is shown. ``UndefinedObject`` (42704), ``InvalidParameter`` (22023)."""
        setting = _find(name, position)
        try:
            self._values[name] = setting.read(value)
        except ValueError as error:
            raise InvalidParameter(
                f"jammi.{name} cannot be {value!r}", position=position, hint=f"it takes {error}"
            ) from None
        return self._values[name]

    def reset(self, name: str, position: int | None = None) -> str:
        """Back to the default."""
        self._values[name] = _find(name, position).default
        return self._values[name]

    def show(self, name: str, position: int | None = None) -> str:
        """The value in force."""
        return self._values[_find(name, position).name]

    def is_changed(self, name: str) -> bool:
        """Whether it differs from its default."""
        return self._values[name] != SETTINGS[name].default

    @property
    def pushdown(self) -> bool:
        """Whether scans skip what cannot match."""
        return self._values["pushdown"] == "on"

    @property
    def statement_timeout(self) -> float | None:
        """Seconds, or ``None``."""
        value = self._values["statement_timeout"]
        return None if value == NONE else float(value.removesuffix("s"))

    @property
    def memory_limit(self) -> int | None:
        """Bytes, or ``None``."""
        found = _SIZE.match(self._values["memory_limit"])
        return None if found is None else int(found[1]) << _SHIFTS[found[2].lower()]


def _find(name: str, position: int | None) -> Setting:
    setting = SETTINGS.get(name)
    if setting is None:
        raise UndefinedObject(
            f"there is no setting jammi.{name}", position=position, hint=f"there are {', '.join(SETTINGS)}"
        )
    return setting
