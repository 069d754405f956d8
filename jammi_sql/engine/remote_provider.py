"""What attached databases hold, as relations that DataFusion scans."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ..arrow.dataset import LazyDataset
from ..arrow.filter import Filter, compile_filter
from ..errors import FeatureNotSupported
from ..federation.cut import Pushed
from ..federation.dialects import DIALECTS, CommonDialect, Dialect
from ..federation.said import NotSaid
from ..federation.select import Select
from ..federation.wanted import expression_of
from ..sources.relation import RemoteColumn, RemoteRelation
from ..sources.source import Check, RemoteScan, Source
from .planning import Planning

__all__ = ["PushedProvider", "RemoteProvider", "SourceProvider", "TextProvider", "dialect_of", "provider_of"]

_LARGE = 100_000
"""Rows from which a table is read in several shares."""


@dataclass(frozen=True, slots=True)
class _Scan:
    """What one statement reads."""

    open: Callable[[int], RemoteScan]
    """The scan in which a part is to be read: another one each time, since a recursive query reads its tables again and
    again."""
    parts: int
    wanted: Filter | None
    needed: tuple[str, ...]


class SourceProvider(LazyDataset):
    """Reads from a source. A filter is applied here, whatever the source was told of it: that costs little, and no row
    depends on the two being alike."""

    def __init__(self, source: Source, schema: pa.Schema, planning: Planning) -> None:
        super().__init__(schema)
        self.source = source
        self._planning = planning
        self._counting = threading.Lock()
        self.sent: Sequence[str] = ()
        """The statements that were planned last, for EXPLAIN."""
        self.expected: float | None = None
        """Rows that are expected."""
        self.rows = 0
        """Rows that came."""
        self.seconds = 0.0
        """Time spent waiting for them, added up over what is read at once."""

    def _scan(self, texts: Sequence[str], schema: pa.Schema, check: Check) -> RemoteScan:
        return self.source.scan(texts, schema, check)

    def texts(self, needed: Sequence[str], wanted: Filter | None) -> Sequence[str]:
        """The statements to send, whose columns are ``needed`` (one column of no meaning, where that is empty)."""
        raise NotImplementedError

    def shown(self, name: str) -> str:
        """What a message calls a column."""
        return name

    def plan(self, columns: Sequence[str] | None, filter: pc.Expression | None) -> _Scan:  # noqa: A002
        planning = Planning.current() or self._planning
        wanted = None if filter is None else compile_filter(filter, self._schema)
        names = self._schema.names if columns is None else columns
        needed = tuple(
            name for name in self._schema.names if name in names or (wanted is not None and name in wanted.columns)
        )
        texts = self.sent = self.texts(needed, wanted)
        fields = [self._schema.field(name).with_name(self.shown(name)) for name in needed]
        schema = pa.schema(fields or [pa.field("c0", pa.int64())])
        scans: list[RemoteScan] = []
        times = [0] * len(texts)
        lock = threading.Lock()

        def opened(part: int) -> RemoteScan:
            with lock:
                if times[part] == len(scans):
                    if scans:
                        scans[-1].close()  # one round is over before the next begins
                    scans.append(self._scan(texts, schema, planning.check))
                    planning.at_end(scans[-1].close)
                found = scans[times[part]]
                times[part] += 1
            return found

        return _Scan(opened, len(texts), wanted, needed)

    def partitions(self, scan: _Scan) -> int:
        return scan.parts

    def produce(
        self,
        scan: _Scan,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        names = self._schema.names if columns is None else list(columns)
        schema = pa.schema([self._schema.field(name) for name in scan.needed])
        for received in self._timed(scan.open(partition).stream(partition)):
            # Without columns, one without meaning told how many rows there are; a filter may be a constant.
            batch = pa.RecordBatch.from_arrays(received.columns, schema=schema) if scan.needed else received.select([])
            kept = batch if scan.wanted is None else scan.wanted.apply(batch)
            if kept.num_rows:
                yield kept if list(scan.needed) == names else kept.select(names)

    def _told(self, select: Select, wanted: Filter | None, places: Sequence[int]) -> Sequence[str]:
        """The statements for ``select``, which is told what can be said of a filter."""
        if wanted is not None:
            types = [column.type for column in select.columns]
            for part in expression_of(wanted.node, self._schema.names, types):
                try:
                    select = select.filter(part)
                except NotSaid:
                    continue  # it is applied here
        self.expected = select.rows
        return shares(self.source, select, places)

    def _timed(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            with self._counting:
                self.seconds += time.perf_counter() - began
                self.rows += 0 if batch is None else batch.num_rows
            if batch is None:
                return
            yield batch


class RemoteProvider(SourceProvider):
    """A table or view of a source. Columns and what can be said of a filter are asked of the source."""

    def __init__(
        self,
        source: Source,
        relation: RemoteRelation,
        dialect: Dialect,
        planning: Planning,
        *,
        pushes: Callable[[], bool],
    ) -> None:
        super().__init__(source, remote_schema(relation), planning)
        self.relation = relation
        self._dialect = dialect
        self._pushes = pushes

    def texts(self, needed: Sequence[str], wanted: Filter | None) -> Sequence[str]:
        places = [self._schema.names.index(name) for name in needed]
        check_readable(self.relation.columns[place] for place in places)
        select = Select.of(self._dialect, self.relation, range(len(self.relation.columns)), Select.numbering())
        if not self._pushes():
            self.expected = select.rows
            return [select.text(places)]
        return self._told(select, wanted, places)


class PushedProvider(SourceProvider):
    """A part of a plan that a source computes."""

    def __init__(self, source: Source, select: Select, schema: pa.Schema, planning: Planning) -> None:
        super().__init__(source, schema, planning)
        self.select = select

    def shown(self, name: str) -> str:
        column = self.select.columns[self._schema.names.index(name)].column
        return name if column is None else column.name

    def texts(self, needed: Sequence[str], wanted: Filter | None) -> Sequence[str]:
        places = [self._schema.names.index(name) for name in needed]
        check_readable(self.select.columns[place].column for place in places)
        return self._told(self.select, wanted, places)

    def begin(self, check: Check) -> Iterator[pa.RecordBatch]:
        """All rows, to be read by this thread, which ``check`` is for; the source begins at once."""
        names = self._schema.names
        texts = self.sent = [self.select.text(range(len(names)))]
        self.expected = self.select.rows
        scan = self._scan(texts, pa.schema([field.with_name(self.shown(field.name)) for field in self._schema]), check)
        self._planning.at_end(scan.close)
        batches = self._timed(scan.stream(0))
        return (pa.RecordBatch.from_arrays(batch.columns, schema=self._schema) for batch in batches)

    def anew(self) -> PushedProvider:
        """The same, of which nothing was read."""
        return PushedProvider(self.source, self.select, self._schema, self._planning)


class TextProvider(SourceProvider):
    """The rows of a query in the source's own dialect, which is sent as it is."""

    def __init__(self, source: Source, text: str, columns: tuple[RemoteColumn, ...], planning: Planning) -> None:
        self.relation = RemoteRelation("", "", "view", columns)
        super().__init__(source, remote_schema(self.relation), planning)
        self._text = text.strip().removesuffix(";")

    def _scan(self, texts: Sequence[str], schema: pa.Schema, check: Check) -> RemoteScan:
        return self.source.scan(texts, schema, check, of_a_user=True)

    def texts(self, needed: Sequence[str], wanted: Filter | None) -> Sequence[str]:
        places = [self._schema.names.index(name) for name in needed]
        check_readable(self.relation.columns[place] for place in places)
        select = Select.of_text(dialect_of(self.source), self._text, self.relation.columns)
        return [select.text(places)]


