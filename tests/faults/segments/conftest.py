"""Folders with a log that tests do harm to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jammi_sql import Engine
from tests.damage_support import SEGMENTS, SOUND, find, seal
from tests.topic_support import batch_of


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store: offsets 0 to 4 of a topic in one segment, 5 and 6 in another, 7 in none, and a sound topic."""
    folder = tmp_path_factory.mktemp("segments") / "store"
    with Engine.open(folder, compaction=False, segment_rows=15_000) as engine:
        for offset in range(8):
            engine.publisher.publish_scoped(
                find(engine), None, batch_of(range(offset * 10_000, offset * 10_000 + 3000))
            )
            if offset == 6:
                seal(engine)
        engine.publisher.publish_scoped(find(engine, SOUND), None, batch_of([1]))
        seal(engine, SOUND)
        assert [row[:2] for row in map(tuple, engine.session().execute(SEGMENTS).fetchall())] == [(0, 4), (5, 6)]
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "store")
    return tmp_path / "store"
