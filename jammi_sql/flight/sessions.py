"""Sessions of our own clients: what ``jammi_sql.connect("grpc://...")`` asks for, answered by a session here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa

from ..engine.session import Session
from ..errors import InvalidParameter, PermissionDenied
from ..results import BatchResult, Result
from ..tenancy import TenantId
from .calls import Call, going_down
from .clients import Client, Waiting
from .framing import ipc_schema
from .protocol import flight, session, sql, wrap
from .protocol.headers import STATE
from .statements import Begun
from .upload import Upload

if TYPE_CHECKING:
    from .service import Service

__all__ = ["Sessions"]

_T = TypeVar("_T")
_AGAIN: Final = 0.05  # seconds until what was interrupted before it had begun is interrupted again
_LOOK: Final = 0.02
_INLINE: Final = 1 << 20  # bytes of rows that come with the answer
_ENDINGS: Final = frozenset({"attend", "change", "cancel"})
"""What is served while the server goes down: a transaction that was begun may be committed."""


@dataclass(eq=False)
class _Running:
    """A call that its client may cancel."""

    session: Session
    begun: bool = False
    over: bool = False


@dataclass(eq=False)
class Sessions:
    """Answers requests. Everything here belongs to the event loop."""

    service: Service
    _running: dict[tuple[str, bytes], _Running] = field(default_factory=dict)
    _leaving: set[asyncio.Task[None]] = field(default_factory=set)  # the event loop holds its tasks weakly

    async def answer(self, call: Call, request: Any, upload: Upload | None = None) -> bytes | None:
        """The reply to a request, serialized; ``None`` where there is none. ``upload`` is what came along."""
        what = request.WhichOneof("what")
        if self.service.door.closed and what not in _ENDINGS:
            raise going_down()
        answers = _UPLOADS if upload is not None else _ANSWERS
        if what not in answers:
            raise InvalidParameter(f"a session has no request {what or 'of this kind'} here")
        if what != "open" and not call.client.attended:
            raise InvalidParameter("the call names no session", hint="open one first")
        given = getattr(request, what)
        try:
            if upload is not None:
                reply = await self._reading(upload, _UPLOADS[what](self, call, bytes(request.call), given, upload))
            else:
                reply = await _ANSWERS[what](self, call, bytes(request.call), given)
        finally:
            call.trailers = ((STATE, _state(call.client.session)),)
        call.context.set_trailing_metadata(call.trailers)
        return None if reply is None else bytes(reply.SerializeToString())

    @staticmethod
    async def _reading(upload: Upload, work: Awaitable[_T]) -> _T:
        try:
            return await work
        except BaseException:
            upload.stop()
            raise

    async def _run(self, call: Call, id_: bytes, work: Callable[[Session], _T]) -> _T:
        """What ``work`` returns, in a thread, within reach of ``cancel``."""
        seat = self.service.clients.seat(call.client, None, follows=True)
        assert seat is not None
        running = _Running(seat.session)

        def begin() -> _T:
            running.begun = True
            return work(seat.session)

        self._running[call.client.key, id_] = running
        try:
            return await self.service.work.run(seat, begin)
        finally:
            running.over = True
            self._running.pop((call.client.key, id_), None)

    # --- the life of a session ---

    async def _open(self, call: Call, id_: bytes, request: Any) -> Any:
        own = call.client.session

        def prepare() -> None:
            if request.HasField("tenant"):
                _bind(own, request.tenant)
            own.set_autocommit(request.autocommit)

        try:
            await self.service.work.run(call.client.seat, prepare)
        except BaseException:
            self._leave(call.client)
            raise
        return session.Reply(session=call.client.key)

    async def _attend(self, call: Call, id_: bytes, request: Any) -> None:
        """Wait while the client is there. When the server goes down, what it has begun is done first."""
        client, service = call.client, self.service
        try:
            await service.ending.wait()
            end = time.monotonic() + service.patience
            while time.monotonic() < end and (client.busy > 1 or service.clients.is_reading(client)):
                await asyncio.sleep(_LOOK)
            raise going_down()
        finally:
            self._leave(client)

    def _leave(self, client: Client) -> None:
        task = asyncio.ensure_future(self.service.drop(client))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def end(self) -> None:
        """Wait for the ends of sessions that have begun."""
        await asyncio.gather(*self._leaving)

    async def _cancel(self, call: Call, id_: bytes, request: Any) -> Any:
        """End a call of the same session; its own reply says how it ended."""
        running = self._running.get((call.client.key, bytes(request.call)))
        while running is not None and not running.over:
            if running.begun:
                running.session.interrupt()  # again, until the thread has come to where it hears of it
            await asyncio.sleep(_AGAIN)
        return session.Reply()

    async def _change(self, call: Call, id_: bytes, request: Any) -> Any:
        what = request.WhichOneof("what")
        await self._run(call, id_, lambda own: _CHANGES[what](own, getattr(request, what)))
        return session.Reply()

    async def _watch(self, call: Call, id_: bytes, request: Any) -> Any:
        """How far the statement is that runs, or whose rows are being fetched: it has the turn, which is not waited for."""
        found = await asyncio.to_thread(call.client.session.progress)
        return session.Reply(progress=session.Progress(rows=found.rows, bytes=found.bytes, most=found.most))

    # --- statements ---

    async def _execute(self, call: Call, id_: bytes, request: Any, stdin: Upload | None = None) -> Any:
        call.text = request.text
        values = _parameters(request)

        def run(own: Session) -> _Answer:
            given = {} if stdin is None else {"stdin": stdin}
            return _Answer(own.execute(request.text, values, **given))

        return await self._answered(call, await self._run(call, id_, run))

    async def _execute_with_file(self, call: Call, id_: bytes, request: Any, upload: Upload) -> Any:
        return await self._execute(call, id_, request, upload)

    async def _answered(self, call: Call, answer: _Answer) -> Any:
        begun = answer.begun
        reply = session.Reply(rowcount=begun.result.rowcount, unbounded=not begun.result.bounded)
        schema = begun.result.schema
        if schema is not None:
            reply.schema = ipc_schema(schema)
            if answer.rows is not None:
                reply.rows = answer.rows
            else:
                waiting = Waiting(call.client, begun.result, schema, None, begun.batches, begun.is_whole)
                handle = self.service.clients.keep(waiting).handle
                reply.ticket = flight.Ticket(
                    ticket=wrap(sql.TicketStatementQuery(statement_handle=handle))
                ).SerializeToString()
        return reply

    async def _script(self, call: Call, id_: bytes, request: Any) -> Any:
        call.text = request.text
        await self._run(call, id_, lambda own: own.execute_script(request.text))
        return session.Reply()

    async def _many(self, call: Call, id_: bytes, request: Any, upload: Upload) -> Any:
        call.text = request.text

        def run(own: Session) -> int:
            return own.execute_many(request.text, upload.reader())

        call.rows = await self._run(call, id_, run)
        return session.Reply(rowcount=call.rows)

    async def _ingest(self, call: Call, id_: bytes, request: Any, upload: Upload) -> Any:
        def run(own: Session) -> int:
            return own.ingest(tuple(request.name), upload.reader(), request.mode, temporary=request.temporary)

        call.rows = await self._run(call, id_, run)
        return session.Reply(rowcount=call.rows)

    async def _keys(self, call: Call, id_: bytes, request: Any) -> Any:
        call.text = request.text
        if request.typed:
            found = await self._run(call, id_, lambda own: own.parameter_schema(request.text))
            return session.Reply(schema=ipc_schema(found))
        return session.Reply(keys=await self._run(call, id_, lambda own: own.parameter_keys(request.text)))

    async def _describe(self, call: Call, id_: bytes, request: Any) -> Any:
        call.text = request.text
        values = _parameters(request)
        found = await self._run(call, id_, lambda own: own.result_schema(request.text, values))
        return session.Reply() if found is None else session.Reply(schema=ipc_schema(found))

    # --- the catalogue ---

    async def _objects(self, call: Call, id_: bytes, request: Any) -> Any:
        catalog, schema, table = (_optional(request, name) for name in ("catalog", "schema", "table"))

        def run(own: Session) -> _Answer:
            return _Answer(BatchResult.of(own.metadata.objects(request.depth, catalog, schema, table)))

        return await self._answered(call, await self._run(call, id_, run))

    async def _table_schema(self, call: Call, id_: bytes, request: Any) -> Any:
        catalog, schema = _optional(request, "catalog"), _optional(request, "schema")
        found = await self._run(call, id_, lambda own: own.metadata.table_schema(catalog, schema, request.table))
        return session.Reply(schema=ipc_schema(found))


class _Answer:
    """A result, and its rows as they are sent where they are few; made in the thread that ran the statement."""

    def __init__(self, result: Result) -> None:
        self.begun = Begun(result)
        self.rows: bytes | None = None
        schema = result.schema
        if schema is None:
            return
        if self.begun.is_whole and sum(batch.nbytes for batch in self.begun.batches) <= _INLINE:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, schema) as writer:
                for batch in self.begun.batches:
                    writer.write_batch(batch)
            self.rows = sink.getvalue().to_pybytes()
            result.close()

    def close(self) -> None:
        """Let go of it: its client is gone."""
        self.begun.close()


def _state(own: Session) -> bytes:
    state = session.State(
        in_transaction=own.in_transaction,
        autocommit=own.autocommit,
        tenant="" if own.tenant is None else str(own.tenant),
        schema=own.current_schema,
    )
    return bytes(state.SerializeToString())


def _parameters(request: Any) -> dict[str, Any]:
    if not request.HasField("parameters"):
        return {}
    try:
        table = pa.ipc.open_stream(request.parameters).read_all()
    except pa.ArrowException as error:
        raise InvalidParameter("the parameters are no stream of Arrow data") from error
    return {key: column[0] for key, column in zip(table.column_names, table.columns, strict=True)}


def _optional(request: Any, name: str) -> Any:
    return getattr(request, name) if request.HasField(name) else None


def _bind(own: Session, text: str) -> None:
    tenant = TenantId.optional(text or None)
    if own.access is not None and not own.access.tenants and tenant != own.tenant:
        raise PermissionDenied(
            "the tenant is that of the token", hint="leave tenant out, or come with the token of an admin"
        )
    own.bind_tenant(tenant)


def _choose_catalog(own: Session, name: str) -> None:
    own.current_catalog = name


def _choose_schema(own: Session, name: str) -> None:
    own.current_schema = name


_CHANGES: Final[dict[str, Callable[[Session, Any], None]]] = {
    "begin": lambda own, _: own.begin(),
    "commit": lambda own, _: own.commit(),
    "rollback": lambda own, _: own.rollback(),
    "autocommit": lambda own, on: own.set_autocommit(on),
    "tenant": _bind,
    "catalog": _choose_catalog,
    "schema": _choose_schema,
}
_ANSWERS: Final[dict[str, Callable[[Sessions, Call, bytes, Any], Awaitable[Any]]]] = {
    "open": Sessions._open,
    "attend": Sessions._attend,
    "execute": Sessions._execute,
    "script": Sessions._script,
    "keys": Sessions._keys,
    "describe": Sessions._describe,
    "objects": Sessions._objects,
    "table_schema": Sessions._table_schema,
    "change": Sessions._change,
    "cancel": Sessions._cancel,
    "watch": Sessions._watch,
}
_UPLOADS: Final[dict[str, Callable[[Sessions, Call, bytes, Any, Upload], Awaitable[Any]]]] = {
    "execute": Sessions._execute_with_file,
    "many": Sessions._many,
    "ingest": Sessions._ingest,
}
