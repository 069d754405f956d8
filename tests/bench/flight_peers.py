"""Flight SQL servers of others, from PyPI, on loopback."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql
import pytest

from tests.servers.nats import free_port

__all__ = ["Peer", "bare_grpc", "jammi_server", "roapi"]

_START = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that runs: where, and in which process."""

    uri: str
    pid: int


@contextlib.contextmanager
def roapi(folder: Path) -> Iterator[Peer]:
    """A ``roapi`` on one small table: it does not start without."""
    (folder / "one.csv").write_text("a\n1\n")
    http, postgres, flight = free_port(), free_port(), free_port()
    arguments = [
        "--disable-read-only",
        "--table",
        f"one={folder / 'one.csv'}",
        "--addr-http",
        f"127.0.0.1:{http}",
        "--addr-postgres",
        f"127.0.0.1:{postgres}",
    ]
    with _running(folder, "roapi", [*arguments, "--addr-flight-sql", f"127.0.0.1:{flight}"], flight) as peer:
        yield peer


@contextlib.contextmanager
def jammi_server(folder: Path) -> Iterator[Peer]:
    """A ``jammi-server`` with its defaults."""
    flight, health = free_port(), free_port()
    config = folder / "jammi.toml"
    config.write_text(f'[server]\nflight_listen = "127.0.0.1:{flight}"\nhealth_listen = "127.0.0.1:{health}"\n')
    with _running(folder, "jammi-server", ["--config", str(config)], flight) as peer:
        yield peer


@contextlib.contextmanager
def bare_grpc() -> Iterator[Peer]:
    """A server of ``grpc.aio`` that answers ``SELECT 1`` whatever is asked."""
    process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("bare_grpc.py"))], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Peer(f"grpc://127.0.0.1:{int(process.stdout.readline())}", process.pid)
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def _running(folder: Path, name: str, arguments: list[str], port: int) -> Iterator[Peer]:
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        pytest.skip(f"{name} is not installed: pip install 'jammi-sql[bench]'")
    uri = f"grpc://127.0.0.1:{port}"
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], cwd=folder, stdout=log, stderr=log)
    try:
        end = time.monotonic() + _START
        while not _answers(uri):
            assert process.poll() is None and time.monotonic() < end, (folder / f"{name}.log").read_text()
            time.sleep(0.1)
        yield Peer(uri, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(uri: str) -> bool:
    try:
        with flightsql.connect(uri, autocommit=True) as client, client.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchall())
    except flightsql.Error:
        return False
