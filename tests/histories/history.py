"""What a process did and saw, line by line, so that a killed one leaves all of it behind."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Content", "Event", "History", "Write", "read"]

Content = tuple[tuple[int, ...], str, str]
"""The ids of a batch's rows, their kind, and the tenant, ``""`` for nobody's."""

Event = dict[str, Any]
"""``what`` happened, ``at`` which moment (of the machine's steady clock, the same for all processes), and more."""


@dataclass(frozen=True, slots=True)
class Write:
    """One batch for one topic."""

    topic: str
    content: Content


class History:
    """The file of one process. May be written to by its threads at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lock = threading.Lock()

    def add(self, what: str, **more: object) -> None:
        """Write one event, which is in the system's hands when this returns."""
        with self._lock:
            line = json.dumps({"what": what, "at": time.monotonic_ns(), **more}, default=str)
            os.write(self._file, line.encode() + b"\n")

    def tries(self, call: str, writes: list[Write]) -> None:
        """A call begins that is to write all of ``writes`` or nothing."""
        self.add("try", call=call, writes=[[write.topic, *write.content] for write in writes])

    def acknowledged(self, call: str, offsets: list[int] | None) -> None:
        """It returned, with offsets where such a call tells them."""
        self.add("ok", call=call, offsets=offsets)

    def refused(self, call: str, state: str, message: str) -> None:
        """It raised."""
        self.add("no", call=call, state=state, message=message)

    def subscribed(self, reader: str, topic: str, start: int | None, kind: str | None, tenant: str) -> None:
        """A subscription is open, from an offset or from now on, to all kinds or one."""
        self.add("open", reader=reader, topic=topic, start=start, kind=kind, tenant=tenant)

    def received(self, reader: str, offset: int, content: Content) -> None:
        """A subscription delivered a batch."""
        self.add("got", reader=reader, offset=offset, content=content)


def read(path: Path) -> Iterator[Event]:
    """The events of a file; a killed process may have left half a line at its end."""
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield json.loads(line)
