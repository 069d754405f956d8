"""Checks of a NATS server with JetStream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ..errors import FeatureNotSupported, OperationalError
from .finding import Check, Finding, ok, problem, warning
from .secrets import Address
from .sizes import shown_bytes

__all__ = ["CHECKS", "Server", "asked"]

_SECONDS: Final = 5.0
_SMALL: Final = 1 << 20
_NEARLY: Final = 0.9
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    """What a server said of itself, in one go."""

    address: Address
    version: str
    round_trip: float
    """Seconds."""
    max_payload: int
    """Bytes."""
    encrypted: bool
    account: dict[str, Any] | None
    """JetStream's figures and limits of the account, ``None`` where it is not enabled."""
    refusal: str
    """Why not."""


def asked(address: Address) -> Server:
    """Ask the server at ``nats://...``.

    Raises ``FeatureNotSupported`` without the library, ``OperationalError`` where nobody answers within five seconds or the
    server refuses.
    """
    try:
        import nats.aio.client  # noqa: F401, PLC0415 - optional
    except ImportError as error:
        raise FeatureNotSupported(
            "nats:// needs a library that is not installed: nats-py", hint="pip install 'jammi-sql[nats]'"
        ) from error
    return asyncio.run(_ask(address))


async def _ask(address: Address) -> Server:
    from nats.aio.client import Client  # noqa: PLC0415 - optional
    from nats.errors import Error as NatsError  # noqa: PLC0415

    last: list[Exception] = []

    async def keep(error: Exception) -> None:
        """What goes wrong on the way; nats-py would print it."""
        last.append(error)

    client = Client()
    try:
        await asyncio.wait_for(
            client.connect(
                address.url,
                connect_timeout=int(_SECONDS),
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=keep,
            ),
            2 * _SECONDS,
        )
    except (NatsError, OSError, TimeoutError, ValueError) as error:
        await client.close()  # what it opened on the way, it leaves open
        cause = last[-1] if last else error
        said = address.redacted(str(cause)).removeprefix("nats: ") or "no answer"
        raise OperationalError(f"{address.shown} cannot be reached: {type(cause).__name__}: {said}") from None
    try:
        began = time.perf_counter()
        await client.flush(timeout=int(_SECONDS))
        took = time.perf_counter() - began
        account, refusal = None, ""
        try:
            info = await client.jetstream(timeout=_SECONDS).account_info()
            account = {
                "memory": info.memory, "storage": info.storage, "streams": info.streams, "consumers": info.consumers,
                "limits": {
                    "memory": info.limits.max_memory, "storage": info.limits.max_storage,
                    "streams": info.limits.max_streams, "consumers": info.limits.max_consumers,
                },
            }  # fmt: skip
        except (NatsError, TimeoutError) as error:
            refusal = address.redacted(str(error)).removeprefix("nats: ") or type(error).__name__
        version = str(client.connected_server_version)
        # nats-py has no public name for what the server said of itself; without it, the URL tells.
        said_of_itself = getattr(client, "_server_info", {})
        encrypted = urlsplit(address.url).scheme in ("tls", "wss") or bool(said_of_itself.get("tls_required"))
        return Server(address, version, took, client.max_payload, encrypted, account, refusal)
    finally:
        await client.close()


def _connection(server: Server) -> Iterator[Finding]:
    yield ok(f"NATS {server.version} answers in {server.round_trip * 1000:.1f} ms: {server.address.shown}")


def _encryption(server: Server) -> Iterator[Finding]:
    local = urlsplit(server.address.url).hostname in _LOOPBACK
    if server.encrypted:
        yield ok("the connection is encrypted (TLS)")
    elif local:
        yield ok("the connection does not leave this machine")
    else:
        yield warning(
            "the connection crosses a network and is not encrypted",
            "set up TLS on the server, and write tls:// in the URL",
        )


def _jetstream(server: Server) -> Iterator[Finding]:
    if server.account is None:
        yield problem(
            f"JetStream is not to be had: {server.refusal}",
            "start the server with -js (or a jetstream block in its configuration) and enable it for the account",
        )
    else:
        yield ok("JetStream is enabled")


def _limits(server: Server) -> Iterator[Finding]:
    account = server.account or {}
    limits = account.get("limits", {})
    sound = True
    for name in ("storage", "memory", "streams", "consumers"):
        used, limit = account.get(name, 0), limits.get(name)
        if limit is None or limit < 0:  # none
            continue
        shown = shown_bytes if name in ("storage", "memory") else str
        if name == "storage" and limit == 0:
            sound = False
            yield problem("the account may keep nothing on disk", "give the account some storage: max_file, max_store")
        elif limit and used >= _NEARLY * limit:
            sound = False
            yield warning(
                f"the account uses {shown(used)} of {shown(limit)} of its {name}",
                "raise the limit of the account, or give topics a shorter retention",
            )
    if sound:
        yield ok(
            f"the account has {account.get('streams', 0)} streams and {account.get('consumers', 0)} consumers, "
            f"{shown_bytes(account.get('storage', 0))} on disk, and is within its limits"
        )


def _payload(server: Server) -> Iterator[Finding]:
    said = f"a message has at most {shown_bytes(server.max_payload)}"
    if server.max_payload < _SMALL:
        yield warning(
            f"{said}: larger batches are not handed over, and subscribers find them in the log later",
            "raise max_payload of the server to 1 MB or more",
        )
    else:
        yield ok(f"{said}; larger batches are found in the log")


CHECKS: Final = (
    Check("broker connection", _connection),
    Check("broker encryption", _encryption),
    Check("broker JetStream", _jetstream, vital=True),
    Check("broker limits", _limits),
    Check("broker payload", _payload),
)
