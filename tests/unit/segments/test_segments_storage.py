"""Where segment files are, and what is kept open of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from jammi_sql import Engine
from jammi_sql.topics import TopicDefinition
from jammi_sql.topics.segments import reader
from jammi_sql.topics.segments.storage import SegmentStorage
from tests.topic_support import until

SCHEMA = pa.schema([("x", pa.int64())])


def elsewhere(folder: Path) -> SegmentStorage:
    """As in an object store: by pyarrow's interface alone, where what is closed is a file."""
    file_system = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
    return SegmentStorage(file_system, "", "s3://bucket", {}, "s3://bucket")


@pytest.mark.parametrize("remote", [False, True])
def test_a_file_that_could_not_be_written_to_its_end_is_not_there(tmp_path: Path, remote: bool) -> None:
    storage = elsewhere(tmp_path) if remote else SegmentStorage.folder(tmp_path)
    (tmp_path / "t").mkdir()

    def write(sink: Any) -> None:
        sink.write(b"half of it")
        raise MemoryError

    with pytest.raises(MemoryError):
        storage.create("t/1.parquet", write)
    assert list(tmp_path.rglob("*.*")) == []
    assert storage.create("t/1.parquet", lambda sink: sink.write(b"all")) == 3
    assert [(file.path, file.size) for file in storage.files()] == [("t/1.parquet", 3)]


def test_a_file_that_nobody_goes_on_with_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_IDLE", 0.0)
    with Engine.open(tmp_path / "store", segment_rows=10_000) as engine:
        topic = engine.topic_repo.register_topic(TopicDefinition("t", SCHEMA))
        for number in range(100):
            engine.publisher.publish_scoped(topic, None, pa.record_batch([[number]], schema=SCHEMA))
        engine.session().execute("CALL jammi.compact('t')")
        with engine.subscriber.subscribe(topic, from_offset=0) as left:
            assert left.next(timeout=50).offset.value == 0
            until(lambda: not _open_below(tmp_path), "the file is closed")
            assert [one.next(timeout=50).offset.value for one in [left] * 99] == list(range(1, 100))


def _open_below(folder: Path) -> list[str]:
    """The segment files that this process has open."""
    found = []
    for handle in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{handle}")
        except OSError:
            continue  # it was the listing's own
        if path.startswith(str(folder)) and ".parquet" in path:
            found.append(path)
    return found
