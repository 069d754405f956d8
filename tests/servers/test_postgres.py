"""The PostgreSQL server that tests start is a real one, with passwords, a disk and processes that die."""

from __future__ import annotations

import os

import adbc_driver_postgresql.dbapi
import psutil
import pytest

from tests.servers.postgres import PostgresServer


def value(url: str, text: str) -> object:
    with adbc_driver_postgresql.dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        (found,) = cursor.fetchone()
        return found


def run(url: str, text: str) -> None:
    with adbc_driver_postgresql.dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(text)


def test_it_takes_connections_over_tcp_and_over_its_socket(postgres: PostgresServer) -> None:
    assert value(postgres.url(), "SELECT inet_server_addr()::text") == "127.0.0.1/32"
    assert value(postgres.socket_url(), "SELECT inet_server_addr() IS NULL") is True
    assert value(postgres.url(), "SELECT current_setting('fsync')") == "off"


def test_passwords_are_asked_for(postgres: PostgresServer) -> None:
    with pytest.raises(Exception, match="password authentication failed"):
        value(postgres.url(password="wrong"), "SELECT 1")


def test_users_and_databases_come_and_go(postgres: PostgresServer) -> None:
    postgres.create_user('reader "one"', password="it's", options="CREATEDB")
    name = postgres.create_database("a b", owner='reader "one"')
    url = postgres.url(name, user='reader "one"', password="it's")
    assert value(url, "SELECT current_user::text") == 'reader "one"'
    assert postgres.sql("SELECT 1, NULL; SELECT 'two\nlines'", name) == [["1", ""], ["two\nlines"]]
    postgres.drop_database(name)
    postgres.drop_user('reader "one"')
    assert postgres.sql("SELECT 1 FROM pg_roles WHERE rolname LIKE 'reader%'") == []
    with pytest.raises(RuntimeError, match="does not exist"):
        postgres.sql("SELECT 1", name)


def test_each_test_has_an_empty_database(postgres_database: str) -> None:
    run(postgres_database, "CREATE TABLE left_behind (a int)")


def test_nothing_is_left_of_the_test_before(postgres_database: str) -> None:
    assert value(postgres_database, "SELECT to_regclass('left_behind') IS NULL") is True


@pytest.mark.parametrize("end", ["stop", "immediate", "kill"])
def test_what_was_committed_is_there_after_a_restart(
    postgres: PostgresServer, postgres_database: str, end: str
) -> None:
    run(postgres_database, "CREATE TABLE kept AS SELECT 7 AS a")
    before = postgres.pid
    processes = postgres.processes()
    assert len(processes) > 1
    if end == "kill":
        postgres.kill()
    else:
        postgres.stop(mode="fast" if end == "stop" else end)
    assert not postgres.running
    assert all(not process.is_running() or process.status() == psutil.STATUS_ZOMBIE for process in processes)
    with pytest.raises(Exception, match="refused"):
        value(postgres_database, "SELECT 1")
    postgres.start()
    assert postgres.pid != before
    assert value(postgres_database, "SELECT a FROM kept") == 7
    postgres.restart()
    assert value(postgres_database, "SELECT a FROM kept") == 7


def test_no_mode_of_another_folder_changes(postgres: PostgresServer) -> None:
    """The server reaches its folder as it is, with nobody else's rights."""
    assert postgres.folder.parent.stat().st_mode & 0o001
    assert postgres.folder.stat().st_mode & 0o077 == 0
    if os.geteuid() == 0:
        assert postgres.folder.stat().st_uid != 0
