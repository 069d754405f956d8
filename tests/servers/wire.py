"""Servers for connections over the wire: many stores in one process of their own, a port for each.

``python -m tests.servers.wire`` reads lines from standard input, ``open`` with the options of an engine as JSON after it
and ``close PORT``, and answers each with a line: a server takes a second to start, a store 50 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

__all__ = ["WireServers"]

_START = 90.0


class WireServers:
    """That process."""

    def __init__(self, log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.wire"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=Path(__file__).parents[2],
            )

    def open(self, target: str = ":memory:", **options: Any) -> str:
        """A server on a store of its own; its URI."""
        return f"grpc://127.0.0.1:{self._ask('open ' + json.dumps({'target': target, **options}))}"

    def close(self, uri: str) -> None:
        """End one."""
        self._ask(f"close {uri.rpartition(':')[2]}")

    def _ask(self, line: str) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(line.encode() + b"\n")
        stdin.flush()
        ready, _, _ = select.select([stdout], [], [], _START)
        answer = stdout.readline().decode().strip() if ready else ""
        if not answer or answer.startswith("error"):
            raise RuntimeError(f"{line}: {answer or 'no answer'}\n{self._log.read_text()}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(15)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


async def _serve() -> None:
    import grpc.aio  # noqa: PLC0415 - not where tests import this

    from jammi_sql import Engine  # noqa: PLC0415 - as above
    from jammi_sql.engine.access import Access  # noqa: PLC0415 - as above
    from jammi_sql.flight.files import AllowedFiles  # noqa: PLC0415 - as above
    from jammi_sql.flight.options import Limits  # noqa: PLC0415 - as above
    from jammi_sql.flight.server import channel_options  # noqa: PLC0415 - as above
    from jammi_sql.flight.service import Service  # noqa: PLC0415 - as above

    served: dict[int, tuple[Any, Any, Any]] = {}

    async def open_(options: dict[str, Any]) -> int:
        engine = await asyncio.to_thread(Engine.open, **options)
        files = AllowedFiles(("/**",))
        engine.restrict(Access(files, files.covered, tenants=True, secrets=True))
        limits = Limits(threads=8)
        service = Service(engine, limits, None, files)
        server = grpc.aio.server(options=channel_options(limits))
        server.add_generic_rpc_handlers((service.handler(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        served[port] = engine, service, server
        return port

    async def close(port: int) -> None:
        engine, service, server = served.pop(port)
        service.end_streams(0.0)
        await server.stop(0)
        await service.close()
        await asyncio.to_thread(engine.close)

    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        word, _, rest = line.partition(" ")
        try:
            if word == "open":
                print(await open_(json.loads(rest)), flush=True)
            else:
                await close(int(rest))
                print("closed", flush=True)
        except Exception as error:
            print(f"error {type(error).__name__}: {error}".replace("\n", " "), flush=True)
    for port in list(served):
        await close(port)


if __name__ == "__main__":
    asyncio.run(_serve())
