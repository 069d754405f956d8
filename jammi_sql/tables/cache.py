"""Arrow snapshots of tables, so that a scan which is repeated does not read the store again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

__all__ = ["TableCache"]

Key = tuple[int, str]
"""A table's number, and whose rows: a tenant, '' for none."""


@dataclass(slots=True)
class _Entry:
    version: int
    lengths: tuple[int, ...] = ()
    columns: dict[str, list[pa.Array]] = field(default_factory=dict)
    size: int = 0
    filtered: int = 0


class TableCache:
    """Columns of tables at a data version, within a budget of bytes; what was not used the longest gives way.

    A column is a list of arrays, cut alike for all columns of an entry. A version that is newer replaces the older one.
    Safe for threads.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: Key, version: int, columns: Sequence[str]) -> list[list[pa.Array]] | None:
        """The columns, if all are there at that very version; a list for each batch."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.version != version or not entry.columns.keys() >= set(columns):
                return None
            self._entries.move_to_end(key)
            chosen = [entry.columns[name] for name in columns]
            return [[column[index] for column in chosen] for index in range(len(entry.lengths))]

    def repeats(self, key: Key, version: int) -> bool:
        """Note that a filter read the table; whether one did at this version before."""
        with self._lock:
            entry = self._entry(key, version)
            if entry is None:
                return False
            entry.filtered += 1
            return entry.filtered > 1

    def put(self, key: Key, version: int, columns: Mapping[str, Sequence[pa.Array]]) -> None:
        """Keep whole columns, each in the same batches."""
        lengths = tuple(len(array) for array in next(iter(columns.values())))
        sizes = {name: sum(array.get_total_buffer_size() for array in arrays) for name, arrays in columns.items()}
        with self._lock:
            entry = self._entry(key, version)
            if entry is None or sum(sizes.values()) > self.budget:
                return
            if not entry.columns:
                entry.lengths = lengths
            if entry.lengths != lengths:  # another driver's batches
                return
            for name, arrays in columns.items():
                if name not in entry.columns:
                    entry.columns[name] = list(arrays)
                    self._size += sizes[name]
                    entry.size += sizes[name]
            self._entries.move_to_end(key)
            while self._size > self.budget:
                _, oldest = self._entries.popitem(last=False)
                self._size -= oldest.size

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._size = 0

    def _entry(self, key: Key, version: int) -> _Entry | None:
        """The entry of that version, made anew over an older one; ``None`` where there is a newer one."""
        entry = self._entries.get(key)
        if entry is not None and entry.version > version:
            return None
        if entry is None or entry.version < version:
            if entry is not None:
                self._size -= entry.size
            entry = self._entries[key] = _Entry(version)
        return entry
