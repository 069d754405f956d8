"""A call that brings messages, as whoever reads and whoever ends it see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["StreamCall"]


@dataclass(frozen=True)
class StreamCall:
    """``messages`` are gRPC's, to be read in a thread that Ctrl-C does not reach; ``cancel`` is for any thread."""

    messages: Any
    cancel: Callable[[], None]
