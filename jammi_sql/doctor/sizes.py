"""Bytes and space."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .finding import Finding, ok, problem, warning

__all__ = ["free_space", "shown_bytes"]

_LITTLE: Final = 1 << 30
_TOO_LITTLE: Final = 64 << 20
_PART: Final = 0.05


def shown_bytes(size: int) -> str:
    """For people: ``1.5 GiB``."""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def free_space(folder: Path, what: str) -> Iterator[Finding]:
    """Of the file system that ``folder`` is on."""
    usage = shutil.disk_usage(folder)
    said = f"{shown_bytes(usage.free)} of {shown_bytes(usage.total)} are free for {what} ({folder})"
    advice = "free some space, or keep less: ALTER TOPIC ... SET (retention = INTERVAL '7 days')"
    if usage.free < _TOO_LITTLE:
        yield problem(said, advice)
    elif usage.free < _LITTLE or usage.free < _PART * usage.total:
        yield warning(said, advice)
    else:
        yield ok(said)
