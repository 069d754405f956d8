"""Cursors: statements run on a connection, and their results read as rows or Arrow data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import pyarrow as pa

from ..arrow.batches import as_reader
from ..errors import ConnectionClosed, InvalidParameter, NotSupportedError, ProgrammingError, UnboundedResult
from ..results import Result
from .buffer import RowBuffer
from .parameters import bind, bind_many
from .port import IngestMode, SessionPort
from .values import rows

if TYPE_CHECKING:
    import pandas
    import polars

    from .connection import Connection

__all__ = ["ArrowStream", "Cursor"]

Description = list[tuple[str, pa.DataType, None, None, None, None, None]]

_INGEST_MODES: tuple[IngestMode, ...] = ("append", "create", "replace", "create_append")
_READ_LIVE = "add until => 'latest', LIMIT or idle_timeout, or iterate, or use fetch_record_batch()"


class ArrowStream:
    """What ``fetch_arrow`` returns: Arrow data that can be taken once, through ``__arrow_c_stream__``."""

    __slots__ = ("_reader",)

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader: pa.RecordBatchReader | None = reader

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as an ``arrow_array_stream`` capsule."""
        if self._reader is None:
            raise ProgrammingError("the result has been read already", sqlstate="24000")
        reader, self._reader = self._reader, None
        capsule: object = reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]
        return capsule


