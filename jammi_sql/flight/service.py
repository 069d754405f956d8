"""The methods of the Flight service."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import pyarrow as pa

from ..engine.access import Access
from ..engine.engine import Engine
from ..engine.session import Session
from ..errors import FeatureNotSupported, InvalidParameter, OperationalError, QueryCanceled, UndefinedObject
from ..logs import about
from .actions import ACTIONS, act
from .calls import Call, Door
from .clients import Client, Clients, Waiting
from .files import AllowedFiles
from .framing import Framing, ipc_schema
from .identity import Identities, Identity, bearer_token
from .metadata import METADATA, metadata, metadata_schema
from .options import Limits
from .protocol import flight, session, sql, unwrap, wrap
from .protocol.headers import PUT
from .sessions import Sessions
from .statements import Statements
from .transactions import Transactions
from .upload import Upload
from .work import Seat, Work

__all__ = ["Service"]

_logger = logging.getLogger("jammi_sql.flight")
_NAME: Final = "arrow.flight.protocol.FlightService"
_CMD: Final = 2
_BATCH_ROWS: Final = "32768"  # each batch is a message, which costs as much as some thousands of rows
_FIRST_POLL: Final = 0.05
_LONG_POLL: Final = 5.0
_KEPT_POLL: Final = 60.0
_POLL: Final = b"jammi-poll:"
_SWEEP: Final = 1.0
_LOOK: Final = 0.02
_FETCHED_WITHIN: Final = 1.0  # seconds in which a client asks for the result of what it ran


@dataclass(eq=False)
class _Poll:
    """A statement that its client asks after from time to time."""

    client: Client
    task: asyncio.Task[Any]
    asked: float = field(default_factory=time.monotonic)


class Service:
    """Flight SQL on an engine. It belongs to one event loop; statements run in threads of ``work``."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        identities: Identities | None,
        files: AllowedFiles,
    ) -> None:
        """``files`` raises for a path that clients may not reach."""
        self.engine = engine
        self.limits = limits
        self._files = files
        self.work = Work(limits.threads)
        self.clients = Clients(self._new_session, limits)
        store = engine.services.store
        self.door = Door(self.clients, identities, limits.rate, "" if store.folder is None else str(store.folder))
        self.statements = Statements(self.clients, self.work, limits.bound_bytes)
        self.transactions = Transactions(self.clients, self.work)
        self.sessions = Sessions(self)
        self.ending = asyncio.Event()
        """Set when the server goes down."""
        self.patience = 0.0
        """Seconds that what was begun has to end then."""
        self._polls: dict[bytes, _Poll] = {}

    def _new_session(self, identity: Identity) -> Session:
        limits = self.limits
        access = Access(
            self._files,
            self._files.covered,
            tenants=identity.is_admin,
            secrets=identity.is_admin,
            statement_timeout=limits.statement_timeout,
            memory_limit=limits.memory_limit,
        )
        session = self.engine.sql_session(identity.tenant, access=access)
        session.settings.set("batch_size", _BATCH_ROWS)
        return session

    def handler(self) -> grpc.GenericRpcHandler:
        """What gRPC is to call."""

        def unary(name: str, request: Any, serve: Callable[[Call, Any], Awaitable[Any]]) -> Any:
            async def handle(message: Any, context: Any) -> Any:
                return await self.door.through(name, context, lambda call: serve(call, message))

            return grpc.unary_unary_rpc_method_handler(handle, request.FromString, _serialized)

        def streamed(name: str, request: Any, serve: Callable[[Call, Any], Awaitable[Any]]) -> Any:
            async def handle(message: Any, context: Any) -> Any:
                return await self.door.through(name, context, lambda call: serve(call, message))

            return grpc.unary_stream_rpc_method_handler(handle, request.FromString, None)

        async def handshake(messages: Any, context: Any) -> None:
            await self._handshake(messages, context)

        async def put(messages: Any, context: Any) -> Any:
            return await self.door.through("DoPut", context, lambda call: self._put(call, messages))

        methods = {
            "Handshake": grpc.stream_stream_rpc_method_handler(
                handshake, flight.HandshakeRequest.FromString, _serialized
            ),
            "GetFlightInfo": unary("GetFlightInfo", flight.FlightDescriptor, self.flight_info),
            "PollFlightInfo": unary("PollFlightInfo", flight.FlightDescriptor, self._poll),
            "GetSchema": unary("GetSchema", flight.FlightDescriptor, self._schema),
            "DoGet": streamed("DoGet", flight.Ticket, self._get),
            "DoPut": grpc.stream_stream_rpc_method_handler(put, flight.FlightData.FromString, _serialized),
            "DoAction": streamed("DoAction", flight.Action, self._act),
            "ListActions": streamed("ListActions", flight.Empty, self._list_actions),
            "ListFlights": streamed("ListFlights", flight.Empty, self._list_flights),
        }
        return grpc.method_handlers_generic_handler(_NAME, methods)

    # --- who ---

    async def _handshake(self, messages: Any, context: Any) -> None:
        """User and password for a bearer token: the password is the token. A token is given back as it is."""
        headers = [str(value) for name, value in context.invocation_metadata() or () if name == "authorization"]
        message = None if headers else await anext(messages.__aiter__(), None)
        if message is not None:  # older clients send them in the message
            password = flight.BasicAuth.FromString(message.payload).password
            headers = [f"Bearer {password}"] if password else []

        async def serve(call: Call) -> None:
            token = bearer_token(headers) or "anybody"
            given = ("authorization", f"Bearer {token}")
            await context.send_initial_metadata((*shown.held, given))
            await context.write(flight.HandshakeResponse(payload=token.encode()))

        shown = _Handshaking(context, headers)
        await self.door.through("Handshake", shown, serve)

    # --- queries ---

    async def flight_info(self, call: Call, descriptor: Any) -> Any:
        """Run what the descriptor says, and tell where its result is."""
        command = _command(descriptor)
        match command.DESCRIPTOR.name:
            case "CommandStatementQuery":
                return _info(descriptor, await self.statements.query(call, command.query, _transaction(command)))
            case "CommandPreparedStatementQuery":
                prepared = self.clients.prepared(command.prepared_statement_handle, call.identity)
                return _info(descriptor, await self.statements.prepared_query(call, prepared))
            case name if name in METADATA:
                ticket = flight.Ticket(ticket=descriptor.cmd)
                return flight.FlightInfo(
                    schema=ipc_schema(metadata_schema(command)),
                    flight_descriptor=descriptor,
                    endpoint=[flight.FlightEndpoint(ticket=ticket)],
                    total_records=-1,
                    total_bytes=-1,
                )
            case name:
                raise FeatureNotSupported(f"{name} is no query")

    async def _schema(self, call: Call, descriptor: Any) -> Any:
        command = _command(descriptor)
        match command.DESCRIPTOR.name:
            case "CommandStatementQuery":
                schema = await self.statements.schema(call, command.query, _transaction(command))
            case "CommandPreparedStatementQuery":
                prepared = self.clients.prepared(command.prepared_statement_handle, call.identity)
                schema = await self.statements.prepared_schema(call, prepared)
            case name if name in METADATA:
                schema = metadata_schema(command)
            case name:
                raise FeatureNotSupported(f"{name} is no query")
        return flight.SchemaResult(schema=ipc_schema(schema))

    async def _poll(self, call: Call, descriptor: Any) -> Any:
        if descriptor.cmd.startswith(_POLL):
            handle, patience = bytes(descriptor.cmd), _LONG_POLL
            poll = self._polls.get(handle)
            if poll is None or poll.client.identity != call.identity:
                raise UndefinedObject(
                    "there is no such statement: it was fetched, cancelled, or not asked after for long"
                )
        else:
            handle, patience = _POLL + secrets.token_bytes(16), _FIRST_POLL
            poll = _Poll(call.client, asyncio.ensure_future(self.flight_info(call, descriptor)))
        poll.asked = time.monotonic()
        left = call.context.time_remaining()
        patience = patience if left is None else max(0.0, min(patience, left - 0.1))
        try:
            await asyncio.wait((poll.task,), timeout=patience)
        except asyncio.CancelledError:
            if handle not in self._polls:  # its client never heard of it
                poll.task.cancel()
            raise
        if not poll.task.done():
            self._polls[handle] = poll
            info = flight.FlightInfo(total_records=-1, total_bytes=-1, app_metadata=handle)
            return flight.PollInfo(info=info, flight_descriptor=flight.FlightDescriptor(type=_CMD, cmd=handle))
        self._polls.pop(handle, None)
        return flight.PollInfo(info=poll.task.result(), progress=1.0)

    def cancel(self, call: Call, info: Any) -> None:
        """End the statement that a ``FlightInfo`` is about; ``UndefinedObject`` where it is over."""
        poll = self._polls.pop(bytes(info.app_metadata), None)
        if poll is not None and poll.client.identity == call.identity:
            poll.task.cancel()
            return
        for endpoint in info.endpoint:
            waiting = self._waiting_of(call, endpoint.ticket)
            if waiting is not None:
                waiting.result.cancel()
                if not waiting.fetched:
                    self.clients.forget(waiting)
                return
        raise UndefinedObject("there is no such statement: it is over")

    def _waiting_of(self, call: Call, ticket: Any) -> Waiting | None:
        command = _unwrapped(ticket.ticket)
        if command.DESCRIPTOR.name != "TicketStatementQuery":
            return None
        return self.clients.waiting(command.statement_handle, call.identity)

    async def _get(self, call: Call, ticket: Any) -> None:
        command = _unwrapped(ticket.ticket)
        if command.DESCRIPTOR.name in METADATA:
            session, limits = call.client.session, self.limits
            table = await self.work.run(call.client.seat, lambda: metadata(command, session, limits))
            await _send(call, table.schema, table)
            return
        waiting = self._waiting_of(call, ticket)
        if waiting is None or waiting.fetched:
            raise InvalidParameter("the result was fetched, or waited too long", sqlstate="24000", hint="run it again")
        self.clients.fetched(waiting)
        try:
            await self._stream(call, waiting)
        finally:
            self.clients.forget(waiting)

    async def _stream(self, call: Call, waiting: Waiting) -> None:
        framing, result, context = waiting.framing, waiting.result, call.context
        await context.write(framing.head())
        try:
            batches, waiting.batches = waiting.batches, []
            while True:
                for batch in batches:
                    if batch.num_rows:
                        call.rows += batch.num_rows
                        for message in framing.messages(batch):
                            await context.write(message)
                following = None if waiting.is_whole else await result.anext_batch()
                if following is None:
                    return
                batches = [following]
        except QueryCanceled as error:
            if self.door.closed and not result.bounded:
                raise OperationalError(
                    "the server is going down",
                    sqlstate="57P01",
                    hint="connect again, and subscribe from the offset after the last one that came",
                ) from error
            raise

    # --- changes ---

    async def _put(self, call: Call, messages: Any) -> None:
        upload = await Upload.begin(messages, call.answer)
        asked = upload.first.flight_descriptor.cmd
        if asked.startswith(PUT):
            reply = await self.sessions.answer(call, _request(asked[len(PUT) :]), upload)
            await call.context.write(flight.PutResult(app_metadata=reply))
            return
        command = _command(upload.first.flight_descriptor)
        match command.DESCRIPTOR.name:
            case "CommandStatementUpdate":
                count = await self.statements.update(call, command.query, _transaction(command))
            case "CommandPreparedStatementUpdate":
                prepared = self.clients.prepared(command.prepared_statement_handle, call.identity)
                count = await self.statements.prepared_update(call, prepared, upload)
            case "CommandPreparedStatementQuery":
                prepared = self.clients.prepared(command.prepared_statement_handle, call.identity)
                await self.statements.bind(call, prepared, upload)
                bound = sql.DoPutPreparedStatementResult(prepared_statement_handle=prepared.handle)
                await call.context.write(flight.PutResult(app_metadata=bound.SerializeToString()))
                return
            case "CommandStatementIngest":
                count = await self.statements.ingest(call, command, upload)
            case name:
                raise FeatureNotSupported(f"{name} is no change")
        call.rows = max(count, 0)
        done = sql.DoPutUpdateResult(record_count=count)
        await call.context.write(flight.PutResult(app_metadata=done.SerializeToString()))

    # --- actions ---

    async def _act(self, call: Call, action: Any) -> None:
        body = await act(self, call, action)
        if body is not None:
            await call.context.write(flight.Result(body=body).SerializeToString())

    async def _list_actions(self, call: Call, nothing: Any) -> None:
        for name, (_, line, _) in ACTIONS.items():
            await call.context.write(flight.ActionType(type=name, description=line).SerializeToString())

    async def _list_flights(self, call: Call, criteria: Any) -> None:
        """There are none but those that statements make."""

    # --- time ---

    async def drop(self, client: Client) -> None:
        """Forget a client, and undo what it left open."""
        for handle, poll in list(self._polls.items()):
            if poll.client is client:
                del self._polls[handle]
                poll.task.cancel()
        for own in self.clients.drop(client):
            await self.work.run(Seat(own), own.close)

    async def expel(self, identities: Identities) -> None:
        """End the streams and sessions of those who are nobody any more."""
        for client in self.clients.all():
            if not identities.knows(client.identity):
                await self.drop(client)

    async def sweep(self) -> None:
        """Let go of what nobody comes back for, for ever."""
        while True:
            await asyncio.sleep(_SWEEP)
            try:
                await self._sweep_once()
            except Exception as error:
                _logger.error("a transaction or client that is gone was not undone", exc_info=error, extra=about(error))

    async def _sweep_once(self) -> None:
        unread, idle, by_text, gone = self.clients.overdue()
        for waiting in unread:
            self.clients.forget(waiting)
        for transaction in idle:
            await self.transactions.abandon(transaction)
        for client in by_text:
            await self.transactions.abandon_session(client)
        for client in gone:
            await self.drop(client)
        for handle, poll in list(self._polls.items()):
            if time.monotonic() - poll.asked > _KEPT_POLL:
                del self._polls[handle]
                poll.task.cancel()

    def end_streams(self, patience: float) -> None:
        """End the live streams, and let nobody in any more; what was begun has ``patience`` seconds."""
        self.door.closed = True
        self.patience = patience
        self.ending.set()
        for waiting in self.clients.results:
            if not waiting.result.bounded:
                waiting.result.cancel()

    async def drain(self, patience: float) -> None:
        """Wait for the statements that were begun, at most so many seconds."""
        end = time.monotonic() + patience
        while time.monotonic() < end and (
            self.door.open_calls or self.work.running or self.clients.awaited(_FETCHED_WITHIN)
        ):
            await asyncio.sleep(_LOOK)

    async def close(self) -> None:
        """End everything, and undo what is open."""
        for waiting in self.clients.results:
            self.clients.forget(waiting)
        for client in self.clients.all():
            client.session.interrupt()
        for client in self.clients.all():
            await self.drop(client)
        await self.sessions.end()
        await self.work.end()
        await self.door.log.close()


