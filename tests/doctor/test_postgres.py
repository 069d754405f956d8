"""What doctor finds in a PostgreSQL database, which it leaves as it was."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jammi_sql.doctor.postgres import Database
from jammi_sql.doctor.postgres import schema as schema_check
from jammi_sql.doctor.postgres.clock import clock
from jammi_sql.doctor.postgres.server import durability, encryption, version, writable
from jammi_sql.doctor.postgres.sessions import free_connections, pooler
from jammi_sql.doctor.postgres.space import slots
from jammi_sql.doctor.secrets import Address
from jammi_sql.errors import OperationalError
from jammi_sql.stores.migrations import Migration
from tests.doctor.conftest import Found, found
from tests.servers.postgres import PostgresServer

KNOWN = (Migration(1, "topics", "CREATE TABLE topic (a int)"), Migration(2, "tables", "CREATE TABLE more (a int)"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server with the settings of one in use: that of the other tests syncs nothing, which would be found."""
    server = PostgresServer(Path(tempfile.mkdtemp(prefix="jammi-postgres-")), settings={"fsync": "on"})
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def user(postgres: PostgresServer) -> Iterator[str]:
    """A user without any privilege but to connect."""
    postgres.start()
    postgres.create_user("shop", password="sesame")
    yield "shop"
    postgres.sql("DROP OWNED BY shop")
    postgres.drop_user("shop")


@pytest.fixture
def database(postgres: PostgresServer, user: str) -> Iterator[str]:
    """The name of an empty database, which is gone before its user is."""
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)


def look(postgres: PostgresServer, database: str, *, user: str = "shop", schema: str = "jammi") -> Found:
    password = "sesame" if user == "shop" else None
    return found(postgres.url(database, user=user, password=password), schema=schema)


def make_store(postgres: PostgresServer, database: str, migrations: Sequence[Migration], owner: str = "shop") -> None:
    rows = "".join(
        f"INSERT INTO jammi.migration VALUES ({each.number}, '{each.name}', '{each.checksum}', 0);"
        for each in migrations
    )
    postgres.sql(
        f"""CREATE SCHEMA jammi AUTHORIZATION {owner}; SET ROLE {owner};
        CREATE TABLE jammi.migration (number bigint, name text, checksum text, applied_us bigint);
        CREATE TABLE jammi.topic (a int); {rows}""",
        database,
    )


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_check, "load_migrations", lambda kind: KNOWN)


# --- on a real server ---


def test_an_empty_database_is_ready_for_who_may_make_the_schema(postgres: PostgresServer, database: str) -> None:
    report = look(postgres, database, user="postgres")
    assert report.bad == ["schema"]  # which connecting makes
    assert report.level("schema") == "warning"
    assert "may make it" in report.text("privileges")
    assert report.level("pooler") == "ok"
    assert "does not leave this machine" in report.text("encryption")


def test_a_store_in_order_has_nothing_to_complain_of(postgres: PostgresServer, database: str, known: None) -> None:
    make_store(postgres, database, KNOWN)
    report = look(postgres, database)
    assert report.bad == []
    assert "version 2" in report.text("schema")
    assert "the 2 tables" in report.text("privileges")


def test_nothing_is_changed(postgres: PostgresServer, database: str) -> None:
    text = "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_roles), pg_current_xact_id()"

    def state() -> list[str]:
        (row,) = postgres.sql(text, database)
        return [*row[:3], str(int(row[3]) - state.asked)]  # type: ignore[attr-defined]

    state.asked = 0  # type: ignore[attr-defined] # the question itself takes a number, a read takes none
    before = state()
    look(postgres, database, user="postgres")
    state.asked = 1  # type: ignore[attr-defined]
    assert state() == before


def test_who_may_not_make_the_schema_is_told_what_to_grant(postgres: PostgresServer, database: str) -> None:
    report = look(postgres, database)
    assert report.level("privileges") == "problem"
    grant = report.text("privileges").partition("or ")[2]
    postgres.sql(grant, database)
    assert look(postgres, database).level("privileges") == "ok"


