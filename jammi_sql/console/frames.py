"""Data frames, which the console does without."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

__all__ = ["leave_out"]

_LIBRARIES = frozenset({"pandas", "polars"})


def leave_out() -> None:
    """Make pandas and polars as if they were not installed, for a process that makes no frames.

    Where they are, pyarrow and ADBC import them to offer conversions: half of the time until the first prompt.
    """
    sys.meta_path.insert(0, _Absent())


class _Absent(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname in _LIBRARIES:
            raise ModuleNotFoundError(f"{fullname} is left out of the console", name=fullname)