class _Handshaking:
    """The context of a handshake, with the credentials that came in its message; its first metadata is held back."""

    def __init__(self, context: Any, authorization: list[str]) -> None:
        self._context = context
        self._metadata = (
            *((name, value) for name, value in context.invocation_metadata() or () if name != "authorization"),
            *(("authorization", value) for value in authorization),
        )

        self.held: tuple[tuple[str, str], ...] = ()

    def invocation_metadata(self) -> Any:
        return self._metadata

    async def send_initial_metadata(self, metadata: Any) -> None:
        self.held = metadata

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


async def _send(call: Call, schema: pa.Schema, table: pa.Table) -> None:
    framing = Framing(schema)
    await call.context.write(framing.head())
    for batch in table.to_batches():
        for message in framing.messages(batch):
            await call.context.write(message)


def _info(descriptor: Any, waiting: Waiting) -> Any:
    ticket = flight.Ticket(ticket=wrap(sql.TicketStatementQuery(statement_handle=waiting.handle)))
    return flight.FlightInfo(
        schema=waiting.framing.ipc_schema,
        flight_descriptor=descriptor,
        endpoint=[flight.FlightEndpoint(ticket=ticket)],
        total_records=waiting.result.rowcount,
        total_bytes=-1,
        ordered=True,
    )


def _request(data: bytes) -> Any:
    try:
        return session.Request.FromString(data)
    except Exception as error:  # protobuf's own error has no public name in every implementation of it
        raise InvalidParameter("the command is no request of a session") from error


def _command(descriptor: Any) -> Any:
    if descriptor.type != _CMD:
        raise FeatureNotSupported("a flight is a command of Flight SQL", hint="there are none by path")
    return _unwrapped(descriptor.cmd)


def _unwrapped(data: bytes) -> Any:
    try:
        return unwrap(data)
    except ValueError as error:
        raise InvalidParameter(str(error)) from error


def _transaction(command: Any) -> bytes | None:
    return bytes(command.transaction_id) if command.HasField("transaction_id") and command.transaction_id else None


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
