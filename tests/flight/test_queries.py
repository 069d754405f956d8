"""Sessions and statements as clients see them, and KILL."""

from __future__ import annotations

from typing import Any

import pytest
from adbc_driver_manager import ProgrammingError

from tests.flight.test_live import ENDLESS, is_idle, subscriptions
from tests.flight.test_statements import rows, run
from tests.servers.jammi import JammiServer
from tests.topic_support import until


def query(client: Any, text: str) -> str:
    """The id of the statement that runs and has ``text`` in it."""
    found: list[Any] = []

    def look() -> bool:
        with client.cursor() as cursor:
            cursor.execute("SELECT id FROM jammi.system.queries WHERE statement LIKE ?", (f"%{text}%",))
            found[:] = cursor.fetchall()
        return bool(found)

    until(look, "it runs")
    ((id_,),) = found
    return str(id_)


def test_a_live_stream_is_killed_by_another_client(server: JammiServer, client: Any, name: str) -> None:
    run(client, f"CREATE TOPIC {name} (v BIGINT)")
    with server.connect() as other, other.cursor() as cursor:
        cursor.execute(f"SELECT v FROM subscribe('{name}')")
        batches = cursor.fetch_record_batch()
        run(client, f"INSERT INTO {name} VALUES (1)")
        assert next(batches).to_pylist() == [{"v": 1}]
        run(client, f"KILL '{query(client, name)}'")
        with pytest.raises(Exception, match="57014"):
            next(batches)
        assert subscriptions(client, name) == 0
        assert rows(other, "SELECT 1") == [(1,)]


def test_a_statement_that_is_at_work_is_killed(server: JammiServer, client: Any) -> None:
    with server.connect() as other, other.cursor() as cursor:
        cursor.execute(ENDLESS)
        run(client, f"KILL '{query(client, '100000000000')}'")
        with pytest.raises(Exception, match="57014"):
            cursor.fetchall()
        until(lambda: is_idle(server), "the work stopped")
        assert rows(other, "SELECT 1") == [(1,)]


def test_one_that_was_killed_is_over(client: Any) -> None:
    with pytest.raises(ProgrammingError, match="42704"):
        run(client, "KILL '00000000-0000-4000-8000-000000000000'")


def test_a_session_says_who_and_where_its_client_is(server: JammiServer, client: Any) -> None:
    shown = "SELECT interface, address, user_agent, in_transaction FROM jammi.system.sessions WHERE is_own"
    ((interface, address, user_agent, in_transaction),) = rows(client, shown)
    assert interface == "flight" and address.startswith("127.0.0.1:") and not in_transaction
    assert "ADBC" in user_agent or "grpc" in user_agent
    with server.connect(autocommit=False) as other:
        assert rows(other, shown)[0][1:] != (address, user_agent, False)
        run(other, "SELECT 1")
        assert rows(client, "SELECT count(*) FROM jammi.system.sessions WHERE in_transaction")[0][0] >= 1


def test_a_session_is_gone_with_its_client(server: JammiServer, client: Any) -> None:
    with server.connect() as other:
        ((id_,),) = rows(other, "SELECT id FROM jammi.system.sessions WHERE is_own")
        assert rows(client, f"SELECT queries FROM jammi.system.sessions WHERE id = '{id_}'") == [(0,)]
    until(lambda: not rows(client, f"SELECT id FROM jammi.system.sessions WHERE id = '{id_}'"), "it is gone")
