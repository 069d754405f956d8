"""What ``information_schema`` lists of the engine's own catalog.

DataFusion asks for the names of each schema and then for each relation by itself, to see its columns, on a thread of its
own while the query runs. To look each of them up costs three statements of the store; here all are looked up at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from ..arrow.dataset import LazyDataset
from ..errors import InternalError
from ..topics.remembered import Remembered

__all__ = ["ListedRelation", "Listing"]

_THREADS = 64

Columns = Mapping[str, Mapping[str, pa.Schema]]
"""The columns of relations, by schema and name."""


class _Listed:
    """What a thread looked up and has not asked for yet."""

    __slots__ = ("columns", "found", "namespaces")

    def __init__(self, found: Columns) -> None:
        self.found = dict(found)
        self.namespaces: list[str] = []  # those that were listed, the last one last
        self.columns: dict[str, pa.Schema] = {}  # of that one


class Listing:
    """Relations as of one moment, for the thread that lists them. Each is handed out once: so nothing old is left.

    ``find`` looks all of them up.
    """

    def __init__(self, find: Callable[[], Columns]) -> None:
        self._find = find
        # Not a threading.local: of a thread that is not Python's own it is empty again at the next call.
        self._listed: Remembered[int, _Listed | None] = Remembered(_THREADS)

    def begin(self) -> None:
        """Somebody begins to list: what was looked up before counts no more."""
        self._listed[threading.get_ident()] = None

    def names(self, namespace: str) -> list[str]:
        """The relations of a schema, whose columns can be asked for once by this thread."""
        thread = threading.get_ident()
        listed = self._listed.get(thread)
        if listed is None or namespace in listed.namespaces:
            listed = self._listed[thread] = _Listed(self._find())
        listed.namespaces.append(namespace)
        listed.columns = dict(listed.found.pop(namespace, {}))
        return sorted(listed.columns)

    def relation(self, namespace: str, name: str) -> ListedRelation | None:
        """One of the relations that were named last, the first time that it is asked for; else ``None``."""
        listed = self._listed.get(threading.get_ident())
        if listed is None or listed.namespaces[-1:] != [namespace] or name not in listed.columns:
            return None
        return ListedRelation(listed.columns.pop(name))


class ListedRelation(LazyDataset):
    """A relation of which nothing but the columns is looked at."""

    def plan(self, columns: Any, filter: Any) -> Any:  # noqa: A002
        raise InternalError("a relation that is only listed was read")
