"""One call: who makes it, for which client, and how it fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from ..errors import Error, InternalError, InvalidParameter, OperationalError
from ..logs import about
from .access_log import AccessLog
from .clients import Client, Clients
from .identity import ANYBODY, Identities, Identity, bearer_token
from .protocol.headers import SESSION
from .status import code_of, text_of, trailers_of

__all__ = ["COOKIE", "Call", "Door", "going_down"]

COOKIE: Final = "arrow_flight_session_id"
_TO_THE_END: Final = frozenset({"DoGet", "DoAction"})
"""What is served while the server goes down: statements that were begun have their results fetched, and are closed."""
_LONGEST: Final = 1000
_logger = logging.getLogger("jammi_sql.flight")


@dataclass(eq=False)
class Call:
    """A call that was let in. ``text`` and ``rows`` are for the access log: the statement, and how many rows it moved."""

    client: Client
    context: Any
    text: str | None = None
    rows: int = 0
    trailers: tuple[tuple[str, str | bytes], ...] = ()
    """Trailing metadata beside that of an error."""
    answered: bool = False
    """Whether its initial metadata was sent."""

    @property
    def identity(self) -> Identity:
        """Who calls."""
        return self.client.identity

    async def answer(self) -> None:
        """Send its initial metadata, unless they were; an error of gRPC's where the client is gone."""
        if not self.answered:
            self.answered = True
            await self.context.send_initial_metadata(())


class Door:
    """Lets calls in, and says how they ended."""

    def __init__(self, clients: Clients, identities: Identities | None, rate: float | None, secret: str = "") -> None:
        """``secret`` is a text, such as the folder of the store, that no client is to read in an error."""
        self._clients = clients
        self._identities = identities
        self._rate = rate
        self._secret = secret
        self._allowance: dict[Identity, tuple[float, float]] = {}
        self.closed = False
        self.open_calls = 0
        self.log = AccessLog()
        self.ended: Callable[[str, str, float], None] = lambda method, code, seconds: None
        """Told of every call that is over: its method, the name of its status and its seconds."""

    async def through(self, method: str, context: Any, serve: Callable[[Call], Awaitable[Any]]) -> Any:
        """Serve a call; every error becomes a status, without traceback or what is nobody's business."""
        call: Call | None = None
        code, began = "OK", time.perf_counter()
        self.open_calls += 1
        try:
            if self.closed and method not in _TO_THE_END:
                raise going_down()
            call = await self._call(context)
            call.client.busy += 1
            return await serve(call)
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # of what is not answered, a client waits for the answer for ever
            shown = self._shown(method, error)
            code = code_of(shown).name
            trailers = trailers_of(shown) if call is None else trailers_of(shown) + call.trailers
            await context.abort(code_of(shown), text_of(shown), trailers)
        finally:
            self.open_calls -= 1
            if call is not None:
                call.client.busy -= 1
                call.client.touched = time.monotonic()
            seconds = time.perf_counter() - began
            self.ended(method, code, seconds)
            self.log.add(method, code, seconds, call)

    async def _call(self, context: Any) -> Call:
        headers: dict[str, list[str]] = {}
        for name, value in context.invocation_metadata() or ():
            if isinstance(value, str):
                headers.setdefault(name.lower(), []).append(value)
        identity = self.identify(headers.get("authorization", ()), context)
        self._meter(identity)
        named = headers.get(SESSION)
        if named is not None:  # by a client of ours, which keeps its own account of them
            return Call(self._clients.attended(named[-1], identity), context)
        cookie = _cookie(headers.get("cookie", ()))
        client = self._clients.find(cookie, context.peer(), identity, next(iter(headers.get("user-agent", ())), None))
        greets = not client.greeted or (cookie is not None and cookie != client.key)
        if greets:
            client.greeted = True
            await context.send_initial_metadata((("set-cookie", f"{COOKIE}={client.key}; Path=/; HttpOnly"),))
        return Call(client, context, answered=greets)

    def identify(self, authorization: Any, context: Any) -> Identity:
        """Who calls; ``OperationalError`` (28000) for nobody that is known."""
        if self._identities is None:
            return ANYBODY
        token = bearer_token(authorization)
        if token is not None:
            found = self._identities.of_token(token)
        else:
            names = (context.auth_context() or {}).get("x509_common_name", ())
            found = self._identities.of_certificate(name.decode("utf-8", "replace") for name in names)
        if found is None:
            raise OperationalError(
                "the token is not known" if token is not None else "the call has no token",
                sqlstate="28000",
                hint="send authorization: Bearer token, or a user of any name with the token as password",
            )
        return found

    def _meter(self, identity: Identity) -> None:
        """A bucket of one second's calls, which fills as time passes."""
        if self._rate is None:
            return
        now = time.monotonic()
        left, at = self._allowance.get(identity, (self._rate, now))
        left = min(max(self._rate, 1.0), left + (now - at) * self._rate)
        if left < 1:
            raise OperationalError(
                f"more than {self._rate:g} calls a second", sqlstate="53400", hint="wait a moment, and try again"
            )
        self._allowance[identity] = left - 1, now

    def _shown(self, method: str, error: BaseException) -> Error:
        if isinstance(error, Error):
            # Trailing metadata has room for some kilobytes, and holds the text twice.
            error.message = self._hidden(error.message)[:_LONGEST]
            error.hint = None if error.hint is None else self._hidden(error.hint)[:_LONGEST]
            return error
        if isinstance(error, pa.ArrowException):
            return InvalidParameter(f"the data is not what it must be: {type(error).__name__}")
        _logger.error("%s failed", method, exc_info=error, extra=about(error))
        return InternalError("the server failed at this call", hint="its log says more")

    def _hidden(self, text: str) -> str:
        return text.replace(self._secret, "...") if self._secret else text


def going_down() -> OperationalError:
    """The error for those who come too late."""
    return OperationalError("the server is going down", sqlstate="57P01", hint="connect again")


def _cookie(headers: Any) -> str | None:
    for header in headers:
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE:
                return str(value.strip('"'))
    return None
