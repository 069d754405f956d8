"""The server's clock against this machine's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from ..finding import Finding, ok, problem, warning
from .subject import Database

__all__ = ["clock"]

_SKEW: Final = 0.5  # seconds
_MUCH: Final = 60.0


def clock(database: Database, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """How far they are apart. The answer is known to half the time that the question took."""
    best: tuple[float, float] | None = None
    for _ in range(3):
        before = now()
        server = database.value("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS value") / 1e6
        after = now()
        unsure = (after - before) / 2
        if best is None or unsure < best[1]:
            best = (server - (before + after) / 2, unsure)
    assert best is not None
    skew, unsure = best
    apart = max(0.0, abs(skew) - unsure)
    said = f"the server's clock is {abs(skew):.3f} s {'ahead of' if skew > 0 else 'behind'} this machine's (± {unsure:.3f} s)"
    advice = (
        "let both take their time from NTP: produced_at is by the publisher's clock, and never falls within a topic"
    )
    if apart > _MUCH:
        yield problem(said, advice)
    elif apart > _SKEW:
        yield warning(said, advice)
    else:
        yield ok(said)
