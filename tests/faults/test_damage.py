"""Stores that were damaged on disk, filled up or write-protected: a named error, and everything else goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jammi_sql import Engine
from jammi_sql.errors import DataCorrupted, DiskFull, Error, ReadOnlyStore, StoreVersionError
from jammi_sql.topics import Predicate, TopicDefinition
from tests.privileges import unprivileged
from tests.topic_support import TENANT_A, batch_of, definition, ids, offsets, receive

HURT, SOUND = "events.hurt", "events.sound"

# In a process of its own: a second SQLite library in this one would drop the locks of the first.
EDIT = """
import sqlite3, sys
path, kind, *arguments = sys.argv[1:]
file = sqlite3.connect(path)
if kind == "run":
    changed = file.execute(arguments[0]).rowcount
else:
    table, column, condition, place = arguments
    ((value,),) = file.execute(f"SELECT {column} FROM {table} WHERE {condition}").fetchall()
    value = bytearray(value)
    value[int(float(place) * (len(value) - 1))] ^= 0x10
    changed = file.execute(f"UPDATE {table} SET {column} = ? WHERE {condition}", (bytes(value),)).rowcount
file.commit()
file.close()
assert changed in (1, -1), changed
"""


def edit(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", EDIT, str(folder / "jammi.db"), *arguments], check=True, timeout=60)


def number_of(topic: str) -> str:
    """The store's number of a topic, as a sub-query."""
    return f"(SELECT number FROM topic WHERE namespace || '.' || name = '{topic}')"


def batch_at(offset: int, topic: str = HURT) -> str:
    return f"topic = {number_of(topic)} AND offset = {offset}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A closed store with two topics of ten batches; those of the first belong to a tenant."""
    folder = tmp_path / "store"
    with Engine.open(folder) as engine:
        for name in (HURT, SOUND):
            topic = engine.topic_repo.register_topic(definition(name))
            for number in range(10):
                engine.publisher.publish_scoped(topic, TENANT_A if name == HURT else None, batch_of([number]))
    return folder


def find(engine: Engine, name: str) -> TopicDefinition:
    topic = engine.topic_repo.lookup_by_name(name)
    assert topic is not None
    return topic


def check_corrupted(error: Error, *words: str) -> None:
    assert isinstance(error, DataCorrupted)
    assert error.sqlstate == "XX001"
    for word in words:
        assert word in str(error)


def check_the_rest(folder: Path) -> None:
    """The other topic reads, takes a publish and delivers it live, by API and by SQL."""
    with Engine.open(folder) as engine:
        topic = find(engine, SOUND)
        subscription = engine.subscriber.subscribe(topic)
        before = len(engine.subscriber.replay_only(topic, Predicate.match_all(), 0))
        assert engine.publisher.publish_scoped(topic, None, batch_of([before])).value == before
        assert ids(receive(subscription, 1)) == [before]
        rows = engine.session().execute(f"SELECT id FROM {SOUND} ORDER BY id").fetchall()
        assert [tuple(row) for row in rows] == [(number,) for number in range(before + 1)]


