"""What a broker of somebody else's may leave out of ``Broker``."""

from __future__ import annotations

from typing import Final

from ..ports import Broker

__all__ = ["close", "heal_interval"]

_HEAL_INTERVAL: Final = 0.25
"""Seconds, as for a broker that is trusted to hand over nearly everything."""


def heal_interval(broker: Broker) -> float:
    """``broker.heal_interval``, or 0.25 s."""
    found: float = getattr(broker, "heal_interval", _HEAL_INTERVAL)
    return found


def close(broker: Broker) -> None:
    """``broker.close()``, where there is one."""
    closing = getattr(broker, "close", None)
    if closing is not None:
        closing()
