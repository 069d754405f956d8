"""One connection to a NATS server, made by nats-py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from nats import errors
from nats.aio.client import Client

from .access import Access

__all__ = ["CheckedClient", "abandon", "close", "connect", "reason_of"]

_PENDING: Final = 32 << 20
"""Bytes that may wait for the socket; far above what the sender leaves unacknowledged."""
_FLUSH: Final = 1
_NEVER: Final = 1 << 30


class CheckedClient(Client):
    """nats-py's client, which sends no credentials in the clear where TLS was asked for.

    By itself it goes on without TLS when the server, or somebody in between, does not demand it.
    """

    insists: bool = False

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self.insists and not info.get("tls_required"):
            if not info.get("tls_available"):
                raise errors.Error("nats: the server offers no TLS")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)


async def connect(
    access: Access,
    name: str,
    timeout: float,
    on_error: Callable[[Exception], Awaitable[None]],
    on_closed: Callable[[], Awaitable[None]],
) -> CheckedClient:
    """A connection that does not reconnect by itself.

    nats-py's own reconnecting waits for the old socket to close, which takes a quarter of an hour when the other side
    is silent (nats.py issue 671). Raises what it raises, ``TimeoutError`` after ``timeout`` seconds for each server.
    """
    client = CheckedClient()
    client.insists = access.tls is not None
    last: list[Exception] = []

    async def on_any_error(error: Exception) -> None:
        last[:] = [error]
        await on_error(error)

    try:
        async with asyncio.timeout(timeout * len(access.servers) + 1):
            await client.connect(
                list(access.servers),
                name=name,
                error_cb=on_any_error,
                closed_cb=on_closed,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=timeout,  # type: ignore[arg-type] # seconds, given to asyncio
                ping_interval=_NEVER,  # the link asks by itself
                user=access.user,
                password=access.password,
                token=access.token,
                user_credentials=access.credentials,
                nkeys_seed=access.nkey,
                tls=access.tls,
                tls_hostname=access.tls_hostname,
                tls_handshake_first=access.tls_first,
                inbox_prefix=access.inbox_prefix,
                pending_size=_PENDING,
                flush_timeout=_FLUSH,
            )
    except BaseException as error:
        abandon(client)
        if isinstance(error, errors.NoServersError) and last:
            raise last[0] from None
        raise
    return client


async def close(client: CheckedClient, timeout: float) -> None:
    """Close it, by force after ``timeout`` seconds."""
    with suppress(Exception):
        async with asyncio.timeout(timeout):
            await client.close()
    abandon(client)


def abandon(client: CheckedClient) -> None:
    """Cut the connection without a word, and end what runs for it."""
    for task in (client._reading_task, client._ping_interval_task, client._flusher_task):
        if task is not None:
            task.cancel()
    client._status = Client.CLOSED
    # Closing a socket politely waits until everything is sent, which a silent peer never lets happen.
    for writer in (getattr(client._transport, "_io_writer", None), getattr(client._transport, "_bare_io_writer", None)):
        if writer is not None:
            writer.transport.abort()


def reason_of(error: BaseException) -> str:
    """An error in words; nats-py's have none at times."""
    text = str(error).removeprefix("nats: ").strip()
    return text or {"TimeoutError": "no answer in time"}.get(type(error).__name__, type(error).__name__)
