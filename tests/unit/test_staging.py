"""Rows that wait for their transaction: in memory, then in a file that nobody has to clear away."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from jammi_sql.engine.staging import Staged
from jammi_sql.errors import StoreIOError

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])


def batch_of(first: int, rows: int) -> pa.RecordBatch:
    numbers = range(first, first + rows)
    return pa.record_batch([pa.array(numbers), pa.array([f"row {number}" for number in numbers])], schema=SCHEMA)


def numbers(staged: Staged) -> list[int]:
    return [number for batch in staged.batches() for number in batch.column("number").to_pylist()]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("batches", [1, 2, 40])
def test_they_are_read_as_often_as_need_be(temporary: Path, batches: int) -> None:
    staged = Staged(SCHEMA)
    for number in range(batches):
        staged.add(batch_of(number * 30_000, 30_000))
    assert staged.rows == batches * 30_000
    for _ in range(2):
        assert numbers(staged) == list(range(batches * 30_000))
    staged.close()


def test_many_of_them_leave_no_file_even_when_the_process_is_killed(temporary: Path) -> None:
    staged = Staged(SCHEMA)
    for number in range(40):
        staged.add(batch_of(number * 30_000, 30_000))
    assert staged._file is not None
    assert list(temporary.iterdir()) == []
    last = list(staged.batches())[-1]
    staged.close()
    assert last.column("text")[-1].as_py() == "row 1199999"
    assert list(temporary.iterdir()) == []


def test_without_a_place_for_them_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    staged = Staged(SCHEMA)
    with pytest.raises(StoreIOError, match="no temporary file"):
        for number in range(40):
            staged.add(batch_of(number * 30_000, 30_000))
