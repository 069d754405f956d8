"""Data frames, which the console does without."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

__all__ = ["leave_out"]

_LIBRARIES = frozenset({"pandas", "polars"})


def leave_out() -> None:
    """Make pandas and polars as if they were not installed, for a process that makes no frames.

    Where they are, pyarrow and ADBC import them to offer conversions: half of the time until the first prompt.
    """
    sys.meta_path.insert(0, _Absent())


class _Absent:
    """A finder of modules; no subclass of ``importlib.abc``'s, which takes longer to import than ``--help`` may last."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname in _LIBRARIES:
            raise ModuleNotFoundError(f"{fullname} is left out of the console", name=fullname)
