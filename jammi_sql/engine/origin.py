"""Where the user of a session is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["IN_PROCESS", "Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """``interface`` is ``python`` or ``flight``; the rest is of a client over the network, as far as it says."""

    interface: str
    address: str | None = None
    user_agent: str | None = None


IN_PROCESS: Final = Origin("python")
