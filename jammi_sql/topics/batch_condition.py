"""Which batches have anything for a live statement."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence

import pyarrow as pa

from ..arrow.filter import Filter
from .predicate import Predicate

__all__ = ["BatchCondition"]


class BatchCondition(Predicate):
    """Leaves out the batches in which no row fulfils a filter, and leaves the others whole, for the statement to filter.

    It has but to be right about what it leaves out: a batch of which the kernels cannot tell is not. It spares a crowd
    to be woken; for a few it would be a second evaluation.
    """

    __slots__ = ("_filter",)

    def __init__(self, condition: Filter) -> None:
        super().__init__("", condition, None, None)
        self._filter = condition

    @classmethod
    def of(cls, condition: Filter, schema: pa.Schema) -> BatchCondition:
        """The one for ``condition`` over columns of ``schema``; equal ones are one object, as with ``Predicate``."""
        key = (repr(condition.node), condition, schema)  # by its text too, in which -0.0 is not 0.0
        with _known_lock:
            known = _known.get(key)
            if known is None:
                known = _known[key] = cls(condition)
            return known

    @property
    def optional(self) -> bool:
        """The statement filters what it gets."""
        return True

    @property
    def quick(self) -> bool:
        """It is kernels alone."""
        return True

    @property
    def matches_all(self) -> bool:
        """It does not."""
        return False

    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """True, false or null for each row."""
        return self._filter.mask(batch)

    def select(self, batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch | None]:
        """Each batch, ``None`` for one without a matching row."""
        return [batch if self._touches(batch) else None for batch in batches]

    def _touches(self, batch: pa.RecordBatch) -> bool:
        try:
            return self.mask(batch).true_count > 0
        except Exception:  # whatever it is: the statement runs into it, or does otherwise
            return True


_known: weakref.WeakValueDictionary[tuple[str, Filter, pa.Schema], BatchCondition] = weakref.WeakValueDictionary()
_known_lock = threading.Lock()
