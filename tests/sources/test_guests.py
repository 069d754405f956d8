"""What a source that a guest attached sends to the server that it names: nothing that is the process's own."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from jammi_sql.errors import Error, PermissionDenied
from jammi_sql.sources.definition import SourceDefinition
from jammi_sql.sources.guests import for_guest
from jammi_sql.sources.opening import open_source
from tests.sources.support import define

_STARTUP = 196_608  # version 3.0 of the protocol; other numbers ask for encryption
_ASKS_FOR_PASSWORD = b"R" + struct.pack(">ii", 8, 3)


class Asking:
    """A PostgreSQL server as far as the question for a password. ``heard`` is what was answered."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def uri(self) -> str:
        return f"postgresql://shop@127.0.0.1:{self._listening.getsockname()[1]}/shop"

    def close(self) -> None:
        with suppress(OSError):  # of one that nobody is connected to
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._ask(connection)

    def _ask(self, connection: socket.socket) -> None:
        while True:
            length, code = struct.unpack(">ii", _exactly(connection, 8))
            _exactly(connection, length - 8)
            if code == _STARTUP:
                break
            connection.sendall(b"N")  # it encrypts nothing
        connection.sendall(_ASKS_FOR_PASSWORD)
        kind, length = struct.unpack(">ci", _exactly(connection, 5))
        if kind == b"p":
            self.heard.append(_exactly(connection, length - 4).rstrip(b"\0"))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


@pytest.fixture
def asking() -> Iterator[Asking]:
    server = Asking()
    yield server
    server.close()


def connected(definition: SourceDefinition) -> None:
    """Try to connect, which no such server lets happen."""
    source = open_source(replace(definition, options={**definition.options, "connect_timeout": "2"}))
    try:
        with pytest.raises(Error):
            source.schemas()
    finally:
        source.close()


def test_a_guest_sends_no_password_of_the_process(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That of the environment, and that of the file which libpq looks in: who runs the process sends them."""
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:*:of the file\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    monkeypatch.setenv("PGPASSWORD", "of the environment")
    connected(define(asking.uri))
    assert set(asking.heard) == {b"of the environment"}
    asking.heard.clear()
    monkeypatch.delenv("PGPASSWORD")
    connected(define(asking.uri))
    assert set(asking.heard) == {b"of the file"}
    asking.heard.clear()
    monkeypatch.setenv("PGPASSWORD", "of the environment")
    connected(for_guest(define(asking.uri)))
    assert asking.heard == []


def test_a_guest_sends_the_password_that_it_names(asking: Asking, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("of the guest")
    connected(for_guest(define(asking.uri, password=f"file:{tmp_path}/password")))
    assert set(asking.heard) == {b"of the guest"}


def test_what_others_attach_is_as_it_was() -> None:
    for uri in ("sqlite:///x.db", "grpc://127.0.0.1:1", "./folder"):
        assert for_guest(define(uri)) == define(uri)
    with pytest.raises(PermissionDenied, match="sockets"):
        for_guest(define("postgresql:///shop"))
