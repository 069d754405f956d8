"""Statements that clients send, run in their sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pyarrow as pa

from ..arrow.batches import reading
from ..dbapi.parameters import bind, bind_many
from ..engine.session import Session
from ..errors import FeatureNotSupported, InvalidParameter, NoActiveTransaction
from ..results import BatchResult, CommandResult, Result
from .calls import Call
from .clients import Clients, Prepared, Waiting
from .unions import has_unions, without_unions
from .upload import Upload
from .work import Seat, Work

__all__ = ["Begun", "Statements"]

_T = TypeVar("_T")
_GLANCE = 0.01  # seconds that a thread waits for the first rows
_AT_ONCE = 1 << 20  # bytes that are kept until they are fetched
_NO_COLUMNS = pa.schema([])

# (where the table is not there, where it is), by the numbers of the protocol
_MODES = {(1, 1): "create", (2, 2): "append", (1, 3): "replace", (1, 2): "create_append"}


class Statements:
    """Runs statements: ad hoc and prepared ones, queries and changes, and the upload of rows."""

    def __init__(self, clients: Clients, work: Work, bound_bytes: int) -> None:
        """``bound_bytes``: of parameters, at most so many are kept."""
        self._clients = clients
        self._work = work
        self._bound_bytes = bound_bytes

    # --- queries ---

    async def query(self, call: Call, text: str, transaction: bytes | None) -> Waiting:
        """Run a statement; its result waits to be fetched."""
        call.text = text
        call.client.types.heed(text)
        return await self._execute(call, transaction, lambda session: session.execute(text))

    async def prepared_query(self, call: Call, prepared: Prepared) -> Waiting:
        """Run a prepared statement with the parameters that were bound last."""
        call.text = prepared.text
        return await self._execute(
            call, self._transaction(prepared), lambda session: _run(session, prepared, prepared.rows), follows=True
        )

    async def schema(self, call: Call, text: str, transaction: bytes | None) -> pa.Schema:
        """The columns that a statement would return."""
        call.text = text
        seat = self._clients.seat(call.client, transaction, follows=True)
        assert seat is not None
        found = await self._work.run(seat, lambda: seat.session.result_schema(text))
        return _NO_COLUMNS if found is None else found

    async def prepared_schema(self, call: Call, prepared: Prepared) -> pa.Schema:
        """The columns that a prepared statement would return with the parameters that were bound last."""
        call.text = prepared.text
        seat = self._prepared_seat(call, prepared)

        def describe() -> pa.Schema | None:
            values = {} if prepared.rows is None else bind(prepared.keys, prepared.rows.slice(0, 1))
            return seat.session.result_schema(prepared.text, values)

        found = await self._work.run(seat, describe)
        return _NO_COLUMNS if found is None else found

    async def _execute(
        self, call: Call, transaction: bytes | None, run: Callable[[Session], Result], *, follows: bool = False
    ) -> Waiting:
        seat = self._clients.seat(call.client, transaction, follows=follows)
        own = None
        if seat is None:
            own = call.client.session.twin()
            seat = Seat(own)
        session = seat.session
        try:
            begun = await self._work.run(seat, lambda: Begun(run(session)))
        except BaseException:
            if own is not None:
                own.close()
            raise
        schema = _NO_COLUMNS if begun.result.schema is None else begun.result.schema
        return self._clients.keep(Waiting(call.client, begun.result, schema, own, begun.batches, begun.is_whole))

    # --- changes ---

    async def update(self, call: Call, text: str, transaction: bytes | None) -> int:
        """Run a statement for its row count, -1 where there is none."""
        call.text = text
        call.client.types.heed(text)
        seat = self._clients.seat(call.client, transaction, follows=False)
        if seat is not None:
            session = seat.session
            return await self._work.run(seat, lambda: _count(session.execute(text)))
        own = call.client.session.twin()
        try:
            return await self._work.run(Seat(own), lambda: _count(own.execute(text)))
        finally:
            own.close()

    async def prepared_update(self, call: Call, prepared: Prepared, upload: Upload) -> int:
        """Run a prepared statement for its row count, with the parameters that come along, else those bound last."""
        call.text = prepared.text
        await upload.gather()
        seat = self._prepared_seat(call, prepared)
        session = seat.session

        def run() -> int:
            if upload.has_rows:
                given = upload.reader()
                if has_unions(given.schema):
                    given = without_unions(_table(given, self._bound_bytes)).to_reader()
                if given.schema.names:
                    rows = _one_row(given) if upload.is_whole else given
                    if isinstance(rows, pa.Table):
                        return _count(_run(session, prepared, rows))
                    return session.execute_many(prepared.text, bind_many(prepared.keys, rows))
            return _count(_run(session, prepared, prepared.rows))

        return await self._reading(upload, self._work.run(seat, run))

    async def bind(self, call: Call, prepared: Prepared, upload: Upload) -> None:
        """Keep parameters for the executions to come."""
        await upload.gather()
        seat = self._prepared_seat(call, prepared)

        def read() -> pa.Table | None:
            if not upload.has_rows:
                return None
            table = _table(upload.reader(), self._bound_bytes)
            return without_unions(table) if has_unions(table.schema) else table

        rows = read() if upload.is_small else await self._reading(upload, self._work.run(Seat(seat.session), read))
        prepared.rows = rows if rows is not None and rows.num_columns else None

    async def ingest(self, call: Call, command: Any, upload: Upload) -> int:
        """Write the rows that come along into a table or topic."""
        options = command.table_definition_options
        mode = _MODES.get((options.if_not_exist, options.if_exists))
        if mode is None:
            raise InvalidParameter(
                "it is not said what to do when the table is there, or when it is not",
                hint="create, append, replace, or create where it is not there and append where it is",
            )
        transaction = command.transaction_id if command.HasField("transaction_id") else None
        if transaction is None:
            self._clients.check_one_transaction(call.client)
        seat = self._clients.seat(call.client, transaction, follows=True)
        assert seat is not None
        session = seat.session

        def write() -> int:
            if not upload.has_rows:
                raise InvalidParameter("there are no rows, and not even their columns")
            schema = command.schema if command.HasField("schema") and command.schema else None
            catalog = command.catalog if command.HasField("catalog") and command.catalog else None
            if catalog is not None and schema is None:
                schema = session.current_schema
            name = tuple(part for part in (catalog, schema, command.table) if part is not None)
            return session.ingest(name, upload.reader(), mode, temporary=command.temporary)

        call.rows = await self._reading(upload, self._work.run(seat, write))
        return call.rows

    @staticmethod
    async def _reading(upload: Upload, work: Awaitable[_T]) -> _T:
        try:
            return await work
        except BaseException:
            upload.stop()
            raise

    # --- prepared statements ---

    async def prepare(self, call: Call, text: str, transaction: bytes | None) -> Prepared:
        """Check a statement and remember it.

        Its parameters have the types that they are known to have, for drivers of JDBC and ODBC send nothing else; a value of
        another type is taken all the same.
        """
        call.text = text
        call.client.types.heed(text)
        seat = self._clients.seat(call.client, transaction, follows=True)
        assert seat is not None
        session = seat.session

        known = call.client.types.of(text)
        found = await self._work.run(seat, lambda: session.outline(text, known))
        call.client.types.keep(text, found.parameters)
        is_update = found.is_complete and found.columns is None
        types = pa.schema(list(found.parameters.items()))
        prepared = Prepared(call.client, text, types, found.columns, is_update, transaction)
        self._clients.keep_prepared(prepared)
        return prepared

    def _transaction(self, prepared: Prepared) -> bytes | None:
        """The transaction that a statement was prepared in while that is open: later it belongs to the one that is then."""
        if prepared.transaction is None:
            return None
        try:
            self._clients.transaction(prepared.transaction, prepared.client.identity)
        except NoActiveTransaction:
            return None
        return prepared.transaction

    def _prepared_seat(self, call: Call, prepared: Prepared) -> Seat:
        seat = self._clients.seat(prepared.client, self._transaction(prepared), follows=True)
        assert seat is not None
        return seat


class Begun:
    """A result and what of it came at once, pulled in the thread that ran the statement: a small one is all there then."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.batches: list[pa.RecordBatch] = []
        self.is_whole = result.schema is None
        if result.bounded and not self.is_whole:
            try:
                self._pull()
            except TimeoutError:
                pass
            except BaseException:
                result.close()
                raise

    def _pull(self) -> None:
        size = 0
        while size < _AT_ONCE:
            batch = self.result.next_batch(_GLANCE)
            if batch is None:
                self.is_whole = True
                return
            self.batches.append(batch)
            size += batch.nbytes

    def close(self) -> None:
        """Let go of it."""
        self.result.close()


