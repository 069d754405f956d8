"""Topic definitions, and registering, finding and dropping them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.errors import (
    InvalidParameter,
    PermissionDenied,
    ProgrammingError,
    ReservedName,
    SchemaConflict,
    TopicNotFound,
)
from jammi_sql.topics import TopicDefinition, TopicId
from tests.topic_support import SCHEMA, TENANT_A, TENANT_B, batch_of, definition, ids


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path / "store") as engine:
        yield engine


def test_ids_are_uuids_and_new_ones_differ() -> None:
    one = TopicId.new()
    assert one == TopicId(str(one)) == TopicId(one) == TopicId(one.value)
    assert len({one, TopicId(str(one)), TopicId.new()}) == 2
    with pytest.raises(InvalidParameter, match="UUID"):
        TopicId("events.changes")


def test_two_definitions_of_one_name_have_their_own_ids_and_no_options() -> None:
    one, other = TopicDefinition("t", SCHEMA), TopicDefinition("t", SCHEMA)
    assert one.id != other.id
    assert (one.tenant, dict(one.broker_metadata)) == (None, {})
    assert len({one, other, one}) == 2


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("changes", "changes"),
        ("Changes", "changes"),
        ("public.changes", "changes"),
        ("jammi.public.changes", "changes"),
        ("Events.Changes", "events.changes"),
        ('"Odd.Name"', '"Odd.Name"'),
        ('events."Größe"', 'events."Größe"'),
        ('"select"', '"select"'),
        ('"a""b"', '"a""b"'),
    ],
)
def test_a_name_is_an_identifier_path_and_is_found_by_it(engine: Engine, name: str, registered: str) -> None:
    made = engine.topic_repo.register_topic(definition(name))
    assert made.name == registered
    for path in (name, registered):
        found = engine.topic_repo.lookup_by_name(path)
        assert found is not None
        assert found.id == made.id
    assert engine.publisher.publish_scoped(definition(name), None, batch_of([1])).value == 0


@pytest.mark.parametrize(
    ("name", "sqlstate"),
    [
        ("", "42"),
        ("a..b", "42"),
        ("a b", "42"),
        ("a.b.c", "3D000"),
        ("system.t", "42939"),
        ("information_schema.t", "42939"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(engine: Engine, name: str, sqlstate: str) -> None:
    with pytest.raises(ProgrammingError) as caught:
        engine.topic_repo.register_topic(definition(name))
    assert caught.value.sqlstate.startswith(sqlstate)
    assert engine.topic_repo.list_topics() == []


@pytest.mark.parametrize(
    ("names", "error", "sqlstate"),
    [
        ([], ProgrammingError, "42P16"),
        (["_offset"], ReservedName, "42939"),
        (["a", "_mine"], ReservedName, "42939"),
        (["a", "b", "a"], ProgrammingError, "42701"),
        ([""], ProgrammingError, "42602"),
    ],
)
def test_columns_that_cannot_be_are_refused(
    engine: Engine, names: list[str], error: type[ProgrammingError], sqlstate: str
) -> None:
    schema = pa.schema([pa.field(name, pa.int64()) for name in names])
    with pytest.raises(error) as caught:
        engine.topic_repo.register_topic(definition("t", schema=schema))
    assert caught.value.sqlstate == sqlstate
    assert engine.topic_repo.list_topics() == []


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (SCHEMA.append(pa.field("more", pa.int64())), "more"),
        (pa.schema([SCHEMA.field(0), SCHEMA.field(1)]), "value"),
        (SCHEMA.set(0, pa.field("id", pa.int32(), nullable=False)), "id int32 not null"),
        (SCHEMA.set(2, pa.field("value", pa.float64(), nullable=False)), "value double not null"),
        (pa.schema([SCHEMA.field(1), SCHEMA.field(0), SCHEMA.field(2)]), "kind string not null"),
    ],
)
def test_another_schema_under_a_name_is_a_conflict_that_names_the_difference(
    engine: Engine, other: pa.Schema, says: str
) -> None:
    engine.topic_repo.register_topic(definition())
    with pytest.raises(SchemaConflict, match=says) as caught:
        engine.topic_repo.register_topic(definition(schema=other))
    assert caught.value.sqlstate == "42804"
    found = engine.topic_repo.lookup_by_name("events.changes")
    assert found is not None
    assert found.schema.equals(SCHEMA)


def test_every_arrow_type_of_a_schema_survives(engine: Engine, tmp_path: Path) -> None:
    types = [
        pa.uint64(), pa.float16(), pa.decimal128(38, 10), pa.timestamp("ns", "Europe/Berlin"), pa.date32(), pa.time64("us"),
        pa.duration("ms"), pa.list_(pa.float32(), 384), pa.struct([("a", pa.list_(pa.string()))]), pa.large_binary(),
        pa.dictionary(pa.int8(), pa.string()), pa.map_(pa.string(), pa.int64()), pa.null(), pa.binary(16), pa.string_view(),
    ]  # fmt: skip
    schema = pa.schema(
        [pa.field(f"c{number}", one, metadata={"comment": "with a comment"}) for number, one in enumerate(types)]
    )
    engine.topic_repo.register_topic(definition("t", schema=schema))
    with Engine.open(tmp_path / "store") as other:
        found = other.topic_repo.lookup_by_name("t")
        assert found is not None
        assert found.schema.equals(schema, check_metadata=True)


def test_a_tenants_own_topic_comes_before_a_global_one_of_the_same_name(engine: Engine) -> None:
    everybody, own = definition(), definition(tenant=TENANT_A)
    engine.topic_repo.register_topic(everybody)
    engine.topic_repo.register_topic(own)
    found = {
        tenant: engine.topic_repo.lookup_by_name("events.changes", tenant) for tenant in (None, TENANT_A, TENANT_B)
    }
    assert {tenant: topic and topic.id for tenant, topic in found.items()} == {
        None: everybody.id,
        TENANT_A: own.id,
        TENANT_B: everybody.id,
    }
    engine.publisher.publish_scoped(own, TENANT_A, batch_of([1]))
    engine.publisher.publish_scoped(everybody, TENANT_A, batch_of([2]))
    assert ids(engine.subscriber.replay_only_scoped(own, TENANT_A, None, 0)) == [1]
    assert ids(engine.subscriber.replay_only_scoped(everybody, TENANT_A, None, 0)) == [2]


def test_only_its_owner_drops_a_topic(engine: Engine) -> None:
    everybody, own = definition("everybody"), definition("own", TENANT_A)
    for topic in (everybody, own):
        engine.topic_repo.register_topic(topic)
    with pytest.raises(PermissionDenied):
        engine.topic_repo.drop_topic(everybody.id, TENANT_A)
    for tenant in (TENANT_B, None):
        with pytest.raises(TopicNotFound):
            engine.topic_repo.drop_topic(own.id, tenant)
    engine.topic_repo.drop_topic(own.id, TENANT_A)
    engine.topic_repo.drop_topic(everybody.id)
    assert engine.topic_repo.list_topics(TENANT_A) == []


def test_a_topic_made_anew_under_a_dropped_name_starts_at_offset_0_with_none_of_the_old_rows(engine: Engine) -> None:
    old = engine.topic_repo.register_topic(definition())
    engine.publisher.publish_scoped(old, None, batch_of([1]))
    engine.topic_repo.drop_topic(old.id)
    with pytest.raises(TopicNotFound):
        engine.publisher.publish_scoped(old, None, batch_of([2]))
    new = engine.topic_repo.register_topic(definition())
    # The old definition in hand means the topic of that name, as after a restart of the program.
    assert engine.publisher.publish_scoped(old, None, batch_of([3])).value == 0
    assert ids(engine.subscriber.replay_only(new, None, 0)) == [3]


def test_a_renamed_topic_is_still_reached_by_its_definition(engine: Engine) -> None:
    topic = engine.topic_repo.register_topic(definition("old_name"))
    engine.publisher.publish_scoped(topic, None, batch_of([1]))
    engine.session().execute("ALTER TOPIC old_name RENAME TO new_name")
    assert engine.publisher.publish_scoped(topic, None, batch_of([2])).value == 1
    assert engine.topic_repo.lookup_by_name("old_name") is None
    found = engine.topic_repo.lookup_by_name("new_name")
    assert found is not None
    assert ids(engine.subscriber.replay_only(found, None, 0)) == [1, 2]