DAMAGE: dict[str, tuple[str, ...]] = {
    "the first byte of the payload": ("flip", "batch", "payload", batch_at(4), "0"),
    "a byte in the middle of the payload": ("flip", "batch", "payload", batch_at(4), "0.5"),
    "the last byte of the payload": ("flip", "batch", "payload", batch_at(4), "1"),
    "an empty payload": ("run", f"UPDATE batch SET payload = x'' WHERE {batch_at(4)}"),
    "the row count": ("run", f"UPDATE batch SET row_count = 2 WHERE {batch_at(4)}"),
    "the tenant, which would show a row to everybody": ("run", f"UPDATE batch SET tenant = '' WHERE {batch_at(4)}"),
    "the schema version": ("run", f"UPDATE batch SET version = 9 WHERE {batch_at(4)}"),
    "the checksum": ("run", f"UPDATE batch SET checksum = checksum + 1 WHERE {batch_at(4)}"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_batch_is_an_error_that_names_topic_and_offset_and_never_a_wrong_row(
    folder: Path, damage: tuple[str, ...]
) -> None:
    edit(folder, *damage)
    with Engine.open(folder) as engine:
        topic = find(engine, HURT)
        subscription = engine.subscriber.subscribe_scoped(topic, TENANT_A, Predicate.match_all(), 4)
        for _ in range(2):  # it stays: reading on would skip an offset
            with pytest.raises(DataCorrupted) as caught:
                subscription.next(timeout=50)
            check_corrupted(caught.value, HURT, "offset 4")
        with pytest.raises(DataCorrupted) as caught:
            engine.subscriber.replay_only_scoped(topic, TENANT_A, Predicate.from_sql(topic.schema, "id = 4"), 0)
        check_corrupted(caught.value, HURT, "offset 4")
        with pytest.raises(DataCorrupted) as caught:
            engine.session(TENANT_A).execute(f"SELECT id FROM {HURT} WHERE kind = 'X'").fetchall()
        check_corrupted(caught.value, HURT, "offset 4")
    check_the_rest(folder)


def test_around_a_damaged_batch_everything_is_read_and_written(folder: Path) -> None:
    edit(folder, *DAMAGE["a byte in the middle of the payload"])
    with Engine.open(folder) as engine:
        topic = find(engine, HURT)
        live = engine.subscriber.subscribe_scoped(topic, TENANT_A, Predicate.match_all(), 5)
        assert offsets(receive(live, 5)) == [5, 6, 7, 8, 9]
        assert engine.publisher.publish_scoped(topic, TENANT_A, batch_of([10])).value == 10
        assert offsets(receive(live, 1)) == [10]
        session = engine.session(TENANT_A)
        rows = session.execute(f"SELECT id FROM {HURT} WHERE _offset < 4 OR _offset > 4 ORDER BY id").fetchall()
        assert [tuple(row)[0] for row in rows] == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]


def test_the_rows_before_a_damaged_batch_are_delivered_before_the_error(folder: Path) -> None:
    edit(folder, *DAMAGE["a byte in the middle of the payload"])
    with Engine.open(folder) as engine:
        subscription = engine.subscriber.subscribe_scoped(find(engine, HURT), TENANT_A, Predicate.match_all(), 0)
        assert offsets(receive(subscription, 4)) == [0, 1, 2, 3]
        with pytest.raises(DataCorrupted, match="offset 4"):
            subscription.next(timeout=50)


@pytest.mark.parametrize("place", ["0", "0.3", "0.6", "1"])
def test_damaged_column_ranges_hide_no_row(folder: Path, place: str) -> None:
    with Engine.open(folder) as engine:
        engine.publisher.publish_scoped(find(engine, HURT), TENANT_A, batch_of(range(1000, 2000)))
    edit(folder, "flip", "batch", "ranges", batch_at(10), place)
    with Engine.open(folder) as engine:
        found = engine.session(TENANT_A).execute(f"SELECT id FROM {HURT} WHERE id = 1500 AND kind = 'X'").fetchall()
        assert [tuple(row) for row in found] == [(1500,)]


SCHEMA_OF_HURT = f"topic = {number_of(HURT)}"
CATALOGUE_DAMAGE: dict[str, tuple[str, ...]] = {
    "a byte of the stored schema": ("flip", "topic_schema", "ipc", SCHEMA_OF_HURT, "0.5"),
    "the checksum of the schema": ("run", f"UPDATE topic_schema SET checksum = 1 WHERE {SCHEMA_OF_HURT}"),
    "the row of the schema": ("run", f"DELETE FROM topic_schema WHERE {SCHEMA_OF_HURT}"),
    "the version of the schema": ("run", f"UPDATE topic SET version = 5 WHERE number = {number_of(HURT)}"),
    "metadata that is no JSON": ("run", f"UPDATE topic SET metadata = '{{' WHERE number = {number_of(HURT)}"),
    "metadata that is a list": ("run", f"UPDATE topic SET metadata = '[1]' WHERE number = {number_of(HURT)}"),
    "metadata that is no text": (
        "run",
        f"""UPDATE topic SET metadata = '{{"a": 1}}' WHERE number = {number_of(HURT)}""",
    ),
    "the identity": ("run", f"UPDATE topic SET uuid = 'not a UUID' WHERE number = {number_of(HURT)}"),
}


@pytest.mark.parametrize("damage", CATALOGUE_DAMAGE.values(), ids=CATALOGUE_DAMAGE)
def test_a_damaged_catalogue_row_is_an_error_that_names_the_topic_and_nothing_else_stops(
    folder: Path, damage: tuple[str, ...]
) -> None:
    with Engine.open(folder) as engine:
        hurt = find(engine, HURT)
    edit(folder, *damage)
    with Engine.open(folder) as engine:
        calls: list[Callable[[], object]] = [
            lambda: engine.topic_repo.lookup_by_name(HURT),
            lambda: engine.topic_repo.register_topic(hurt),
            lambda: engine.publisher.publish_scoped(hurt, TENANT_A, batch_of([1])),
            lambda: engine.subscriber.subscribe(hurt),
            lambda: engine.session().execute(f"SELECT * FROM {HURT}"),
            lambda: engine.session().execute(f"INSERT INTO {HURT} VALUES (1, 'X', 1.0)"),
            lambda: engine.session().execute(f"DESCRIBE {HURT}"),
        ]
        for call in calls:
            with pytest.raises(DataCorrupted) as caught:
                call()
            check_corrupted(caught.value, HURT)
    check_the_rest(folder)


def test_a_topic_whose_owner_is_damaged_is_named_where_it_is_still_found(folder: Path) -> None:
    with Engine.open(folder) as engine:
        hurt = find(engine, HURT)
    edit(folder, "run", f"UPDATE topic SET tenant = 'nobody' WHERE number = {number_of(HURT)}")
    with Engine.open(folder) as engine:
        with pytest.raises(DataCorrupted, match=HURT):
            engine.publisher.publish_scoped(hurt, None, batch_of([1]))
        assert engine.topic_repo.lookup_by_name(HURT) is None
    check_the_rest(folder)


def test_a_damaged_topic_is_repaired_by_undoing_the_damage(folder: Path) -> None:
    edit(folder, "flip", "batch", "payload", batch_at(4), "0.5")
    with Engine.open(folder) as engine, pytest.raises(DataCorrupted):
        engine.subscriber.replay_only_scoped(find(engine, HURT), TENANT_A, Predicate.match_all(), 0)
    edit(folder, "flip", "batch", "payload", batch_at(4), "0.5")
    with Engine.open(folder) as engine:
        replayed = engine.subscriber.replay_only_scoped(find(engine, HURT), TENANT_A, Predicate.match_all(), 0)
        assert ids(replayed) == list(range(10))


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_from_the_future_is_refused_and_left_as_it_is(folder: Path, read_only: bool) -> None:
    edit(folder, "run", "INSERT INTO migration SELECT 9000, 'the future', checksum, applied_us FROM migration LIMIT 1")
    before = (folder / "jammi.db").read_bytes()
    with pytest.raises(StoreVersionError) as caught:
        Engine.open(folder, read_only=read_only)
    assert (caught.value.sqlstate, caught.value.hint is not None) == ("55000", True)
    assert (folder / "jammi.db").read_bytes() == before
    edit(folder, "run", "DELETE FROM migration WHERE number = 9000")
    check_the_rest(folder)


def test_a_full_disk_fails_the_publish_and_the_store_goes_on_when_there_is_room(folder: Path) -> None:
    with Engine.open(folder, max_bytes=400_000) as engine:
        topic = find(engine, SOUND)
        subscription = engine.subscriber.subscribe(topic)
        for _ in range(2):
            with pytest.raises(DiskFull) as caught:
                engine.publisher.publish_scoped(topic, None, batch_of(range(100_000)))
            assert (caught.value.sqlstate, caught.value.hint is not None) == ("53100", True)
        with pytest.raises(DiskFull):
            engine.session().execute(f"INSERT INTO {SOUND} SELECT value, 'X', 0.0 FROM generate_series(1, 100000)")
        assert engine.publisher.publish_scoped(topic, None, batch_of([10])).value == 10
        assert ids(receive(subscription, 1)) == [10]
        assert len(engine.subscriber.replay_only(topic, Predicate.match_all(), 0)) == 11
    with Engine.open(folder) as engine:
        assert engine.publisher.publish_scoped(find(engine, SOUND), None, batch_of(range(100_000))).value == 11
        replayed = engine.subscriber.replay_only(find(engine, SOUND), Predicate.match_all(), 0)
        assert [one.batch.num_rows for one in replayed] == [1] * 11 + [100_000]


@pytest.fixture
def open_folder(folder: Path) -> Iterator[Path]:
    """The store in a place that other users reach."""
    parent = Path(tempfile.mkdtemp(prefix="jammi-damage-"))
    parent.chmod(0o755)
    shutil.copytree(folder, parent / "store")
    yield parent / "store"
    (parent / "store").chmod(0o755)
    shutil.rmtree(parent)


def test_a_read_only_folder_can_be_read_refuses_to_be_written_and_works_again_afterwards(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    (open_folder / "jammi.db").chmod(0o444)
    with unprivileged():
        with pytest.raises(ReadOnlyStore) as caught:
            Engine.open(open_folder)
        assert (caught.value.sqlstate, caught.value.hint is not None) == ("25006", True)
        with Engine.open(open_folder, read_only=True) as engine:
            topic = find(engine, SOUND)
            assert ids(engine.subscriber.replay_only(topic, Predicate.match_all(), 0)) == list(range(10))
            subscription = engine.subscriber.subscribe(topic, None, 8)
            assert ids(receive(subscription, 2)) == [8, 9]
            for write in (
                lambda: engine.publisher.publish_scoped(topic, None, batch_of([10])),
                lambda: engine.session().execute(f"INSERT INTO {SOUND} VALUES (10, 'X', 1.0)"),
                lambda: engine.topic_repo.register_topic(definition("another")),
            ):
                with pytest.raises(ReadOnlyStore):
                    write()
    open_folder.chmod(0o755)
    (open_folder / "jammi.db").chmod(0o644)
    check_the_rest(open_folder)
