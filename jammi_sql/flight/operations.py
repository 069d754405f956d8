"""What operators ask: is it alive, is it ready, how much does it do."""

from __future__ import annotations

import asyncio
from typing import Any

from .service import Service

__all__ = ["Operations"]

_HEAD_BYTES = 8192
_PATIENCE = 5.0


class Operations:
    """``/healthz``, ``/readyz`` and ``/metrics`` over HTTP, on a port of their own."""

    def __init__(self, service: Service, host: str, port: int | None) -> None:
        """``port`` ``None``: nothing is offered."""
        self._service = service
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self.ready = False
        """Whether clients may come."""
        if port is not None:
            self._registry = _registry(service)

    async def start(self) -> None:
        """Listen; ``OSError`` for a port that is taken."""
        if self._port is not None:
            try:
                self._server = await asyncio.start_server(self._answer, self._host, self._port)
            except OSError as error:
                raise OSError(
                    f"{self._host}:{self._port} cannot be listened on: it is taken, or not of this machine"
                ) from error

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            path = head[:_HEAD_BYTES].split(b" ", 2)[1].partition(b"?")[0].decode("latin-1")
            status, body = self._page(path)
            kind = "text/plain; version=0.0.4; charset=utf-8"
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (TimeoutError, IndexError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # no request of HTTP, or one that was given up
        finally:
            writer.close()

    def _page(self, path: str) -> tuple[str, bytes]:
        if path == "/healthz":
            return "200 OK", b"alive\n"
        if path == "/readyz":
            return ("200 OK", b"ready\n") if self.ready else ("503 Service Unavailable", b"begins, or goes down\n")
        if path == "/metrics":
            from prometheus_client import generate_latest  # noqa: PLC0415 - optional

            return "200 OK", generate_latest(self._registry)
        return "404 Not Found", b"there are /healthz, /readyz and /metrics\n"


def _registry(service: Service) -> Any:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram  # noqa: PLC0415 - optional

    registry = CollectorRegistry()
    calls = Counter("jammi_flight_calls", "Calls that are over.", ["method", "status"], registry=registry)
    seconds = Histogram("jammi_flight_call_seconds", "How long calls took.", ["method"], registry=registry)

    def ended(method: str, code: str, elapsed: float) -> None:
        calls.labels(method, code).inc()
        seconds.labels(method).observe(elapsed)

    service.door.ended = ended
    for name, summary, value in (
        ("jammi_flight_open_calls", "Calls that are being served.", lambda: service.door.open_calls),
        ("jammi_flight_clients", "Clients that are known.", lambda: service.clients.count),
        ("jammi_flight_transactions", "Transactions that are open.", lambda: service.clients.transactions),
        ("jammi_flight_results", "Results that are not through.", lambda: len(service.clients.results)),
        (
            "jammi_flight_live_streams",
            "Live streams that are open.",
            lambda: sum(not waiting.result.bounded for waiting in service.clients.results),
        ),
    ):
        Gauge(name, summary, registry=registry).set_function(value)
    registry.register(_Others(REGISTRY))
    return registry


class _Others:
    """What the engine counts in the default registry, after the server's own."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def describe(self) -> list[Any]:
        """Nothing ahead of time: what there is may change."""
        return []

    def collect(self) -> Any:
        """Everything that is there now."""
        return self._registry.collect()