def test_who_may_not_use_the_schema_is_told_what_to_grant(postgres: PostgresServer, database: str, known: None) -> None:
    make_store(postgres, database, KNOWN, owner="postgres")
    report = look(postgres, database)
    assert report.level("privileges") == "problem"
    assert "USAGE and CREATE on schema jammi" in report.text("privileges")
    assert "SELECT, INSERT, UPDATE, DELETE on migration" in report.text("privileges")
    assert report.level("schema") == "problem"  # it cannot be read
    for finding in report.of("privileges"):
        postgres.sql(finding.advice.partition(": ")[2], database)
    report = look(postgres, database)
    assert report.level("privileges") == "warning"  # which the user does not own
    assert report.level("schema") == "ok"
    postgres.sql("REVOKE DELETE ON jammi.topic FROM shop", database)
    assert "lacks DELETE on topic ->" in look(postgres, database).text("privileges")


@pytest.mark.parametrize(
    ("applied", "level", "said"),
    [
        ((), "warning", "no schema yet"),
        (KNOWN[:1], "warning", "pending: 0002_tables"),
        ((*KNOWN, Migration(3, "later", "")), "problem", "schema version 3"),
        ((KNOWN[0], Migration(2, "tables", "another text")), "problem", "another text"),
    ],
    ids=["none", "pending", "newer", "other"],
)
def test_the_schema_is_compared_with_what_is_known(
    postgres: PostgresServer, database: str, known: None, applied: Sequence[Migration], level: str, said: str
) -> None:
    make_store(postgres, database, applied)
    report = look(postgres, database)
    assert report.level("schema") == level
    assert said in report.text("schema")


def test_another_schema_is_looked_at_when_it_is_named(postgres: PostgresServer, database: str, known: None) -> None:
    make_store(postgres, database, KNOWN)
    postgres.sql('ALTER SCHEMA jammi RENAME TO "My ""own"""', database)
    assert look(postgres, database, schema='My "own"').bad == []
    assert look(postgres, database).bad == ["privileges", "schema"]


@pytest.mark.parametrize(
    ("setting", "check", "level"),
    [
        ("synchronous_commit = off", "durability", "problem"),
        ("default_transaction_read_only = on", "writable", "problem"),
        ("idle_in_transaction_session_timeout = '5s'", "timeouts", "warning"),
        ("statement_timeout = '30s'", "timeouts", "warning"),
        ("idle_session_timeout = '1h'", "timeouts", "warning"),
    ],
)
def test_a_setting_that_hurts_is_found_and_the_advice_names_it(
    postgres: PostgresServer, database: str, setting: str, check: str, level: str
) -> None:
    postgres.sql(f"ALTER ROLE shop SET {setting}")
    report = look(postgres, database)
    assert report.level(check) == level
    assert setting.partition(" ")[0] in report.text(check)


@pytest.mark.parametrize(
    ("setting", "check"), [("autovacuum = off", "upkeep"), ("full_page_writes = off", "durability")]
)
def test_a_setting_of_the_server_that_hurts_is_found(
    postgres: PostgresServer, database: str, setting: str, check: str
) -> None:
    name = setting.partition(" ")[0]
    postgres.sql(f"ALTER SYSTEM SET {setting}")
    try:
        postgres.restart()
        assert look(postgres, database).level(check) == "warning"
    finally:
        postgres.sql(f"ALTER SYSTEM RESET {name}")
        postgres.restart()


def test_an_encoding_that_lacks_texts_is_a_problem(postgres: PostgresServer, user: str) -> None:
    postgres.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0")
    try:
        assert "LATIN1" in look(postgres, "latin").text("encoding")
    finally:
        postgres.drop_database("latin")


@pytest.mark.parametrize(("limit", "level"), [(2, "problem"), (10, "warning"), (-1, "ok")])
def test_connections_that_run_out_are_told(postgres: PostgresServer, database: str, limit: int, level: str) -> None:
    postgres.sql(f"ALTER ROLE shop CONNECTION LIMIT {limit}")
    assert look(postgres, database).level("connections") == level


def test_a_server_that_does_not_run_is_a_problem(postgres: PostgresServer, database: str) -> None:
    postgres.stop()
    try:
        report = look(postgres, database)
    finally:
        postgres.start()
    assert report.checks == ["versions", "connection"]
    assert "refused" in report.text("connection")


def test_a_socket_will_do_as_well(postgres: PostgresServer, database: str) -> None:
    report = found(postgres.socket_url(database, user="shop"))
    assert report.level("connection") == "ok"
    assert report.level("encryption") == "ok"


# --- what no server here is like ---


