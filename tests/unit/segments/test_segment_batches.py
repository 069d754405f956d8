"""Which batches are in a segment, and what its ranges rule out: the first and the last of everything count."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jammi_sql.arrow.filter import compile_filter
from jammi_sql.arrow.ipc import checksum
from jammi_sql.arrow.ranges import encode_ranges
from jammi_sql.errors import DataCorrupted
from jammi_sql.topics.relation import relation_schema
from jammi_sql.topics.retention import parse_age
from jammi_sql.topics.segments.catalog import SegmentCatalog
from jammi_sql.topics.segments.reader import SegmentReader
from jammi_sql.topics.segments.segment import Segment, SegmentBatches
from jammi_sql.topics.segments.storage import SegmentStorage

BATCHES = SegmentBatches.of(10, [1, 2, 3], [100, 100, 200], ["", "a", ""])
ROWS = pa.record_batch({"id": pa.array(range(300), pa.int64())})
SEGMENT = Segment(1, 10, 13, 100, 200, 1, 6, 1, 1, "path", (), {"": 4, "a": 2}, encode_ranges(ROWS))


@pytest.mark.parametrize(
    ("start", "moment", "visible", "expected"),
    [
        (10, 0, None, 10), (10, 100, None, 10), (11, 100, None, 11), (10, 101, None, 12), (10, 200, None, 12),
        (10, 201, None, None), (13, 0, None, None), (10, 100, ("a",), 11), (12, 100, ("a",), None), (11, 100, ("",), 12),
        (10, 100, ("b",), None), (12, 0, None, 12),
    ],
)  # fmt: skip
def test_the_first_batch_since_a_moment(
    start: int, moment: int, visible: tuple[str, ...] | None, expected: int | None
) -> None:
    assert BATCHES.first_since(start, moment, visible) == expected


@pytest.mark.parametrize(
    ("start", "end", "rows"), [(10, 13, 6), (11, 12, 2), (0, 10, 0), (0, 11, 1), (5, 9, 0), (13, 20, 0), (12, 99, 3)]
)
def test_the_rows_between_two_offsets(start: int, end: int, rows: int) -> None:
    assert BATCHES.rows_between(start, end) == rows


def test_the_batches_between_two_offsets_end_with_the_segment() -> None:
    assert list(BATCHES.between(11, 99)) == [(11, 2, 100, "a"), (12, 3, 200, "")]
    assert list(BATCHES.between(10, 11)) == [(10, 1, 100, "")]
    assert list(BATCHES.between(13, 99)) == []
    assert BATCHES.end == 13
    assert BATCHES.tenant_rows() == {"": 4, "a": 2}


def test_a_list_of_batches_that_does_not_fit_its_segment_is_damage() -> None:
    data = BATCHES.encode()
    found = SegmentBatches.decode(data, checksum(data), SEGMENT)
    assert list(found.between(10, 13)) == list(BATCHES.between(10, 13))
    for segment in (replace(SEGMENT, end=14), replace(SEGMENT, end=12), replace(SEGMENT, row_count=7)):
        with pytest.raises(DataCorrupted):
            SegmentBatches.decode(data, checksum(data), segment)
    with pytest.raises(DataCorrupted):
        SegmentBatches.decode(data, checksum(data) + 1, SEGMENT)


def _at(microseconds: int) -> pa.Scalar:
    return pa.scalar(microseconds, pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (pc.field("_offset") == 10, True), (pc.field("_offset") == 12, True),
        (pc.field("_offset") == 9, False), (pc.field("_offset") == 13, False),
        (pc.field("_produced_at") == _at(100), True), (pc.field("_produced_at") == _at(200), True),
        (pc.field("_produced_at") == _at(99), False), (pc.field("_produced_at") == _at(201), False),
        (pc.field("id") == 299, True), (pc.field("id") == 300, False),
    ],
)  # fmt: skip
def test_a_segment_is_left_out_only_where_none_of_its_rows_can_match(condition: pc.Expression, expected: bool) -> None:
    reader = SegmentReader(cast("SegmentCatalog", None), cast("SegmentStorage", None))
    node = compile_filter(condition, relation_schema(ROWS.schema)).node
    assert reader.can_match(SEGMENT, node, lambda version: ROWS.schema) is expected


def test_the_shortest_age_is_a_microsecond() -> None:
    assert parse_age("1 microsecond", "retention") == 1
