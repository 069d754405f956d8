"""What an error of COMMIT means: only the server itself can say that nothing was committed."""

from __future__ import annotations

import adbc_driver_manager
import pyarrow as pa
import pytest

from jammi_sql.adbc.postgres_errors import translated
from jammi_sql.errors import ConnectionLost, Error, is_transient
from jammi_sql.ports import NamedQuery
from jammi_sql.stores.postgres_connection import PostgresConnection


@pytest.mark.parametrize(
    ("text", "state", "expected"),
    [
        ("[libpq] server closed the connection unexpectedly", None, "08007"),
        ("[libpq] could not receive data from server: Connection reset by peer", None, "08007"),
        ("[libpq] SSL error: unexpected eof while reading", None, "08007"),
        ("[libpq] lost synchronization with server: got message type", None, "08007"),
        ("[libpq] something that nobody has heard of", "\0\0\0\0\0", "08007"),
        ("FATAL:  terminating connection due to administrator command", "57P01", "08007"),
        ("ERROR:  could not serialize access", "40001", "40001"),
        ("ERROR:  could not extend file", "53100", "53100"),
        ("ERROR:  canceling statement due to user request", "57014", "57014"),
    ],
)
def test_an_error_of_commit_that_is_not_the_server_s_word_leaves_it_unknown(
    monkeypatch: pytest.MonkeyPatch, text: str, state: str | None, expected: str
) -> None:
    def command(self: PostgresConnection, text_of_command: str) -> None:
        failure = adbc_driver_manager.OperationalError(
            text, status_code=adbc_driver_manager.AdbcStatusCode.IO, sqlstate=state
        )
        raise translated(failure, text_of_command) from failure

    monkeypatch.setattr(PostgresConnection, "command", command)
    connection = object.__new__(PostgresConnection)
    connection._failure = None
    connection.closed = False
    with pytest.raises(Error) as raised:
        connection.commit()
    assert raised.value.sqlstate == expected
    if expected == "08007":
        assert connection.closed
        assert not is_transient(raised.value)  # which would have it done again


@pytest.mark.parametrize(
    ("text", "state", "expected"),
    [
        ("Failed to prepare query: no connection to the server", None, "08006"),
        ("Failed to prepare query: FATAL:  terminating connection due to administrator command", "57P01", "57P01"),
        ("Failed to prepare query: server closed the connection unexpectedly", None, "08006"),
        ("[libpq] Failed to execute prepared statement: server closed the connection unexpectedly", None, "08007"),
        ("FATAL:  terminating connection due to administrator command", "57P01", "08007"),
        ("[libpq] something that nobody has heard of", "\0\0\0\0\0", "08007"),
        ("ERROR:  deadlock detected", "40P01", "40P01"),
        ("ERROR:  canceling statement due to lock timeout", "55P03", "55P03"),
    ],
)
def test_an_error_of_a_statement_by_itself_leaves_it_unknown_once_it_may_have_run(
    monkeypatch: pytest.MonkeyPatch, text: str, state: str | None, expected: str
) -> None:
    def fetched(*_: object, **__: object) -> None:
        failure = adbc_driver_manager.OperationalError(
            text, status_code=adbc_driver_manager.AdbcStatusCode.IO, sqlstate=state
        )
        raise translated(failure, "append_batch") from failure

    monkeypatch.setattr(PostgresConnection, "_fetched", fetched)
    connection = object.__new__(PostgresConnection)
    connection.closed = False
    query = NamedQuery("append_batch", "SELECT $1", pa.schema([("offset", pa.int64())]))
    with pytest.raises(Error) as raised:
        connection.write_alone(query, (1,))
    assert raised.value.sqlstate == expected
    assert connection.closed == (expected == "08007")
    assert isinstance(raised.value, ConnectionLost) == text.startswith("Failed to prepare")


@pytest.mark.parametrize(
    "reason",
    [
        "terminating connection due to unexpected postmaster exit",
        "terminating connection due to administrator command",
        "canceling authentication due to timeout",
        "the database system is starting up",
    ],
)
def test_who_was_let_go_at_the_door_may_come_again(reason: str) -> None:
    text = f'[libpq] Failed to connect: connection to server at "127.0.0.1", port 5432 failed: FATAL:  {reason}'
    failure = adbc_driver_manager.OperationalError(text, status_code=adbc_driver_manager.AdbcStatusCode.IO)
    assert is_transient(translated(failure, "connecting"))
    refused = adbc_driver_manager.OperationalError(
        text.replace(reason, 'password authentication failed for user "app"'),
        status_code=adbc_driver_manager.AdbcStatusCode.IO,
    )
    assert translated(refused, "connecting").sqlstate == "28000"
