"""Connections over a fake session."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from jammi_sql.dbapi import Connection

from .fake_session import FakeSession


@pytest.fixture
def session() -> FakeSession:
    """What the connection talks to; holds the table ``planes``."""
    session = FakeSession()
    planes = pa.RecordBatch.from_pydict({"tail": ["N1", "N2", "N3"], "seats": [10, None, 30]})
    session.context.register_record_batches("planes", [[planes]])
    return session


@pytest.fixture
def connection(session: FakeSession) -> Iterator[Connection]:
    """A connection, closed at the end."""
    with Connection(session) as connection:
        yield connection
