"""Which socket a driver opened, where the driver does not say."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

__all__ = ["with_socket"]

_FOLDER: Final = "/proc/self/fd"
_LOCK: Final = threading.Lock()
_WAIT: Final = 1.0
"""Seconds that one who connects waits for another who does: past it, it does without knowing its socket."""

_T = TypeVar("_T")


def with_socket(connect: Callable[[], _T], is_peer: Callable[[object], bool]) -> tuple[_T, socket.socket | None]:
    """What ``connect`` returns, and a duplicate of the stream socket that it opened, connected to an address that
    ``is_peer`` takes.

    ``None`` where the system does not tell, or where others opened such sockets at the same time.
    """
    if not os.path.isdir(_FOLDER) or not _LOCK.acquire(timeout=_WAIT):
        return connect(), None
    try:
        before = _sockets()
        made = connect()
        new = [number for number, inode in _sockets().items() if before.get(number) != inode]
        found = [duplicate for number in new if (duplicate := _connected(number, is_peer)) is not None]
    finally:
        _LOCK.release()
    if len(found) == 1:
        return made, found[0]
    for duplicate in found:
        duplicate.close()
    return made, None


def _sockets() -> dict[int, str]:
    sockets: dict[int, str] = {}
    for name in os.listdir(_FOLDER):
        with suppress(OSError):
            target = os.readlink(f"{_FOLDER}/{name}")
            if target.startswith("socket:"):
                sockets[int(name)] = target
    return sockets


def _connected(number: int, is_peer: Callable[[object], bool]) -> socket.socket | None:
    try:
        duplicate = socket.socket(fileno=os.dup(number))
    except OSError:
        return None
    try:
        if duplicate.type == socket.SOCK_STREAM and is_peer(duplicate.getpeername()):
            return duplicate
    except OSError:
        pass
    duplicate.close()
    return None
