"""The connection to a server: calls out, answers and the state of the session back."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc

from ..errors import ConnectionClosed, ConnectionLost, Error, QueryCanceled
from ..flight.protocol import flight, session
from ..flight.protocol.headers import ACTION, SESSION, STATE
from ..results import INTERRUPT_INTERVAL
from .caller import Asked, Caller
from .failure import error_of, lost
from .options import WireOptions
from .outgoing import Outgoing
from .stream_call import StreamCall

__all__ = ["Link"]

_SERVICE: Final = "/arrow.flight.protocol.FlightService/"
_KEEPALIVE: Final = (
    20_000  # milliseconds until a server that says nothing is asked whether it is there, and then to answer
)
_CANCELLING: Final = 5.0  # seconds that a cancelled call has to say how it ended
_INTERRUPTED: Final = 1.0  # the same after Ctrl-C
_LEAVING: Final = 2.0
_CHANNEL: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a network connection of its own
    ("grpc.enable_retries", 0),  # of what may have changed something
    ("grpc.keepalive_time_ms", _KEEPALIVE),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE),
    ("grpc.http2.max_pings_without_data", 0),
)


class Link:
    """One session's connection. Calls come one at a time; ``cancel`` and ``close`` from any thread."""

    def __init__(self, options: WireOptions, opening: Any) -> None:
        """Connect and open a session; ``ConnectionLost`` (08001) where there is no server, or what it answers."""
        self.uri = options.uri
        self.state = session.State()
        self._lock = threading.Lock()
        self._asked: Asked | None = None
        self._lost: Error | None = None
        self._closing = False
        self.was_cancelled = False
        """Whether the end of the last call was asked for before its reply came."""
        self._headers = options.headers
        self._caller = Caller()
        self._channel = _channel(options)
        self._action = self._channel.unary_unary(
            f"{_SERVICE}DoAction", _serialized, flight.Result.FromString
        )  # one answer each: on the wire a stream of one message is the same
        self._put = self._channel.stream_unary(f"{_SERVICE}DoPut", None, flight.PutResult.FromString)
        self._get = self._channel.unary_stream(f"{_SERVICE}DoGet", None, None)
        try:
            self._open(options, opening)
        except BaseException:
            self._let_go()
            raise

    def _open(self, options: WireOptions, opening: Any) -> None:
        metadata = ((SESSION, ""), *options.headers)
        asked = Asked()
        try:
            answer = self._answer(
                asked, lambda: self._action.future(_action(opening), metadata=metadata, timeout=options.connect_timeout)
            )
        except ConnectionLost as error:
            if asked.future.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED) and (
                error.sqlstate == "08006"
            ):
                why = asked.future.details() or "it did not answer in time"
                raise lost(options.uri, why, connecting=True) from None
            raise
        reply = session.Reply.FromString(answer.body)
        self._metadata = ((SESSION, reply.session), *options.headers)
        # The session lives as long as this call, and this call as long as the network connection and this process.
        attend = self._channel.unary_stream(f"{_SERVICE}DoAction", _serialized, None)
        request = _action(session.Request(attend=session.Attend()))
        self._attending = self._caller.result(lambda: attend(request, metadata=self._metadata))
        self._attending.add_done_callback(self._left)

    # --- calls ---

    def ask(self, request: Any) -> Any:
        """The reply to a request, waiting for it as long as it takes; the error that the server raised."""
        self._check()
        request.call = secrets.token_bytes(8)
        action = _action(request)
        answer = self._answer(Asked(request.call), lambda: self._action.future(action, metadata=self._metadata))
        return session.Reply.FromString(answer.body)

    def send(self, request: Any, messages: Callable[[Any], Iterable[bytes]]) -> Any:
        """The reply to a request with which the ``messages`` come that are made of it, in this thread."""
        self._check()
        request.call = secrets.token_bytes(8)
        asked, outgoing = Asked(request.call), Outgoing()
        with self._calling(asked):
            try:
                self._caller.begin(asked, lambda: self._put.future(outgoing, metadata=self._metadata))
                for message in messages(request):
                    while not (asked.is_over or outgoing.put(message, INTERRUPT_INTERVAL)):
                        pass
                    if asked.cancelled is not None:
                        raise QueryCanceled("the statement was cancelled")
                    if asked.is_over:
                        break
            except BaseException:
                self._caller.submit(asked.end)  # before the end of the messages, which the server would take for all
                self._caller.submit(outgoing.end)
                raise
            outgoing.end()
            return session.Reply.FromString(self._awaited(asked).app_metadata)

    def glance(self, request: Any, patience: float) -> Asked | None:
        """A call beside the one that runs, which nobody waits for; ``None`` where there is no connection."""
        if self._closing or self._lost is not None:
            return None
        asked, action = Asked(), _action(request)
        self._caller.begin(asked, lambda: self._action.future(action, metadata=self._metadata, timeout=patience))
        return asked

    def stream(self, ticket: bytes) -> StreamCall:
        """The call that brings the rows of a result, begun at once: the server keeps none for long that nobody fetches."""
        self._check()
        call = self._caller.result(lambda: self._get(ticket, metadata=self._metadata))
        return StreamCall(call, lambda: self._caller.submit(call.cancel))

    def failure(self, failed: Any) -> Error:
        """The error of a failed call."""
        return error_of(failed, self.uri)

    def cancel(self) -> None:
        """Have the call that runs end; nothing where there is none."""
        with self._lock:
            asked = self._asked
            if asked is None or asked.cancelled is not None or self._closing:
                return
            asked.cancelled = time.monotonic()
        self._ask_to_cancel(asked)

    def close(self) -> None:
        """Leave. Waits a moment for the server to have undone what is open; never raises for its sake."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        if self._lost is None:
            farewell = flight.Action(type="CloseSession", body=flight.CloseSessionRequest().SerializeToString())
            asked = Asked()
            self._caller.begin(asked, lambda: self._action.future(farewell, timeout=_LEAVING, metadata=self._metadata))
            asked.wait(_LEAVING)  # however it ends: the server is gone already, or notices when the connection ends
        self._caller.submit(self._attending.cancel)
        self._let_go()

    # --- inside ---

    def _let_go(self) -> None:
        self._caller.submit(self._channel.close)
        self._caller.end()

    def _answer(self, asked: Asked, begin: Callable[[], Any]) -> Any:
        with self._calling(asked):
            return self._awaited(asked, begin)

    @contextmanager
    def _calling(self, asked: Asked) -> Iterator[None]:
        """Within reach of ``cancel``."""
        with self._lock:
            self._asked = asked
        try:
            yield
        finally:
            with self._lock:
                self.was_cancelled = asked.cancelled is not None
                self._asked = None

    def _awaited(self, asked: Asked, begin: Callable[[], Any] | None = None) -> Any:
        try:
            if begin is not None:
                self._caller.begin(asked, begin)
            while not asked.wait(INTERRUPT_INTERVAL) and self._caller.is_alive:
                if asked.cancelled is not None and time.monotonic() - asked.cancelled > _CANCELLING:
                    self._caller.submit(asked.end)
        except BaseException:  # Ctrl-C
            self._interrupted(asked)
            raise
        return self._outcome(asked)

    def _outcome(self, asked: Asked) -> Any:
        if asked.future is None or not asked.is_over:
            if self._closing:
                raise ConnectionClosed("the connection is closed") from asked.failure
            raise ConnectionLost("the call did not begin", hint="connect again") from asked.failure
        try:
            answer = asked.future.result()
        except grpc.FutureCancelledError:
            raise QueryCanceled("the statement was cancelled") from None
        except grpc.RpcError:
            self._keep_state(asked.future)
            if self._closing:
                raise ConnectionClosed("the connection is closed") from None
            raise self._lost or error_of(asked.future, self.uri) from None
        self._keep_state(asked.future)
        return answer

    def _interrupted(self, asked: Asked) -> None:
        if asked.cancelled is None:
            asked.cancelled = time.monotonic()
            self._ask_to_cancel(asked)
        if not asked.wait(_INTERRUPTED):
            self._caller.submit(asked.end)
        elif asked.future is not None and not asked.future.cancelled():
            self._keep_state(asked.future)

    def _ask_to_cancel(self, asked: Asked) -> None:
        request = _action(session.Request(cancel=session.Cancel(call=asked.id)))
        self._caller.submit(lambda: self._action.future(request, metadata=self._metadata, timeout=_CANCELLING))

    def _keep_state(self, future: Any) -> None:
        for name, value in future.trailing_metadata() or ():
            if name == STATE:
                self.state = session.State.FromString(value)

    def _left(self, attending: Any) -> None:
        """The call that the session lives by has ended: the server, the network or this side did that."""
        if not self._closing:
            self._lost = error_of(attending, self.uri)

    def _check(self) -> None:
        if self._closing:
            raise ConnectionClosed("the connection is closed")
        if self._lost is not None:
            raise self._lost


def _channel(options: WireOptions) -> Any:
    if not options.tls:
        return grpc.insecure_channel(options.address, _CHANNEL)
    named = () if options.hostname is None else (("grpc.ssl_target_name_override", options.hostname),)
    credentials = grpc.ssl_channel_credentials(options.root_certs, options.key, options.cert)
    return grpc.secure_channel(options.address, credentials, (*_CHANNEL, *named))


def _action(request: Any) -> Any:
    return flight.Action(type=ACTION, body=request.SerializeToString())


def _serialized(message: Any) -> bytes:
    return bytes(message.SerializeToString())