def provider_of(planning: Planning, part: Pushed) -> PushedProvider:
    """What reads a relation that a source computes."""
    source = next(table.source for path, table in planning.remote.items() if path[0] == part.source)
    return PushedProvider(source, part.select, part.schema, planning)


def shares(source: Source, select: Select, places: Sequence[int]) -> list[str]:
    """The statement, or several that part its rows, to be read at once."""
    if select.table is not None and (select.rows or 0) >= _LARGE:
        alias, relation = select.table
        conditions = source.partitions(relation, alias, os.cpu_count() or 1)
        if len(conditions) > 1:
            return [select.text(places, (condition,)) for condition in conditions]
    return [select.text(places)]


def dialect_of(source: Source) -> Dialect:
    """The dialect of a source; the common one where it has none that is known."""
    return DIALECTS.get(source.dialect or "") or CommonDialect(source.quote)


def remote_schema(relation: RemoteRelation) -> pa.Schema:
    """The columns of a relation as they are here. Keys and NOT NULL are the source's own business: nothing here checks
    them, so that nothing relies on them."""
    return pa.schema([pa.field(column.name, column.type) for column in relation.columns])


def check_readable(columns: Iterable[RemoteColumn | None]) -> None:
    """``FeatureNotSupported`` where one of the columns cannot be read; ``None`` is one that was computed."""
    for column in columns:
        if column is not None and column.unreadable is not None:
            raise FeatureNotSupported(
                f"column {column.name} ({column.declared}) cannot be read: {column.unreadable}",
                hint="leave it out, or cast it in remote_query('source', 'SELECT ...')",
            )
