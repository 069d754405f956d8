"""Short ways to run a statement, and to say how one fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection

__all__ = ["LIMIT", "background", "batches", "fails", "rows", "unbounded", "until", "value", "values"]

LIMIT = 50.0
"""Seconds after which something that should have happened counts as a hang."""


def rows(conn: Connection, statement: str, parameters: object = None) -> list[Any]:
    """All rows of a statement, as tuples."""
    return list(conn.execute(statement, parameters).fetchall())


def values(conn: Connection, statement: str, parameters: object = None) -> list[Any]:
    """The first column of all rows."""
    return [row[0] for row in rows(conn, statement, parameters)]


def value(conn: Connection, statement: str, parameters: object = None) -> Any:
    """The only value of a statement."""
    ((only,),) = rows(conn, statement, parameters)
    return only


def batches(conn: Connection, topic: str, count: int) -> None:
    """Publish ``count`` batches of one row: 0, 1, ..."""
    for index in range(count):
        conn.execute(f"INSERT INTO {topic} VALUES ({index})")


@contextmanager
def fails(
    sqlstate: str,
    cls: type[errors.Error] = errors.ProgrammingError,
    *,
    says: str = "",
    at: int | None = None,
    hint: bool = True,
) -> Iterator[pytest.ExceptionInfo[errors.Error]]:
    """The block raises ``cls`` with this SQLSTATE, with a hint, and with ``at`` as its position where that is given."""
    with pytest.raises(cls) as raised:
        yield raised
    error = raised.value
    assert error.sqlstate == sqlstate, f"{error.sqlstate}: {error}"
    assert says.lower() in str(error).lower(), str(error)
    if at is not None:
        assert error.position == at, f"{error.position}: {error}"
    if hint:
        assert error.hint, f"no hint: {error}"


@contextmanager
def unbounded(at: int | None = None) -> Iterator[pytest.ExceptionInfo[errors.Error]]:
    """The block is refused because the result would never end, and the hint names the way out."""
    with fails("0A000", errors.NotSupportedError, at=at) as raised:
        yield raised
    assert "until => 'latest'" in (raised.value.hint or ""), raised.value.hint


@contextmanager
def background(work: Callable[[], object]) -> Iterator[None]:
    """Run ``work`` in a thread beside the block; what it raises is raised at the end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(LIMIT)
        assert not thread.is_alive(), "the thread hangs"
    if failures:
        raise failures[0]


def until(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, "it never came to be"
        time.sleep(0.005)
