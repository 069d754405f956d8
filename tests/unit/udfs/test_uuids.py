"""UUIDs that sort by time."""

from __future__ import annotations

import importlib
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jammi_sql.engine.functions import shipped_functions

FUNCTIONS = {function.name: function for function in shipped_functions()}
MADE = "uuid7()"


def make(count: int) -> list[str]:
    made: list[str] = FUNCTIONS["uuid7"](pa.nulls(count, pa.float64())).to_pylist()
    return made


def test_each_row_gets_its_own_uuid_of_version_7(sql: Any) -> None:
    made = [text for (text,) in sql.rows(f"SELECT {MADE} FROM generate_series(1, 20000)")]
    assert len(set(made)) == 20000
    for text in made[:: len(made) // 50]:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, text)


def test_two_calls_in_a_row_of_values_differ(sql: Any) -> None:
    ((first, second),) = sql.rows(f"SELECT {MADE} AS a, {MADE} AS b")
    assert first != second


def test_uuids_of_a_process_rise_within_and_across_calls() -> None:
    made = [text for count in (1, 500, 1, 1, 3) for text in make(count)]
    assert made == sorted(set(made))


def test_uuids_rise_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = make(3)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    after = make(3)
    assert before + after == sorted(set(before + after))


def test_uuids_rise_when_the_counter_of_a_millisecond_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("jammi_sql.udfs.uuids")
    sequence = module._Sequence()
    last = (1 << 88) | ((1 << 42) - 3)
    monkeypatch.setattr(sequence, "_newest", last)
    millisecond, counter = sequence.reserve(5)
    assert (millisecond, counter) == ((last >> 42) + 1, 0)
    assert sequence.reserve(1) == (millisecond, 5)


def test_no_uuid_is_made_twice_by_threads_at_once() -> None:
    made: list[list[str]] = []
    threads = [threading.Thread(target=lambda: made.append(make(5000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({text for part in made for text in part}) == 20000
    assert all(part == sorted(part) for part in made)


def test_a_uuid_holds_the_time_at_which_it_was_made(sql: Any) -> None:
    before = time.time_ns() // 1_000_000
    made = sql.value(f"uuid_timestamp({MADE})")
    after = time.time_ns() // 1_000_000
    # the process may have run ahead of the clock by other tests' counters, never by more than a few milliseconds
    assert before <= round(made.timestamp() * 1000) <= after + 5


# RFC 9562, appendix A: the same moment in three versions
@pytest.mark.parametrize(
    "text",
    [
        "C232AB00-9414-11EC-B3C8-9F6BDECED846",
        "1EC9414C-232A-6B00-B3C8-9F6BDECED846",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    ],
)
def test_the_examples_of_the_rfc_are_read(sql: Any, text: str) -> None:
    assert sql.value("uuid_timestamp(u)", u=text) == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x",
        "919108f7-52d1-4320-9bac-f847db4148a8",  # version 4
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "017F22E2-79B0-7CC3-18C4-DC0C0C07398F",  # another variant
        "017F22E279B07CC398C4DC0C0C07398F",
        "{017F22E2-79B0-7CC3-98C4-DC0C0C07398F}",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F\n",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398G",
        "017F22E2-79B0-7CC3-98C4-DC0C0C0739ü",
    ],
)
def test_other_versions_and_malformed_text_have_no_time(sql: Any, text: str | None) -> None:
    assert sql.value("uuid_timestamp(CAST(u AS VARCHAR))", u=text) is None


def test_a_column_may_mix_all_of_them(sql: Any) -> None:
    known = "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"
    moment = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert sql.column("uuid_timestamp(u)", u=["x", known, None, known]) == [None, moment, None, moment]


@given(st.lists(st.uuids(version=1) | st.uuids(), max_size=5), st.integers(0, 2**48 - 1))
def test_times_agree_with_the_standard_library(uuids: list[uuid.UUID], millisecond: int) -> None:
    seven = uuid.UUID(int=millisecond << 80 | 0x7 << 76 | 0b10 << 62)
    texts = [str(one) for one in [*uuids, seven]]
    found = FUNCTIONS["uuid_timestamp"](pa.array(texts)).cast(pa.int64()).to_pylist()
    expected = [(one.time - 0x01B21DD213814000) // 10 if one.version == 1 else None for one in uuids]
    six_and_seven = [one.version in (6, 7) for one in uuids]
    assert [value for value, skip in zip(found[:-1], six_and_seven, strict=True) if not skip] == [
        value for value, skip in zip(expected, six_and_seven, strict=True) if not skip
    ]
    assert found[-1] == millisecond * 1000
