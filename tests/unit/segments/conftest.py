"""Engines whose logs are compacted when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import Engine
from tests.segment_support import Clock, open_engine


@pytest.fixture
def clock() -> Clock:
    """That of ``engine``."""
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> Iterator[Engine]:
    """On a new folder."""
    with open_engine(tmp_path / "store", clock=clock) as opened:
        yield opened
