"""Credentials are references where they are kept, and nowhere to be seen where they are used."""

from __future__ import annotations

import sqlite3
import traceback
from pathlib import Path

import adbc_driver_manager
import adbc_driver_sqlite
import pytest

from jammi_sql.errors import Error, InvalidParameter, OperationalError
from jammi_sql.sources.credentials import Secrets, check_definition, is_secret, resolved
from jammi_sql.sources.link import Link
from jammi_sql.sources.opening import kind_of, open_source
from jammi_sql.sources.options import OPTIONS, check_options
from jammi_sql.sources.sqlite.source import SqliteSource
from tests.servers.postgres import PostgresServer
from tests.sources.support import define

SECRET = "hunter2-%/é"


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("postgresql://me:hunter2@host/db", {}),
        ("postgresql://me:@host/db", {}),
        ("postgresql://host/db?password=hunter2", {}),
        ("postgresql://host/db?sslpassword=hunter2", {}),
        ("host=somewhere password=hunter2", {}),
        ("Driver=x;Server=y; Password = hunter2", {}),
        ("postgresql://host/db", {"password": "hunter2"}),
        ("grpc://host:1", {"token": "hunter2"}),
        ("grpc://host:1", {"headers": "x-key=hunter2"}),
        ("", {"driver": "d", "adbc.snowflake.sql.auth_token": "hunter2"}),
        ("", {"driver": "d", "db.password": "hunter2"}),
    ],
)
def test_a_secret_in_plain_text_is_refused_without_being_repeated(uri: str, options: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_definition(define(uri, "adbc" if not uri else None, **options))
    assert "hunter2" not in str(caught.value)
    assert "env:NAME" in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("postgresql://me@host/db", {"password": "env:X", "sslkey": "/path"}),
        ("postgresql://me@host/db", {"password": "file:/run/secret", "user": "me"}),
        ("grpc://host:1", {"token": "env:X", "username": "me"}),
        ("sqlite:///a@b:c.db", {}),
    ],
)
def test_references_and_names_of_users_are_taken(uri: str, options: dict[str, str]) -> None:
    check_definition(define(uri, **options))


def test_options_that_are_secret_are_known_by_their_names() -> None:
    names = ["password", "token", "db.password", "client_secret", "adbc.flight.sql.authorization_header", "api_key"]
    assert [name for name in names if not is_secret(name)] == []
    assert [
        name for name in ("user", "username", "sslkey", "sslcert", "token_file", "pool_size") if is_secret(name)
    ] == []


def test_references_are_followed_when_the_source_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from file\n")
    monkeypatch.setenv("A_SECRET", "from environment")
    found = resolved(define("x", password="env:A_SECRET", token=f"file:{tmp_path / 'secret'}", user="me"))
    assert found == {"password": "from environment", "token": "from file", "user": "me"}


@pytest.mark.parametrize("reference", ["env:NOT_THERE", "file:/not/there"])
def test_a_reference_to_nothing_names_what_is_missing(reference: str) -> None:
    source = open_source(define("postgresql://me@127.0.0.1:1/db", password=reference))
    with pytest.raises(OperationalError, match=reference.partition(":")[2]) as caught:
        source.schemas()
    assert caught.value.sqlstate == "28000"
    source.close()


def test_a_wrong_password_is_said_without_it(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.start()
    monkeypatch.setenv("A_SECRET", SECRET)
    uri = f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres"
    source = open_source(define(uri, password="env:A_SECRET"))
    with pytest.raises(OperationalError) as caught:
        source.schemas()
    assert caught.value.sqlstate.startswith("28")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in f"{source.location} {vars(source)}"
    monkeypatch.setenv("A_SECRET", postgres.password)
    assert "public" in source.schemas()  # looked up again
    source.close()


def test_an_address_that_cannot_be_read_is_said_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", SECRET)
    source = open_source(define("postgresql://me@host:notaport/db", password="env:A_SECRET"))
    with pytest.raises(Error) as caught:
        source.schemas()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    source.close()


def test_a_password_that_was_changed_is_looked_up_again(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.start()
    postgres.create_user("rotating", password="first")
    monkeypatch.setenv("A_SECRET", "first")
    source = open_source(define(f"postgresql://rotating@127.0.0.1:{postgres.port}/postgres", password="env:A_SECRET"))
    assert "public" in source.schemas()
    postgres.sql("ALTER ROLE rotating PASSWORD 'second'")
    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotating'")
    with pytest.raises(OperationalError) as caught:
        source.schemas()
    assert caught.value.sqlstate.startswith("28")
    monkeypatch.setenv("A_SECRET", "second")
    assert "public" in source.schemas()
    source.close()
    postgres.drop_user("rotating")


def test_what_a_driver_says_is_shown_without_secrets(tmp_path: Path) -> None:
    secrets = Secrets(["hunter2"])
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    source = SqliteSource(define(f"sqlite:///{tmp_path}/x.db"))
    source._secrets = secrets
    assert "*** is wrong" in str(source.translated(OSError("hunter2 is wrong"), "doing"))
    database = adbc_driver_sqlite.connect(":memory:")
    link = Link(adbc_driver_manager.AdbcConnection(database), source.translated, None, secrets)
    with pytest.raises(Error) as caught:
        link.update(f"SELECT hunter{1 + 1}", "doing")  # not in the lines that the traceback shows
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    link.close()
    database.close()


def test_secrets_are_starred_in_all_their_forms() -> None:
    secrets = Secrets.of({"password": SECRET, "user": "me"})
    assert secrets.hidden(f"a {SECRET} b hunter2-%25%2F%C3%A9 c me") == "a *** b *** c me"
    assert secrets.within("hunter2-%25/%C3%A9") and not secrets.within("hunter2")


@pytest.mark.parametrize("kind", [kind for kind in OPTIONS if kind != "adbc"])
def test_an_unknown_option_is_refused_with_those_that_there_are(kind: str) -> None:
    with pytest.raises(InvalidParameter, match="passwort") as caught:
        check_options(kind, {"passwort": "x"})
    assert "pool_size" in str(caught.value)
    check_options(kind, {option.name: "x" for option in OPTIONS[kind]})


@pytest.mark.parametrize(
    ("uri", "type_", "kind"),
    [
        ("postgresql://h/d", None, "postgres"), ("postgres://h/d", None, "postgres"), ("sqlite:///f", None, "sqlite"),
        ("grpc+tls://h:1", None, "flight"), ("duckdb:///f", None, "duckdb"), ("s3://b/x/*.parquet", None, "files"),
        ("folder", None, "files"), ("x", "ADBC", "adbc"), ("f.db", "sqlite", "sqlite"), ("h", "PostgreSQL", "postgres"),
    ],
)  # fmt: skip
def test_the_kind_is_told_by_the_type_or_the_scheme(uri: str, type_: str | None, kind: str) -> None:
    assert kind_of(uri, type_) == kind


def test_a_type_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="oracle"):
        kind_of("x", "oracle")


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("postgresql", "pool_size", "0"),
        ("postgresql", "pool_size", "many"),
        ("postgresql", "connect_timeout", "-1"),
        ("postgresql", "numeric", "int"),
        ("sqlite", "busy_timeout", "soon"),
    ],
)
def test_an_option_with_a_wrong_value_is_refused_at_once(kind: str, option: str, value: str) -> None:
    with pytest.raises(InvalidParameter, match=option):
        open_source(define(f"{kind}:///x", **{option: value}))
