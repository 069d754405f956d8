"""An engine with a topic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jammi_sql import Engine
from jammi_sql.brokers import InMemoryBroker
from tests.subscription_support import TOPIC


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    """An engine whose topic is registered, with an in-memory broker."""
    with Engine.open(folder, broker=InMemoryBroker()) as engine:
        engine.topic_repo.register_topic(TOPIC)
        yield engine