class Cursor:
    """A PEP 249 cursor with ADBC's extensions; ``Connection.cursor()`` makes it.

    A cursor belongs to one thread at a time; ``adbc_cancel`` and ``close`` may come from any. Reading an unbounded
    result (a ``subscribe`` that never ends) with a method that has to see the end raises ``UnboundedResult`` at once,
    all others give what has arrived.
    """

    __module__ = "adbc_driver_jammi.dbapi"  # as Connection's, see there

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._closed = False
        self._calling = False  # whether the session is busy with a call of this cursor
        self._schema: pa.Schema | None = None
        self._buffer: RowBuffer | None = None
        self._bounded = True
        self._rowcount = -1
        self._rownumber = 0
        self.arraysize = 1

    def __repr__(self) -> str:
        return f"<jammi_sql.Cursor {'closed' if self._closed else 'open'}>"

    # --- running ------------------------------------------------------------------------------------

    def execute(self, operation: str, parameters: object = None, *, stdin: object = None) -> Self:
        """Run one statement and return this cursor.

        ``parameters``: a sequence for ``?`` and ``$1``, a mapping for ``:name``, or Arrow data of one row. ``stdin``: an
        open file, of bytes or text, that ``COPY ... FROM stdin`` reads to its end.
        """
        with self._running() as session:
            keys = session.parameter_keys(operation)
            given = {} if stdin is None else {"stdin": stdin}
            self._keep(session.execute(operation, bind(keys, parameters), **given))
        return self

    def executemany(self, operation: str, seq_of_parameters: object) -> None:
        """Run one statement once per set of parameters, all of them or none.

        ``seq_of_parameters``: an iterable of what ``execute`` takes, or Arrow data with a column per parameter.
        ``rowcount`` is the sum.
        """
        with self._running() as session:
            keys = session.parameter_keys(operation)
            self._rowcount = session.execute_many(operation, bind_many(keys, seq_of_parameters))

    def executescript(self, operation: str) -> Self:
        """Run many statements, without parameters, and drop their results.

        A transaction that was begun implicitly (``autocommit`` off) is committed first, as in ADBC.
        """
        with self._running() as session:
            if not session.autocommit and session.in_transaction:
                session.commit()
            session.execute_script(operation)
        return self

    def adbc_execute_schema(self, operation: str, parameters: object = None) -> pa.Schema:
        """The columns that a statement would return, without running it; empty for one without rows."""
        with self._running() as session:
            schema = session.result_schema(operation, bind(session.parameter_keys(operation), parameters))
        return pa.schema([]) if schema is None else schema

    def adbc_prepare(self, operation: str) -> pa.Schema:
        """Check a statement and give its parameters as a schema, with the types that they are known to have before there are
        values, by what they are compared with, assigned or inserted to; null where nothing tells. A value of any type may be
        bound."""
        with self._running() as session:
            return session.parameter_schema(operation)

    def adbc_ingest(
        self,
        table_name: str,
        data: Any,
        mode: IngestMode = "create",
        *,
        catalog_name: str | None = None,
        db_schema_name: str | None = None,
        temporary: bool = False,
    ) -> int:
        """Write Arrow data into a topic or table, all of it or nothing, and return the number of rows.

        ``data`` is whatever offers ``__arrow_c_stream__`` or ``__arrow_c_array__``, a ``pyarrow.dataset`` or an
        iterable of record batches; a stream is read as it is written, in bounded memory. ``table_name`` is taken as it
        is, without folding. ``mode``: ``create`` fails when the name is taken, ``append`` when it is not there,
        ``replace`` drops what is there, ``create_append`` creates what is not.
        """
        if mode not in _INGEST_MODES:
            raise InvalidParameter(f"there is no mode {mode!r}", hint=f"one of {', '.join(_INGEST_MODES)}")
        reader = as_reader(data)
        with self._running() as session:
            if catalog_name is not None and db_schema_name is None:
                db_schema_name = session.current_schema
            name = tuple(part for part in (catalog_name, db_schema_name, table_name) if part is not None)
            self._rowcount = session.ingest(name, reader, mode, temporary=temporary)
        return self._rowcount

    def adbc_cancel(self) -> None:
        """Cancel, from any thread, what this cursor runs or reads: it raises ``QueryCanceled`` (57014) there."""
        buffer = self._buffer
        if buffer is not None:
            buffer.cancel()
        elif self._calling:
            self._connection._cancel_call()

    def callproc(self, procname: str, parameters: Sequence[object] = ()) -> NoReturn:
        """There are no stored procedures: ``NotSupportedError``."""
        raise NotSupportedError("there are no stored procedures", hint="CALL is a statement: use execute()")

    def setinputsizes(self, sizes: Sequence[object]) -> None:
        """Nothing to prepare."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Nothing to prepare."""

    # --- reading rows -------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        """The connection that made this cursor."""
        return self._connection

    @property
    def description(self) -> Description | None:
        """A 7-tuple per column, (name, ``pyarrow.DataType``, None, ...); ``None`` for a statement without rows."""
        if self._schema is None:
            return None
        return [(field.name, field.type, None, None, None, None, None) for field in self._schema]

    @property
    def schema(self) -> pa.Schema | None:
        """The Arrow schema of the rows; ``None`` for a statement without rows."""
        return self._schema

    @property
    def bounded(self) -> bool:
        """Whether the rows have an end; ``False`` for a live ``subscribe`` that only cancelling ends."""
        return self._bounded

    @property
    def rowcount(self) -> int:
        """Rows written by the last statement, or returned where that was known beforehand; otherwise -1."""
        return self._rowcount

    @property
    def rownumber(self) -> int | None:
        """The zero-based number of the next row, or ``None`` without a result."""
        return None if self._buffer is None else self._rownumber

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, waiting for it on a live result, or ``None`` at the end."""
        taken = self._left().take(1)
        self._rownumber += len(taken)
        return taken[0] if taken else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Up to ``size`` rows (default: ``arraysize``), an empty list at the end.

        On an unbounded result: what has arrived, waiting for one row at most.
        """
        size = self.arraysize if size is None else size
        buffer = self._left()
        fetched: list[tuple[Any, ...]] = []
        while len(fetched) < size:
            taken = buffer.take(size - len(fetched), wait=self._bounded or not fetched)
            if not taken:
                break
            fetched += taken
        self._rownumber += len(fetched)
        return fetched

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left; ``UnboundedResult`` when there is no end to wait for."""
        fetched = [row for batch in self._all_left().batches() for row in rows(batch)]
        self._rownumber += len(fetched)
        return fetched

    def next(self) -> tuple[Any, ...]:
        """The next row; ``StopIteration`` at the end."""
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self

    def __next__(self) -> tuple[Any, ...]:
        return self.next()

    def nextset(self) -> NoReturn:
        """A statement has one result: ``NotSupportedError``."""
        raise NotSupportedError("a statement has one result")

    # --- reading Arrow data -------------------------------------------------------------------------

    def fetch_arrow_table(self) -> pa.Table:
        """All rows that are left as a table; ``UnboundedResult`` when there is no end to wait for."""
        batches = list(self._all_left().batches())
        return pa.Table.from_batches(batches, schema=self._schema)

    def fetchallarrow(self) -> pa.Table:
        """``fetch_arrow_table`` under turbodbc's name, as ADBC has it."""
        return self.fetch_arrow_table()

    def fetch_df(self) -> pandas.DataFrame:
        """All rows that are left as a pandas data frame."""
        frame: pandas.DataFrame = self.fetch_arrow_table().to_pandas()
        return frame

    def fetch_polars(self) -> polars.DataFrame:
        """All rows that are left as a polars data frame."""
        import polars  # noqa: PLC0415 - an optional dependency

        return polars.DataFrame(self.fetch_arrow_table())

    def fetch_record_batch(self) -> pa.RecordBatchReader:
        """The rows that are left as a reader, which pulls them batch by batch as they are asked for.

        It also reads results that never end. The reader outlives the cursor object, but not its ``close()``.
        """
        buffer = self._left()
        assert self._schema is not None
        return pa.RecordBatchReader.from_batches(self._schema, buffer.batches())

    def next_batch(self, timeout: float | None = None) -> pa.RecordBatch | None:
        """The next rows as a batch, or ``None`` at the end; for live results that are watched beside other work.

        ``TimeoutError`` when none arrived for ``timeout`` seconds, after which one may ask again.
        """
        return self._left().next_batch(timeout)

    def fetch_arrow(self) -> ArrowStream:
        """The rows that are left as an object with ``__arrow_c_stream__``, to be taken once."""
        self._all_left()
        return ArrowStream(self.fetch_record_batch())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows that are left as an ``arrow_array_stream`` capsule.

        Refused on an unbounded result, since nearly every consumer reads to the end; ``fetch_record_batch()`` is the
        way there.
        """
        return self.fetch_arrow().__arrow_c_stream__(requested_schema)

    def __aiter__(self) -> Self:
        """The rows that are left, batch by batch, as they arrive."""
        return self

    async def __anext__(self) -> pa.RecordBatch:
        batch = await self._left().anext_batch()
        if batch is None:
            raise StopAsyncIteration
        return batch

    # --- ending -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the result, ending a live one. The cursor cannot be used any more."""
        self._closed = True
        self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside -------------------------------------------------------------------------------------

    def _running(self) -> _Running:
        """The session for the length of one call, with nothing left of the statement before."""
        return _Running(self)

    def _keep(self, result: Result) -> None:
        self._rowcount = result.rowcount
        self._schema = result.schema
        if result.schema is not None:
            self._buffer = RowBuffer(result, result.schema)
            self._bounded = result.bounded
            self._connection._keep(self._buffer)

    def _drop(self) -> None:
        self._schema = None
        self._bounded = True
        self._rownumber = 0
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            buffer.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionClosed("the cursor is closed")
        self._connection._check_open()

    def _left(self) -> RowBuffer:
        self._check_open()
        if self._buffer is None:
            raise ProgrammingError("there are no rows to fetch", sqlstate="24000", hint="execute() a query first")
        return self._buffer

    def _all_left(self) -> RowBuffer:
        buffer = self._left()
        if not self._bounded:
            raise UnboundedResult("the result never ends, so it cannot be read to its end", hint=_READ_LIVE)
        return buffer


class _Running:
    """What ``Cursor._running`` returns: a class, since each statement is one, and a generator takes longer."""

    __slots__ = ("_call", "_cursor")

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._call = cursor._connection._session()

    def __enter__(self) -> SessionPort:
        cursor = self._cursor
        cursor._check_open()
        cursor._drop()
        cursor._rowcount = -1
        session = self._call.__enter__()
        cursor._calling = True
        return session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cursor._calling = False
        self._call.__exit__(kind, error, trace)
