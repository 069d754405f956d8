"""``jammi-sql serve`` in a process of its own, on a free port of loopback."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import adbc_driver_flightsql.dbapi as flightsql

from tests.topic_support import LIMIT

__all__ = ["JammiServer"]

_COMMAND = [sys.executable, "-c", "import sys; from jammi_sql.console.main import main; sys.exit(main())", "serve"]

_START = 90.0  # seconds: on a machine that is busy with other tests, imports alone take many


class JammiServer:
    """A server on the store in ``folder``; ``log`` is what it wrote to standard error."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = folder.with_name(folder.name + ".log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*_COMMAND, "--store", str(folder), "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=log
            )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], _START)
        line = self.process.stdout.readline().decode() if ready else ""
        if not line.startswith("ready: "):
            self.stop()
            raise RuntimeError(f"the server did not start: {line}{self.log}")
        self.uri = line.removeprefix("ready: ").strip()

    @property
    def log(self) -> str:
        """What it says to its operator."""
        return self._log.read_text()

    def connect(self, *, token: str | None = None, autocommit: bool = True, **options: str) -> Any:
        """A client's connection."""
        if token is not None:
            options["adbc.flight.sql.authorization_header"] = f"Bearer {token}"
        return flightsql.connect(self.uri, db_kwargs=options, autocommit=autocommit)

    def terminate(self) -> int:
        """Ask it to stop, and wait; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    def stop(self) -> None:
        """End it, however."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def threads(self) -> int:
        """How many threads it has."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
