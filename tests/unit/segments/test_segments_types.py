"""Segments of every type: what a replay and a statement give is the same to the last bit before and after compaction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jammi_sql import Engine
from jammi_sql.topics import TopicDefinition
from jammi_sql.topics.segments.file import SegmentFile, write_file
from jammi_sql.topics.segments.segment import Segment, SegmentBatches
from jammi_sql.topics.segments.storage import SegmentStorage
from tests.storage_support import SCALARS, arrays, data_types, exact

THOROUGH = settings.get_current_profile_name() == "thorough"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine.open(tmp_path_factory.mktemp("types") / "store", compaction=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> SegmentStorage:
    return SegmentStorage.folder(tmp_path_factory.mktemp("files"))


def written(storage: SegmentStorage, batches: list[pa.RecordBatch], name: str = "t/file.parquet") -> Segment:
    """A segment of those batches, as the catalogue would have it."""
    rows = [batch.num_rows for batch in batches]
    lists = SegmentBatches.of(0, rows, list(range(len(rows))), [""] * len(rows))
    schema = batches[0].schema
    done = write_file(storage, name, lists, batches, schema)
    return Segment(
        1, 0, len(rows), 0, len(rows) - 1, 1, sum(rows), done.size, done.footer, name, done.encoded, lists.tenant_rows(), b""
    )  # fmt: skip


@given(data=st.data())
@settings(max_examples=400 if THOROUGH else 40, suppress_health_check=list(HealthCheck))
def test_a_file_gives_every_type_back_to_the_last_bit(storage: SegmentStorage, data: st.DataObject) -> None:
    # A dictionary of 16-bit floats loses the payload of a NaN wherever its values are taken, segment or not.
    kind = data.draw(st.sampled_from(SCALARS) | data_types(1).filter(lambda one: "values=halffloat" not in str(one)))
    parts = [data.draw(arrays(kind, data.draw(st.integers(1, 4)))) for _ in range(data.draw(st.integers(1, 3)))]
    schema = pa.schema([pa.field("x", kind, metadata={"k": "v"}), pa.field("n", pa.int64())], metadata={"own": "1"})
    batches = [
        pa.RecordBatch.from_arrays([part, pa.array(range(len(part)), pa.int64())], schema=schema) for part in parts
    ]
    segment = written(storage, batches)
    for start in range(len(batches)):
        file = SegmentFile(storage, segment, "t", schema, sum(batch.num_rows for batch in batches[:start]))
        for batch in batches[start:]:
            taken = file.take(batch.num_rows)
            taken.validate(full=True)
            assert taken.schema.equals(schema, check_metadata=True)
            assert exact(taken.column(0)) == exact(batch.column(0))
            assert taken.column(1).equals(batch.column(1))
        file.close()


UUID, JSON = pa.uuid(), pa.json_()
FAR = 2**62
FIXED: dict[str, Any] = {
    "date out of range": pa.array([-(2**31), 2**31 - 1, 0, None], pa.date32()),
    "date64": pa.array([0, 86_400_000, None, -86_400_000], pa.int64()).cast(pa.date64()),
    "date64 that is no day": pa.Array.from_buffers(pa.date64(), 1, [None, pa.py_buffer((1).to_bytes(8, "little"))]),
    "seconds": pa.array([0, 1, None, -1], pa.timestamp("s")),
    "seconds too many for milliseconds": pa.array([FAR, -FAR, None, 0], pa.timestamp("s", "UTC")),
    "nanoseconds": pa.array([2**63 - 1, -(2**63), None, 0], pa.timestamp("ns")),
    "time32 s": pa.array([0, 86_399, None, 5], pa.time32("s")),
    "duration": pa.array([2**63 - 1, -1, None, 0], pa.duration("us")),
    "interval": pa.array([(1, 2, 3), (-1, 0, 2**62), None, (0, 0, 0)], pa.month_day_nano_interval()),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2, 4], pa.int32()), pa.array(["a", None])),
    "runs of doubles": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 4], pa.int32()), [math.nan, -0.0, None]),
    "list view": pa.array([[1], [], None, [2, 3]], pa.list_view(pa.int32())),
    "dictionary": pa.array(["a", "b", None, "a"]).dictionary_encode(),
    "dictionary of nested values": pa.DictionaryArray.from_arrays([0, 1, None, 0], pa.array([[1], [None]])),
    "dictionary with a null in it": pa.DictionaryArray.from_arrays([0, 1, None, 0], pa.array(["a", None])),
    "dictionary of doubles": pa.array([1.0, math.nan, None, 9.0]).dictionary_encode(),
    "uuid": pa.ExtensionArray.from_storage(UUID, pa.array([b"\0" * 16, b"\xff" * 16, None, b"a" * 16], pa.binary(16))),
    "json": pa.ExtensionArray.from_storage(JSON, pa.array(['{"a": 1}', "null", None, "[]"])),
    "struct": pa.array([{"a": None, "b": [{"c": -0.0}]}, {"a": 1, "b": None}, None, {"a": 2, "b": []}]),
    "empty struct": pa.array([{}, None, {}, {}], pa.struct([])),
    "map": pa.array([[("k", 1)], [], None, [("a", None)]], pa.map_(pa.utf8(), pa.int64())),
    "fixed list of nothing": pa.array([[], None, [], []], pa.list_(pa.int8(), 0)),
    "fixed list": pa.array([[1.0, math.nan], None, [0.0, -0.0], [None, 1.0]], pa.list_(pa.float32(), 2)),
    "decimal256": pa.array([10**70, -(10**70), None, 0], pa.decimal256(76, 0)),
    "negative scale": pa.array([100, -100, None, 0], pa.decimal128(5, -2)),
    "views": pa.array(["x" * 40, "", None, "y"], pa.string_view()),
    "no values": pa.nulls(4),
    "bits": pa.array([True, False, None, True]),
    "large numbers": pa.array([2**64 - 1, 0, None, 1], pa.uint64()),
}


@pytest.mark.parametrize("name", FIXED)
def test_every_type_is_the_same_through_replay_and_sql(engine: Engine, name: str) -> None:
    column = FIXED[name]
    topic_name = "t_" + name.replace(" ", "_")
    schema = pa.schema([pa.field("x", column.type), pa.field("n", pa.int32(), nullable=False)])
    topic = engine.topic_repo.register_topic(TopicDefinition(topic_name, schema))
    numbers = pa.array(range(len(column)), pa.int32())
    batch = pa.RecordBatch.from_arrays([column, numbers], schema=schema)
    for part in (batch, batch.slice(0, 1), batch.slice(len(column) - 1)):
        engine.publisher.publish_scoped(topic, None, part)
    session = engine.session()
    statements = [
        f"SELECT * FROM {topic_name} ORDER BY _offset, _row_idx",
        f"SELECT x, _row_idx FROM {topic_name} WHERE n >= 1 ORDER BY _offset, _row_idx",
        f"SELECT n FROM {topic_name} WHERE x IS NULL ORDER BY _offset, n",
        f"SELECT _offset, count(*) FROM {topic_name} WHERE x IS NOT NULL GROUP BY 1 ORDER BY 1",
        f"SELECT x FROM subscribe('{topic_name}', until => 'latest') WHERE n = 0",
    ]

    def seen() -> list[Any]:
        found: list[Any] = []
        for one in engine.subscriber.replay_only(topic, None, 0):
            assert one.batch.schema.equals(schema)
            found.append((one.offset.value, one.produced_at, exact(one.batch.column(0)), exact(one.batch.column(1))))
        for statement in statements:
            try:
                table = session.execute(statement).fetch_arrow_table()
                found.append((str(table.schema), [exact(one) for one in map(_flat, table.columns)]))
            except Exception as error:  # a type that DataFusion does not know: then neither here nor there
                found.append(type(error))
        return found

    before = seen()
    assert session.execute(f"CALL jammi.compact('{topic_name}')").fetchall() == [(topic_name, 1, len(column) + 2)]
    assert seen() == before
    session.execute("SET jammi.pushdown = off")
    assert seen() == before


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)


CONDITIONS = [
    "x > 5", "x >= 5", "x < 5", "x <= 0.0", "x = 0", "x = -0.0", "x <> 1", "x = 'NaN'", "x <> 'NaN'", "x < 'NaN'",
    "x > 'Infinity'", "x IS NULL", "x IN (1, 7)", "x NOT IN (1, 7)", "NOT (x > 5)", "x BETWEEN -1 AND 1",
    "x > -0.0", "x < 0.0", "x IS DISTINCT FROM 'NaN'", "-x < 5", "d > 5", "s.y > 5", "l[1] > 5",
]  # fmt: skip


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()], ids=str)
def test_filters_on_numbers_that_are_none_find_what_they_find_in_the_log(engine: Engine, kind: Any) -> None:
    dtype = kind.to_pandas_dtype()
    fields = [
        ("x", kind),
        ("d", pa.dictionary(pa.int32(), pa.float64())),
        ("s", pa.struct([("y", kind)])),
        ("l", pa.list_(kind)),
    ]
    schema = pa.schema(fields)
    name = f"floats_{kind.bit_width}"
    topic = engine.topic_repo.register_topic(TopicDefinition(name, schema))

    def publish(values: list[float | None]) -> None:
        x = pa.array([None if value is None else dtype(value) for value in values], kind)
        indices = pa.array(range(len(x)), pa.int32())
        ends = pa.array(range(len(x) + 1), pa.int32())
        columns = [
            x,
            pa.DictionaryArray.from_arrays(indices, x.cast(pa.float64())),
            pa.StructArray.from_arrays([x], ["y"]),
            pa.ListArray.from_arrays(ends, x),
        ]
        engine.publisher.publish_scoped(topic, None, pa.RecordBatch.from_arrays(columns, schema=schema))

    session = engine.session()
    stretches: list[list[list[float | None]]] = [
        [[1.0, 2.0, math.nan]],
        [[-math.nan], [math.nan]],
        [[-0.0]],
        [[0.0], [None]],
        [[1.0, math.nan, -0.0, 0.0, None, math.inf, -math.inf, 7.0, -1.0]],
        [[np.nextafter(5, 6), 5.0, np.nextafter(5, 4)]],
    ]
    for stretch in stretches:
        for values in stretch:
            publish(values)
    statements = [f"SELECT _offset, _row_idx FROM {name} WHERE {one} ORDER BY 1, 2" for one in CONDITIONS]
    statements.append(f"SELECT min(x), max(x), count(x), count(*) FROM {name}")

    def run(statement: str) -> str:
        try:
            return str(session.execute(statement).fetchall())
        except Exception as error:
            return type(error).__name__

    before = [run(statement) for statement in statements]
    assert sum(one.startswith("[(") for one in before) >= len(before) - 4  # nearly all of them find something
    session.execute(f"CALL jammi.compact('{name}')")
    after = [run(statement) for statement in statements]
    assert dict(zip(statements, after, strict=True)) == dict(zip(statements, before, strict=True))


def test_statistics_are_left_out_where_a_nan_would_make_them_wrong(storage: SegmentStorage) -> None:
    plain, hidden = pa.array([1.0, 2.0]), pa.array([1.0, math.nan])
    columns = {"a": plain, "b": hidden, "c": hidden.dictionary_encode(), "d": pa.array([1, 2], pa.int8())}
    segment = written(storage, [pa.RecordBatch.from_pydict(columns)])
    with storage.open(segment.path) as file:
        group = pq.read_metadata(file).row_group(0)
    has = {group.column(index).path_in_schema: group.column(index).statistics for index in range(group.num_columns)}
    assert segment.encoded == ("c",)  # read by this package alone, which uses no statistics of the file
    assert {name for name in "abd" if has[name] is not None and has[name].has_min_max} == {"a", "d"}


def test_bloom_filters_are_made_where_they_cost_little(storage: SegmentStorage) -> None:
    count = 4000
    few, many = [f"a rather long text {i % 20}" for i in range(count)], [f"{i}" for i in range(count)]
    long = [f"{i}" * 20 for i in range(count)]
    batch = pa.RecordBatch.from_pydict(
        {
            "few": few,
            "many": many,
            "long": long,
            "bytes": [text.encode() for text in few],
            "numbers": list(range(count)),
            "none": pa.nulls(count, pa.utf8()),
        }
    )
    segment = written(storage, [batch])
    with storage.open(segment.path) as file:
        group = pq.read_metadata(file).row_group(0)
        columns = {group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)}
    has = {name for name, column in columns.items() if column.to_dict().get("bloom_filter_offset") is not None}
    if not has:
        pytest.skip("this pyarrow does not tell where bloom filters are")
    assert has == {"few", "long", "bytes"}


def test_dictionaries_too_small_for_many_batches_together_come_back_as_they_were(tmp_path: Path) -> None:
    schema = pa.schema([("d", pa.dictionary(pa.int8(), pa.string())), ("n", pa.int64())])
    topic = TopicDefinition("narrow", schema)
    with Engine.open(tmp_path / "store", compaction=False) as engine:
        engine.topic_repo.register_topic(topic)
        batches = [
            pa.record_batch(
                [
                    pa.array([f"value {number * 50 + place}" for place in range(50)] + [None]).dictionary_encode()
                    .cast(schema.field("d").type),
                    pa.array(range(51)),
                ],
                schema=schema,
            )
            for number in range(20)
        ]  # fmt: skip
        for batch in batches:
            engine.publisher.publish_scoped(topic, None, batch)
        session = engine.session()
        query = (
            "SELECT count(*), sum(n) FROM narrow"  # of the texts together DataFusion makes such a dictionary neither
        )
        before = session.execute(query).fetchall()
        assert session.execute("CALL jammi.compact('narrow')").fetchall() == [("narrow", 1, 20 * 51)]
        replayed = [one.batch for one in engine.subscriber.replay_only(topic, None, 0)]
        assert [one.schema for one in replayed] == [schema] * 20
        assert [one.to_pylist() for one in replayed] == [one.to_pylist() for one in batches]
        assert session.execute(query).fetchall() == before


def test_a_name_with_a_dot_is_no_part_of_the_column_beside_it(storage: SegmentStorage) -> None:
    columns = {
        "a": pa.array([{"b": 1, "c": "x"}, None] * 50),
        "a.b": pa.array(range(100), pa.int64()),
        "a.d": pa.array([f"text {number}" for number in range(100)]),
        "l": pa.array([[1, 2], []] * 50, pa.list_(pa.int64())),
        "l.list.element": pa.array(range(100), pa.int64()),
        "l.": pa.array(range(100), pa.float64()),
    }
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    file = SegmentFile(storage, written(storage, [batch]), "t", batch.schema, 0)
    assert file.take(100).equals(batch)
    file.close()
