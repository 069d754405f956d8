"""How reading connections are lent."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jammi_sql.adbc.pool import ConnectionPool
from jammi_sql.errors import ConnectionClosed, LockNotAvailable, OperationalError
from jammi_sql.stores import SqliteStore
from jammi_sql.stores.sqlite_connection import SqliteConnection
from tests.topic_support import LIMIT, until


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    with SqliteStore.temporary() as made:
        yield made


def test_connections_are_opened_up_to_the_limit_and_then_waited_for(store: SqliteStore) -> None:
    pool = ConnectionPool(store._open_reader, limit=2, timeout=0.01)
    first, second = pool.take(), pool.take()
    assert first is not second
    with pytest.raises(OperationalError, match="all 2 connections") as caught:
        pool.take()
    assert (caught.value.sqlstate, caught.value.hint is not None) == ("53300", True)
    pool.give_back(second)
    assert pool.take() is second
    pool.give_back(first)
    pool.give_back(second)
    pool.close(0)


def test_a_waiting_call_gets_the_connection_that_is_given_back(store: SqliteStore) -> None:
    pool = ConnectionPool(store._open_reader, limit=1, timeout=60)
    connection = pool.take()
    got: list[SqliteConnection] = []
    thread = threading.Thread(target=lambda: got.append(pool.take()))
    thread.start()
    pool.give_back(connection)
    thread.join()
    assert got == [connection]
    pool.give_back(connection)
    pool.close(0)


def test_who_waits_is_served_before_who_comes_later(store: SqliteStore) -> None:
    pool = ConnectionPool(store._open_reader, limit=1, timeout=LIMIT)
    served: list[object] = []

    def serve(who: object) -> None:
        connection = pool.take()
        served.append(who)
        pool.give_back(connection)

    connection = pool.take()
    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=serve, args=(number,)))
        threads[-1].start()
        until(lambda number=number: len(pool._waiting) == number + 1, "it waits")  # type: ignore[misc]
    pool.give_back(connection)
    serve("who had it and wants it again")
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3, 4, "who had it and wants it again"]
    assert not pool._waiting
    pool.close(0)


def test_a_connection_that_cannot_be_opened_does_not_count_as_lent(store: SqliteStore) -> None:
    failures = iter([OperationalError("no more files")])

    def open_one() -> SqliteConnection:
        for error in failures:
            raise error
        return store._open_reader()

    pool = ConnectionPool(open_one, limit=1, timeout=0.01)
    with pytest.raises(OperationalError, match="no more files"):
        pool.take()
    pool.give_back(pool.take())
    pool.close(0)


def test_closing_waits_for_what_is_lent_and_can_be_tried_again(store: SqliteStore) -> None:
    pool = ConnectionPool(store._open_reader, limit=2, timeout=0.01)
    connection = pool.take()
    with pytest.raises(LockNotAvailable, match="1 reads still ran"):
        pool.close(0.01)
    with pytest.raises(ConnectionClosed):
        pool.take()
    assert not connection.closed
    pool.give_back(connection)
    pool.close(0)
    assert connection.closed
