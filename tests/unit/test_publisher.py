"""What a publisher accepts, refuses and answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jammi_sql import Engine
from jammi_sql.errors import BatchSchemaMismatch, InvalidParameter, NotNullViolation, TopicNotFound
from jammi_sql.topics import DeliveredBatch, TopicDefinition
from tests.topic_support import SCHEMA, TENANT_A, batch_of, definition, ids, offsets, receive


class SetClock:
    """A clock that says what it was set to."""

    def __init__(self, *moments: datetime) -> None:
        self.moments = list(moments)

    def now_us(self) -> int:
        """The next moment; the last one stays."""
        moment = self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]
        return round(moment.timestamp() * 1e6)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path / "store") as engine:
        yield engine


@pytest.fixture
def topic(engine: Engine) -> TopicDefinition:
    return engine.topic_repo.register_topic(definition())


def replay(engine: Engine, topic: TopicDefinition) -> list[DeliveredBatch]:
    return engine.subscriber.replay_only(topic, None, 0)


ROWS = {"id": [1, 2], "kind": ["X", "Y"], "value": [0.5, None]}


class OnlyArray:
    """Speaks ``__arrow_c_array__`` and nothing else."""

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return batch_of([1, 2], ["X", "Y"], [0.5, None]).__arrow_c_array__(requested_schema)


def columns(**changed: pa.Array) -> pa.RecordBatch:
    """``ROWS`` as a batch, some columns replaced."""
    made = {"id": pa.array(ROWS["id"], pa.int64()), "kind": pa.array(ROWS["kind"]), "value": pa.array(ROWS["value"])}
    return pa.RecordBatch.from_pydict({**made, **changed})


ACCEPTED: dict[str, Callable[[], Any]] = {
    "the very schema": lambda: batch_of([1, 2], ["X", "Y"], [0.5, None]),
    "nullable fields without nulls": columns,
    "another order": lambda: columns().select(["value", "kind", "id"]),
    "large_string": lambda: columns(kind=pa.array(ROWS["kind"], pa.large_string())),
    "string_view": lambda: columns(kind=pa.array(ROWS["kind"], pa.string_view())),
    "a dictionary": lambda: columns(kind=pa.array(ROWS["kind"]).dictionary_encode()),
    "a dictionary of large_string": lambda: columns(kind=pa.array(ROWS["kind"], pa.large_string()).dictionary_encode()),
    "a slice": lambda: batch_of([0, 1, 2, 3], ["Z", "X", "Y", "Z"], [9.0, 0.5, None, 9.0]).slice(1, 2),
    "metadata on schema and fields": lambda: columns().replace_schema_metadata({"a": "b"}),
    "a table of two chunks": lambda: pa.Table.from_batches([columns().slice(0, 1), columns().slice(1)]),
    "a reader": lambda: pa.Table.from_batches([columns()]).to_reader(),
    "a pandas frame": lambda: pd.DataFrame({**ROWS, "value": pd.array(ROWS["value"], "Float64")}),
    "a polars frame": lambda: pl.DataFrame(ROWS),
    "an Arrow C array": OnlyArray,
}


@pytest.mark.parametrize("made", ACCEPTED.values(), ids=ACCEPTED)
def test_a_batch_of_the_same_columns_in_any_layout_is_stored_with_the_topics_schema(
    engine: Engine, topic: TopicDefinition, made: Callable[[], Any]
) -> None:
    subscription = engine.subscriber.subscribe(topic)
    assert engine.publisher.publish_scoped(topic, None, made()).value == 0
    for delivered in (receive(subscription, 1)[0], replay(engine, topic)[0]):
        assert delivered.batch.to_pydict() == ROWS
        assert delivered.batch.schema.equals(SCHEMA)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a narrower integer": (
        lambda: columns(id=pa.array([1, 2], pa.int32())),
        "column id of topic events.changes must be int64, the batch has int32",
    ),
    "a number for text": (
        lambda: columns(kind=pa.array([1, 2])),
        "column kind of topic events.changes must be string, the batch has int64",
    ),
    "bytes for text": (
        lambda: columns(kind=pa.array([b"X", b"Y"])),
        "column kind of topic events.changes must be string, the batch has binary",
    ),
    "an untyped null": (
        lambda: columns(value=pa.nulls(2)),
        "column value of topic events.changes must be double, the batch has null",
    ),
    "a column too few": (
        lambda: columns().select(["id", "kind"]),
        "the batch lacks column value (double) of topic events.changes",
    ),
    "a column too many": (lambda: columns(more=pa.array([1, 2])), "topic events.changes has no column more"),
    "another case": (
        lambda: columns().rename_columns(["ID", "kind", "value"]),
        "topic events.changes has no column ID",
    ),
    "a column twice": (
        lambda: pa.RecordBatch.from_arrays([*columns().columns, pa.array([1, 2])], names=["id", "kind", "value", "id"]),
        "the batch for topic events.changes has column id twice",
    ),
}


@pytest.mark.parametrize(("made", "message"), REFUSED.values(), ids=REFUSED)
def test_another_batch_is_refused_with_the_column_what_it_is_and_what_it_must_be(
    engine: Engine, topic: TopicDefinition, made: Callable[[], Any], message: str
) -> None:
    with pytest.raises(BatchSchemaMismatch) as caught:
        engine.publisher.publish_scoped(topic, None, made())
    assert (caught.value.message, caught.value.sqlstate) == (message, "42804")
    assert replay(engine, topic) == []


def test_a_null_in_a_not_null_column_is_23502_and_names_the_column(engine: Engine, topic: TopicDefinition) -> None:
    forged = pa.RecordBatch.from_arrays(
        [pa.array([1]), pa.array([None], pa.string()), pa.array([1.0])], schema=pa.schema(SCHEMA)
    )
    for batch in (columns(id=pa.array([1, None], pa.int64())), columns(kind=pa.array([None, "Y"])), forged):
        with pytest.raises(NotNullViolation, match=r"null in column (id|kind) of topic events\.changes") as caught:
            engine.publisher.publish_scoped(topic, None, batch)
        assert caught.value.sqlstate == "23502"
    assert replay(engine, topic) == []


@pytest.mark.parametrize(
    "empty", [batch_of([]), pl.DataFrame(schema={"id": pl.Int64, "kind": pl.String, "value": pl.Float64})]
)
def test_an_empty_batch_is_refused(engine: Engine, topic: TopicDefinition, empty: Any) -> None:
    with pytest.raises(InvalidParameter, match="empty batch") as caught:
        engine.publisher.publish_scoped(topic, None, empty)
    assert caught.value.hint
    assert engine.publisher.publish_scoped(topic, None, batch_of([1])).value == 0


@pytest.mark.parametrize("junk", [None, 1, "rows", [1, 2], {"id": [1]}, object()])
def test_what_is_no_arrow_data_is_refused(engine: Engine, topic: TopicDefinition, junk: object) -> None:
    with pytest.raises(InvalidParameter, match="not Arrow data"):
        engine.publisher.publish_scoped(topic, None, junk)


def test_a_topic_that_is_not_registered_is_not_found(engine: Engine) -> None:
    with pytest.raises(TopicNotFound, match="nowhere") as caught:
        engine.publisher.publish_scoped(definition("nowhere"), None, batch_of([1]))
    assert caught.value.sqlstate == "42P01"


NESTED = pa.schema(
    [
        pa.field("point", pa.struct([pa.field("x", pa.int64(), nullable=False)])),
        pa.field("items", pa.list_(pa.field("item", pa.int64(), nullable=False))),
    ]
)


def test_nested_fields_are_not_null_where_the_topic_says_so(engine: Engine) -> None:
    topic = engine.topic_repo.register_topic(definition("nested", schema=NESTED))

    def nested(x: int | None, item: int | None) -> pa.RecordBatch:
        return pa.RecordBatch.from_pydict(
            {
                "point": pa.array([{"x": x}], pa.struct([("x", pa.int64())])),
                "items": pa.array([[item]], pa.list_(pa.int64())),
            }
        )

    assert engine.publisher.publish_scoped(topic, None, nested(1, 2)).value == 0
    for batch in (nested(None, 2), nested(1, None)):
        with pytest.raises((NotNullViolation, BatchSchemaMismatch), match=r"point|items"):
            engine.publisher.publish_scoped(topic, None, batch)
    assert [one.batch.to_pylist() for one in replay(engine, topic)] == [[{"point": {"x": 1}, "items": [2]}]]


def test_every_value_comes_back_as_it_went_in(engine: Engine) -> None:
    zone = pa.timestamp("us", "Europe/Berlin")
    arrays = {
        "unsigned": pa.array([0, 2**64 - 1, None], pa.uint64()),
        "small": pa.array([-(2**63), 2**63 - 1, 0], pa.int64()),
        "float": pa.array([math.nan, -0.0, math.inf], pa.float64()),
        "exact": pa.array(["1.10", "-0.01", None], pa.string()).cast(pa.decimal128(38, 2)),
        "zone": pa.array([0, None, -1], zone),
        "vector": pa.array([[1.0, 2.0], None, [math.nan, -0.0]], pa.list_(pa.float32(), 2)),
        "deep": pa.array([[], [None, {"a": None}], None], pa.list_(pa.struct([("a", pa.list_(pa.string()))]))),
        "word": pa.array(["a", None, "a"]).dictionary_encode(),
        "raw": pa.array([b"", b"\0\xff", None], pa.binary()),
    }
    batch = pa.RecordBatch.from_pydict(arrays)
    topic = engine.topic_repo.register_topic(definition("types", schema=batch.schema))
    subscription = engine.subscriber.subscribe(topic)
    engine.publisher.publish_scoped(topic, None, batch)
    for delivered in (receive(subscription, 1)[0], replay(engine, topic)[0]):
        assert delivered.batch.schema.equals(batch.schema)
        # repr tells -0.0 from 0.0 and NaN from null, which equality does not.
        assert repr(delivered.batch.to_pydict()) == repr(batch.to_pydict())


def test_an_offset_says_when_its_batch_was_produced(engine: Engine, topic: TopicDefinition) -> None:
    before = datetime.now(UTC)
    offset = engine.publisher.publish_scoped(topic, TENANT_A, batch_of([1]))
    assert before - timedelta(seconds=1) < offset.produced_at < datetime.now(UTC) + timedelta(seconds=1)
    assert offset.produced_at.utcoffset() == timedelta(0)
    (delivered,) = engine.subscriber.replay_only_scoped(topic, TENANT_A, None, 0)
    assert (delivered.offset, delivered.produced_at, delivered.tenant) == (offset, offset.produced_at, TENANT_A)


def test_produced_at_never_falls_when_the_clock_jumps_back_also_over_a_truncate_and_a_restart(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    clock = SetClock(noon)
    moments: list[datetime] = []

    def publish(engine: Engine, moment: datetime) -> None:
        clock.moments = [moment]
        moments.append(engine.publisher.publish_scoped(topic, None, batch_of([1])).produced_at)

    with Engine.open(tmp_path, clock=clock) as engine:
        topic = engine.topic_repo.register_topic(definition())
        publish(engine, noon)
        publish(engine, noon - timedelta(hours=1))
        publish(engine, noon + timedelta(seconds=1))
        engine.session().execute("TRUNCATE TOPIC events.changes BEFORE 99")
        publish(engine, noon - timedelta(days=365))
    with Engine.open(tmp_path, clock=clock) as engine:
        publish(engine, noon - timedelta(days=1))
        publish(engine, noon + timedelta(seconds=2))
        assert [one.produced_at for one in engine.subscriber.replay_only(topic, None, 3)] == moments[3:]
    second, later = noon + timedelta(seconds=1), noon + timedelta(seconds=2)
    assert moments == [noon, noon, second, second, second, later]


def test_offsets_are_never_used_again_after_a_truncate_to_empty_and_a_restart(tmp_path: Path) -> None:
    topic = definition()
    with Engine.open(tmp_path) as engine:
        engine.topic_repo.register_topic(topic)
        for number in range(5):
            engine.publisher.publish_scoped(topic, None, batch_of([number]))
        engine.session().execute("TRUNCATE TOPIC events.changes BEFORE 5")
        assert engine.subscriber.replay_only(topic, None, 5) == []
    with Engine.open(tmp_path) as engine:
        assert engine.publisher.publish_scoped(topic, None, batch_of([5])).value == 5
        engine.session().execute("TRUNCATE TOPIC events.changes BEFORE 3")
        engine.session().execute("TRUNCATE TOPIC events.changes BEFORE 1000")
    with Engine.open(tmp_path) as engine:
        assert engine.publisher.publish_scoped(topic, None, batch_of([6])).value == 6


def test_many_threads_get_consecutive_offsets_in_commit_order(engine: Engine, topic: TopicDefinition) -> None:
    subscription = engine.subscriber.subscribe(topic)
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda number: engine.publisher.publish_scoped(topic, None, batch_of([number])).value, range(200))
        )
    assert sorted(answers) == list(range(200))
    by_offset = dict(zip(answers, range(200), strict=True))
    delivered = receive(subscription, 200)
    assert offsets(delivered) == list(range(200))
    assert ids(delivered) == [by_offset[offset] for offset in range(200)]
    assert ids(replay(engine, topic)) == ids(delivered)


def test_engines_that_publish_in_turn_into_one_topic_get_consecutive_offsets_and_times_that_do_not_fall(
    tmp_path: Path,
) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    moments = [noon, noon + timedelta(hours=1), noon, noon - timedelta(hours=1), noon + timedelta(hours=2), noon]
    clock = SetClock(noon)
    answers = []
    with Engine.open(tmp_path, clock=clock) as one, Engine.open(tmp_path, clock=clock) as other:
        topic = one.topic_repo.register_topic(definition())
        for number, (engine, moment) in enumerate(zip([one, other, one, one, other, one], moments, strict=True)):
            clock.moments = [moment]
            answers.append(engine.publisher.publish_scoped(topic, None, batch_of([number])))
        assert [answer.value for answer in answers] == list(range(6))
        assert [answer.produced_at for answer in answers] == [noon, *[moments[1]] * 3, *[moments[4]] * 2]
        assert [one.offset for one in replay(other, topic)] == answers


def test_an_offset_that_a_rollback_took_back_is_the_next_one(engine: Engine, topic: TopicDefinition) -> None:
    session = engine.session()
    for number in range(2):
        session.execute("BEGIN")
        session.execute("INSERT INTO events.changes VALUES (7, 'X', 1.0)")
        session.execute("ROLLBACK")
        assert engine.publisher.publish_scoped(topic, None, batch_of([number])).value == number
    assert ids(replay(engine, topic)) == [0, 1]


def test_one_bad_publish_among_many_fails_alone(engine: Engine, topic: TopicDefinition) -> None:
    gone = engine.topic_repo.register_topic(definition("gone"))
    engine.publisher.publish_scoped(gone, None, batch_of([0]))
    engine.topic_repo.drop_topic(gone.id)

    def publish(number: int) -> str:
        try:
            chosen = gone if number % 4 == 0 else topic
            engine.publisher.publish_scoped(chosen, None, batch_of([number]))
        except TopicNotFound:
            return "not found"
        return "published"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(publish, range(80)))
    assert outcomes == ["published" if number % 4 else "not found" for number in range(80)]
    assert sorted(ids(replay(engine, topic))) == [number for number in range(80) if number % 4]


def test_an_old_definition_publishes_after_a_column_was_added_with_null_in_it(
    engine: Engine, topic: TopicDefinition
) -> None:
    engine.publisher.publish_scoped(topic, None, batch_of([0]))
    engine.session().execute("ALTER TOPIC events.changes ADD COLUMN extra BIGINT")
    engine.publisher.publish_scoped(topic, None, batch_of([1]))
    altered = engine.topic_repo.lookup_by_name("events.changes")
    assert altered is not None
    engine.publisher.publish_scoped(
        topic, None, pa.RecordBatch.from_pydict({**batch_of([2]).to_pydict(), "extra": [7]}, schema=altered.schema)
    )
    with pytest.raises(BatchSchemaMismatch, match="lacks column extra"):
        engine.publisher.publish_scoped(altered, None, batch_of([3]))
    assert [one.batch.column("extra").to_pylist() for one in replay(engine, altered)] == [[None], [None], [7]]
