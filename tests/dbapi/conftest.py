"""Connections over a fake session, or, with ``--store wire``, over a server's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa
import pytest

from jammi_sql.dbapi import Connection
from tests.targets import another

from .fake_session import FakeSession

PLANES = pa.table({"tail": ["N1", "N2", "N3"], "seats": [10, None, 30]})


class Live(Protocol):
    """A result without an end: ``text`` asks for it, and ``put`` makes rows come, a batch each time."""

    text: str

    def put(self, *values: int) -> None: ...


class FakeLive:
    """That of the fake session."""

    text = "LIVE"

    def __init__(self, session: FakeSession) -> None:
        self.put = session.live.put


class TopicLive:
    """A subscription."""

    text = "SELECT x FROM subscribe('live', from => 0)"

    def __init__(self, publisher: Connection) -> None:
        self._publisher = publisher
        publisher.execute("CREATE TOPIC live (x BIGINT)")

    def put(self, *values: int) -> None:
        """Nothing is published for no values: there is no empty batch."""
        if values:
            self._publisher.cursor().adbc_ingest("live", pa.table({"x": pa.array(values, pa.int64())}), mode="append")


@pytest.fixture
def session(store_kind: str) -> FakeSession:
    """What the connection talks to; holds the table ``planes``. Who asks for it looks into it, and is left out over the wire."""
    if store_kind == "wire":
        pytest.skip("in process: it looks at what the session was asked for")
    session = FakeSession()
    session.context.register_record_batches("planes", [PLANES.to_batches()])
    return session


@pytest.fixture
def connection(store_kind: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection, closed at the end."""
    if store_kind == "wire":
        with request.getfixturevalue("wire_target").connect() as connection:
            connection.cursor().adbc_ingest("planes", PLANES)
            yield connection
        return
    with Connection(request.getfixturevalue("session")) as connection:
        yield connection


@pytest.fixture
def live(store_kind: str, connection: Connection, request: pytest.FixtureRequest) -> Iterator[Live]:
    """A result of ``connection`` that never ends by itself."""
    if store_kind == "wire":
        with another(connection) as publisher:
            yield TopicLive(publisher)
        return
    yield FakeLive(request.getfixturevalue("session"))
