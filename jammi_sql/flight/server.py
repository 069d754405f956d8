"""The server: a port, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc.aio

from ..engine.access import Access
from ..engine.engine import Engine
from ..errors import InvalidParameter
from ..logs import about, reason
from .files import AllowedFiles
from .identity import Identities
from .operations import Operations
from .options import Limits, ServerOptions
from .service import Service

__all__ = ["channel_options", "serve"]

_logger = logging.getLogger("jammi_sql.flight")
_PATIENCE = 10.0  # seconds that running statements have to end
_GRACE = 0.2  # seconds that calls have which are still open then
_LIVE_THREADS = 8


async def serve(engine: Engine, options: ServerOptions, ready: Callable[[str], None]) -> None:
    """Serve ``engine`` until SIGTERM or SIGINT; ``ready`` is told the address once clients may come.

    Live streams end at once then, running statements have ten seconds. SIGHUP reads the token file again. The engine stays
    open. ``InvalidParameter`` for options that do not go together, ``OSError`` for a port that is taken.
    """
    check_options(options)
    identities = None if options.token_file is None else Identities(options.token_file)
    files = AllowedFiles(options.allow_files)
    engine.restrict(Access(files, files.covered, tenants=True, secrets=True))
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_LIVE_THREADS, "jammi-flight-live"))  # what live streams do in threads
    service = Service(engine, options.limits, identities, files)
    server = grpc.aio.server(options=channel_options(options.limits))
    server.add_generic_rpc_handlers((service.handler(),))
    port = _bind(server, options)
    operations = Operations(service, options.host, options.metrics_port)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if identities is not None:
        loop.add_signal_handler(signal.SIGHUP, _reload, identities, service)
    await operations.start()  # first: nobody is to come to a server that cannot be watched
    await asyncio.to_thread(_warm, engine)
    await server.start()
    operations.ready = True
    sweeping = asyncio.ensure_future(service.sweep())
    scheme = "grpc" if options.tls_cert is None else "grpc+tls"
    ready(f"{scheme}://{_shown(options.host)}:{port}")
    try:
        await stopped.wait()
    finally:
        operations.ready = False
        service.end_streams(_PATIENCE)
        await service.drain(_PATIENCE)
        await server.stop(_GRACE)
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping
        await service.close()
        await operations.stop()


def channel_options(limits: Limits) -> tuple[tuple[str, int], ...]:
    """How gRPC is set up."""
    return (
        ("grpc.so_reuseport", 0),  # or else a second server on the same port would take half of the calls
        ("grpc.max_receive_message_length", limits.message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    )


def _warm(engine: Engine) -> None:
    """Load what the first statement needs, which takes half a second, before somebody waits for it."""
    session = engine.sql_session()
    try:
        session.execute("SELECT 1").close()
    finally:
        session.close()


def check_options(options: ServerOptions) -> None:
    """``InvalidParameter`` for what is not safe or not whole."""
    if (options.tls_cert is None) != (options.tls_key is None):
        raise InvalidParameter("TLS needs a certificate and its key", hint="give --tls-cert and --tls-key")
    if options.tls_client_ca is not None and options.tls_cert is None:
        raise InvalidParameter("certificates of clients need TLS", hint="give --tls-cert and --tls-key as well")
    if options.token_file is None and not _is_loopback(options.host):
        raise InvalidParameter(
            f"without identities the server listens on loopback only, not on {options.host}",
            hint="give --token-file, or --host 127.0.0.1",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _bind(server: grpc.aio.Server, options: ServerOptions) -> int:
    address = f"{_shown(options.host)}:{options.port}"
    try:
        if options.tls_cert is None or options.tls_key is None:
            return server.add_insecure_port(address)
        authority = None if options.tls_client_ca is None else _read(options.tls_client_ca)
        credentials = grpc.ssl_server_credentials(
            [(_read(options.tls_key), _read(options.tls_cert))], authority, require_client_auth=authority is not None
        )
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"{address} cannot be listened on: it is taken, or not of this machine") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidParameter(f"{path} cannot be read: {error.strerror}") from error


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


_expelling: set[asyncio.Task[None]] = set()  # the event loop holds its tasks weakly


def _reload(identities: Identities, service: Service) -> None:
    try:
        identities.reload()
        task = asyncio.ensure_future(service.expel(identities))
        _expelling.add(task)
        task.add_done_callback(_expelling.discard)
        _logger.info("the token file was read again")
    except InvalidParameter as error:
        _logger.error("the token file stays as it was read before: %s", reason(error), extra=about(error))
