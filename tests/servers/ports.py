"""Ports on loopback for servers that are stopped and started again, and keep theirs meanwhile."""

from __future__ import annotations

import random
import socket

__all__ = ["free_port"]

# Below those that the system gives to clients (32768 and up on Linux): one of them would be in use by any client of another
# test when its server starts again.
_FIRST, _LAST = 10_000, 32_000
_CHANCE = random.SystemRandom()  # several processes run tests at once


def free_port() -> int:
    """A port on 127.0.0.1 on which nobody listens."""
    while True:
        port = _CHANCE.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
