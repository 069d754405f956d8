"""Where segments lie, and how they are backed up."""

from __future__ import annotations

from pathlib import Path

import pytest

from jammi_sql import Engine
from jammi_sql.errors import Error, InvalidParameter, ReadOnlyStore
from jammi_sql.topics.segments.compactor import SegmentSize
from tests.segment_support import (
    TOPIC,
    VIEWERS,
    compact,
    everything,
    files,
    fill,
    open_engine,
    publish,
    replayed,
    segments,
    topic_of,
)
from tests.topic_support import TENANT_A


def test_the_first_location_stays(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    with open_engine(tmp_path / "store", segments=str(place)) as engine:
        publish(engine, 1)
        compact(engine)
    assert len(files(place)) == 1
    for given in (None, str(place)):
        with open_engine(tmp_path / "store", segments=given) as engine:
            assert [one[0] for one in replayed(engine, None)] == [0]
    with pytest.raises(InvalidParameter, match="elsewhere") as raised:
        open_engine(tmp_path / "store", segments=str(tmp_path / "third"))
    assert raised.value.sqlstate == "22023" and raised.value.hint
    with open_engine(tmp_path / "store"):
        pass


def test_a_relative_location_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_engine(tmp_path / "store", segments="place") as engine:
        publish(engine, 1)
        compact(engine)
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "deeper")
    for given in (None, "../place", str(tmp_path / "place")):
        with open_engine(tmp_path / "store", segments=given) as engine:
            assert [one[0] for one in replayed(engine, None)] == [0]


def test_a_store_with_segments_in_its_folder_takes_no_other_location(tmp_path: Path) -> None:
    with open_engine(tmp_path / "store") as engine:
        publish(engine, 1)
        compact(engine)
    with pytest.raises(InvalidParameter, match="in its folder"):
        open_engine(tmp_path / "store", segments=str(tmp_path / "third"))


@pytest.mark.parametrize("location", ["s3://key:secret@bucket/x", "s3://key@bucket/x"])
def test_credentials_in_a_location_are_refused_and_not_repeated(tmp_path: Path, location: str) -> None:
    with pytest.raises(InvalidParameter, match="credentials") as raised:
        open_engine(tmp_path / "store", segments=location)
    assert "secret" not in str(raised.value)
    with open_engine(tmp_path / "store") as engine:
        publish(engine, 1)


def test_a_location_of_an_unknown_kind_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(Error) as raised:
        open_engine(tmp_path / "store", segments="ftp://host/x")
    assert raised.value.sqlstate == "0A000" and raised.value.hint
    with open_engine(tmp_path / "store") as engine:
        publish(engine, 1)
        compact(engine)


@pytest.mark.parametrize("options", [{"segment_rows": 0}, {"segment_bytes": 0}, {"segment_rows": -1}])
def test_a_size_that_is_none_is_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter):
        open_engine(tmp_path / "store", **options)
    with pytest.raises(InvalidParameter):
        SegmentSize(0)


def test_a_read_only_engine_reads_segments_and_makes_none(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    compact(engine)
    publish(engine, 1)
    before = {tenant: everything(engine, tenant) for tenant in VIEWERS[1:2]}
    engine.close()
    with Engine.open(tmp_path / "store", read_only=True) as reading:
        assert reading.services.segments.keeper is None
        assert {tenant: everything(reading, tenant) for tenant in VIEWERS[1:2]} == before
        with pytest.raises(ReadOnlyStore) as raised:
            compact(reading)
        assert raised.value.sqlstate == "25006" and raised.value.hint


def test_a_backup_has_the_segments_and_is_a_store(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    compact(engine)
    publish(engine, 1)
    compact(engine)
    before = {tenant: everything(engine, tenant) for tenant in VIEWERS[1:2]}
    engine.session().backup(tmp_path / "copy")
    assert len(files(tmp_path / "copy")) == len(segments(engine))  # what was dropped is left behind
    with open_engine(tmp_path / "copy") as copy:
        assert {tenant: everything(copy, tenant) for tenant in VIEWERS[1:2]} == before
        publish(copy, 1)
        compact(copy)
    assert {tenant: everything(engine, tenant) for tenant in VIEWERS[1:2]} == before


def test_a_backup_of_segments_elsewhere_has_them_in_its_folder(tmp_path: Path) -> None:
    with open_engine(tmp_path / "store", segments=str(tmp_path / "elsewhere")) as engine:
        fill(engine)
        compact(engine)
        before = everything(engine, TENANT_A)
        engine.session().backup(tmp_path / "copy")
    for path in (tmp_path / "elsewhere").rglob("*.parquet"):
        path.unlink()
    with open_engine(tmp_path / "copy") as copy:
        assert everything(copy, TENANT_A) == before


def test_a_backup_that_lacks_a_segment_says_so(engine: Engine, tmp_path: Path) -> None:
    publish(engine, 1)
    compact(engine)
    for path in (tmp_path / "store").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(Error, match="missing") as raised:
        engine.session().backup(tmp_path / "copy")
    assert raised.value.sqlstate == "58030" and raised.value.hint


def test_a_compaction_with_nothing_to_do_makes_nothing(engine: Engine, tmp_path: Path) -> None:
    topic_of(engine)
    assert compact(engine) == [(TOPIC, 0, 0)]
    assert files(tmp_path) == []
