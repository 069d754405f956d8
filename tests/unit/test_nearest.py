"""Finding nearest rows where arrays are in files and hashes collide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jammi_sql.arrow import nearest


def built(keys: list[pa.Array], times: pa.Array, chunk: int) -> nearest.Nearest:
    names = [*(str(place) for place in range(len(keys))), "t"]
    table = pa.table([*keys, times], names=names)
    order = [(name, "ascending") for name in names]
    builder = nearest.NearestBuilder(len(keys))
    for batch in table.sort_by(order).to_batches(max_chunksize=chunk):
        builder.add(batch)
    builder.end()
    return builder.build()


def naive(keys: list[list[Any]], times: list[Any], wanted: list[Any], time: Any) -> Any:
    found = [t for *key, t in zip(*keys, times, strict=True) if key == wanted and t <= time]
    return max(found, default=None)


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.decimal128(25, 2)])
@pytest.mark.parametrize("in_file", [True, False])
def test_what_is_kept_in_files_is_found(monkeypatch: pytest.MonkeyPatch, kind: pa.DataType, in_file: bool) -> None:
    if in_file:
        monkeypatch.setattr(nearest, "_IN_MEMORY", 100)
        monkeypatch.setattr(nearest, "_CHUNK", 7)
        monkeypatch.setattr(nearest, "_FEW", 0)
    random = np.random.default_rng(3)
    numbers = random.integers(0, 9, 400).tolist()
    keys = pa.array([number * 10**6 for number in numbers]).cast(kind)
    times = pa.array(random.integers(0, 500, 400) ** 3)
    found = built([keys], times, 13)
    assert isinstance(found.times, np.memmap) == in_file
    rows = sorted(set(zip(keys.to_pylist(), times.to_pylist(), strict=True)))
    asked = random.integers(-1, 510, 200) ** 3
    answers = found.find(">=", [keys.slice(0, 200)], pa.array(asked)).to_pylist()
    for key, time, row in zip(keys.to_pylist()[:200], asked.tolist(), answers, strict=True):
        assert (None if row is None else rows[row]) == (
            None if (t := naive([keys.to_pylist()], times.to_pylist(), [key], time)) is None else (key, t)
        )


def test_keys_whose_hashes_collide_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed, seeds = nearest._mixed, []

    def colliding(columns: Any, seed: int) -> Any:
        seeds.append(seed)
        words = mixed(columns, seed)
        return np.zeros_like(words) if seed == nearest._SEEDS[0] else words

    monkeypatch.setattr(nearest, "_mixed", colliding)
    keys = [pa.array(["a", "b", "c"]), pa.array([1, 2, 3])]
    found = built(keys, pa.array([5, 5, 5]), 10)
    assert found.find(">=", keys, pa.array([5, 4, 6])).to_pylist() == [0, None, 2]
    assert nearest._SEEDS[1] in seeds


def test_a_key_that_is_not_there_but_has_the_hash_of_one_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_mixed", lambda columns, seed: np.full(len(columns[0]), 7, np.uint64))
    found = built([pa.array(["a"])], pa.array([5]), 10)
    assert found.find(">=", [pa.array(["a", "b"])], pa.array([5, 5])).to_pylist() == [0, None]
