"""How the command is run, and a NATS server for it to look at."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jammi_sql.console.main import main
from jammi_sql.doctor import Finding, Level, diagnose
from tests.servers.ports import free_port
from tests.topic_support import until

__all__ = ["Found", "Report"]


class Found:
    """What was found, by the name of the check."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    def of(self, check: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.check == check]

    def level(self, check: str) -> str:
        """The worst of a check."""
        levels = [finding.level.value for finding in self.of(check)]
        assert levels, f"{check} was not looked at"
        return max(levels, key=["ok", "warning", "problem"].index)

    def text(self, check: str) -> str:
        return "\n".join(f"{finding.message} -> {finding.advice}" for finding in self.of(check))

    @property
    def checks(self) -> list[str]:
        return [finding.check for finding in self.findings]

    @property
    def bad(self) -> list[str]:
        return [finding.check for finding in self.findings if finding.level is not Level.OK]


def found(target: str | Path, broker: str | None = None, schema: str = "jammi") -> Found:
    findings = list(diagnose(target, broker, schema=schema))
    for finding in findings:  # whatever is not fine says what to do
        assert bool(finding.advice) is (finding.level is not Level.OK), finding
    return Found(findings)


class Report:
    """The outcome of a command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


@pytest.fixture
def doctor(capfd: pytest.CaptureFixture[str]) -> Callable[..., Report]:
    """Runs ``jammi-sql doctor``."""

    def run(*arguments: str) -> Report:
        capfd.readouterr()
        try:
            code = main(["doctor", *arguments])
        except SystemExit as end:
            code = int(str(end.code))
        return Report(code, *capfd.readouterr())

    return run


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts servers with settings of their configuration file; gives their port on 127.0.0.1."""
    beside = Path(sys.executable).parent / "nats-server"
    program = str(beside) if beside.exists() else shutil.which("nats-server")
    assert program is not None
    started: list[subprocess.Popen[bytes]] = []

    def start(**settings: object) -> int:
        port = free_port()
        folder = tmp_path / f"nats-{port}"
        folder.mkdir()
        file = folder / "nats.json"
        settings.setdefault("jetstream", {"store_dir": str(folder), "max_file": 1 << 30, "max_mem": 1 << 26})
        file.write_text(json.dumps({"listen": f"127.0.0.1:{port}", **settings}))
        with (folder / "log").open("ab") as log:
            started.append(subprocess.Popen([program, "-c", str(file)], stdout=log, stderr=log))

        def listens() -> bool:
            assert started[-1].poll() is None, (folder / "log").read_text()
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                    return connection.recv(4) == b"INFO"
            except OSError:
                return False

        until(listens, "the NATS server listens")
        return port

    yield start
    for process in started:
        process.kill()
        process.wait()