class Answers:
    """A session that answers each query by what is in it."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.refuses: str | None = None

    def rows(self, text: str, parameters: Sequence[str] = ()) -> list[dict[str, Any]]:
        for part, answer in self.answers.items():
            if part in text or part in parameters:
                value = answer.pop(0) if isinstance(answer, list) else answer
                return value if isinstance(value, list) else [value if isinstance(value, dict) else {"value": value}]
        raise AssertionError(text)

    def twice(self, text: str) -> None:
        if self.refuses is not None:
            raise OperationalError(self.refuses)


def fake(**answers: Any) -> Database:
    return Database(Answers(**answers), Address.of("postgresql://shop@db.example/shop"), "jammi")


def levels(findings: Any) -> list[str]:
    return [finding.level.value for finding in findings]


@pytest.mark.parametrize(("number", "level"), [("130022", "problem"), ("140000", "ok"), ("190001", "ok")])
def test_an_old_server_is_a_problem(number: str, level: str) -> None:
    assert levels(version(fake(server_version_num=number, server_version="x"))) == [level]


def test_a_standby_takes_no_writes() -> None:
    (finding,) = writable(fake(pg_is_in_recovery=True))
    assert finding.level.value == "problem"
    assert "target_session_attrs" in finding.advice


def test_a_server_without_fsync_loses_data() -> None:
    answers = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "local"}
    assert levels(durability(fake(**answers))) == ["problem", "warning"]


@pytest.mark.parametrize(
    ("row", "level"),
    [
        ({"client": "10.0.0.1", "server": "10.0.0.2", "encrypted": False}, "warning"),
        ({"client": "10.0.0.1", "server": "10.0.0.2", "encrypted": True}, "ok"),
        ({"client": "127.0.0.1", "server": "127.0.0.1", "encrypted": False}, "ok"),
        ({"client": "", "server": "", "encrypted": False}, "ok"),
    ],
)
def test_an_open_connection_over_a_network_is_a_warning(row: dict[str, Any], level: str) -> None:
    assert levels(encryption(fake(encrypted=row))) == [level]


@pytest.mark.parametrize(
    ("ahead", "level", "said"), [(0.0, "ok", ""), (2.0, "warning", "ahead of"), (-90.0, "problem", "behind")]
)
def test_clocks_that_are_apart_are_told(postgres: PostgresServer, ahead: float, level: str, said: str) -> None:
    postgres.start()
    ours = time.time()
    moments = iter([ours, ours + 0.2] * 3)  # each question takes 0.2 s
    (finding,) = clock(fake(clock_timestamp=[int((ours + 0.1 + ahead) * 1e6)] * 3), lambda: next(moments))
    assert finding.level.value == level
    assert said in finding.message
    assert "± 0.100 s" in finding.message


def test_a_difference_that_may_be_the_network_s_is_none() -> None:
    moments = iter([0.0, 4.0] * 3)
    assert levels(clock(fake(clock_timestamp=[int(3.9 * 1e6)] * 3), lambda: next(moments))) == ["ok"]


def test_a_pooler_that_changes_the_connection_is_noticed() -> None:
    assert levels(pooler(fake(pg_backend_pid=[1, 1, 2, 1, 1]))) == ["warning"]


def test_a_pooler_that_forgets_prepared_statements_is_noticed() -> None:
    database = fake(pg_backend_pid=[1] * 5)
    assert isinstance(database.session, Answers)
    database.session.refuses = 'prepared statement "s1" does not exist'
    (finding,) = pooler(database)
    assert finding.level.value == "problem"
    assert "pool_mode = session" in finding.advice


def test_the_least_limit_counts() -> None:
    def free(server: int, database: int, role: int) -> tuple[str, str]:
        row = {"most": 100, "server": server, "database": database, "role": role}
        (finding,) = free_connections(fake(max_connections=row))
        return finding.level.value, finding.message

    assert free(50, -1, -1)[0] == "ok"
    assert free(50, 7, 9) == ("warning", "7 more connections are free for the database (max_connections 100)")
    assert free(-2, -1, -1) == ("problem", "0 more connections are free for the server (max_connections 100)")


def test_a_replication_slot_that_nobody_reads_is_a_warning() -> None:
    rows = [{"name": "old", "held": 5 << 30}, {"name": "new", "held": 1 << 20}]
    database = fake(pg_replication_slots=[rows], pg_is_in_recovery=False)
    (finding,) = slots(database)
    assert "slot old" in finding.message
    assert "5.0 GiB" in finding.message
