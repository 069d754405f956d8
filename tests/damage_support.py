"""A log with a topic that is hurt and one that is not, as segments."""

from __future__ import annotations

from pathlib import Path

from jammi_sql import Engine
from jammi_sql.topics import TopicDefinition
from tests.topic_support import definition

__all__ = ["SEGMENTS", "SOUND", "TOPIC", "contents", "find", "seal"]

TOPIC, SOUND = "events.hurt", "events.sound"

SEGMENTS = "SELECT first_offset, last_offset, path FROM jammi.system.segments WHERE topic = 'hurt' ORDER BY 1"


def find(engine: Engine, name: str = TOPIC) -> TopicDefinition:
    return engine.topic_repo.lookup_by_name(name) or engine.topic_repo.register_topic(definition(name))


def seal(engine: Engine, name: str = TOPIC) -> None:
    engine.session().execute("CALL jammi.compact(?)", [name])


def contents(folder: Path) -> set[Path]:
    return {path for path in (folder / "segments").rglob("*") if path.is_file() and path.name != ".compacting"}