def _run(session: Session, prepared: Prepared, rows: pa.Table | None) -> Result:
    """A prepared statement for each row of parameters."""
    if rows is None or not prepared.keys:
        return session.execute(prepared.text)
    if rows.num_rows == 1:
        return session.execute(prepared.text, bind(prepared.keys, rows))
    if prepared.schema is None and prepared.is_update:
        return CommandResult(session.execute_many(prepared.text, bind_many(prepared.keys, rows)))
    tables: list[pa.Table] = []
    for place in range(rows.num_rows):
        result = session.execute(prepared.text, bind(prepared.keys, rows.slice(place, 1)))
        if not result.bounded:
            result.close()
            raise FeatureNotSupported("a subscription takes one set of parameters", hint="bind one row")
        tables.append(result.reader().read_all())
    if not tables:
        raise InvalidParameter("there is no set of parameters", sqlstate="07001", hint="bind at least one row")
    return BatchResult.of(pa.concat_tables(tables))


def _one_row(reader: pa.RecordBatchReader) -> pa.Table | pa.RecordBatchReader:
    """The only row, for which a statement runs as any other; a reader of all rows where there are more, or none."""
    with reading():
        rows = reader.read_all()
    return rows if rows.num_rows == 1 else rows.to_reader()


def _table(reader: pa.RecordBatchReader, most: int) -> pa.Table:
    batches, size = [], 0
    with reading():
        for batch in reader:
            size += batch.nbytes
            if size > most:
                raise InvalidParameter(
                    f"more than {most:,} bytes of parameters",
                    sqlstate="54000",
                    hint="ingest the rows, or bind them in parts",
                )
            batches.append(batch)
    return pa.Table.from_batches(batches, schema=reader.schema)


def _count(result: Result) -> int:
    """The rows that a statement changed, or returned: RETURNING has one for each."""
    if result.schema is None:
        return result.rowcount
    try:
        if not result.bounded:
            raise FeatureNotSupported("a subscription is no change", hint="run it as a query")
        rows = 0
        while (batch := result.next_batch()) is not None:
            rows += batch.num_rows
        return rows
    finally:
        result.close()
