"""``jammi.system.sessions`` and ``queries``, and KILL."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pyarrow as pa
import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.engine.activity import _shown
from tests.topic_support import TENANT_A, TENANT_B

from .language import background, fails, rows, until, value, values

ENDLESS = "SELECT count(*) FROM generate_series(1, 100000000000)"
NOBODY = "00000000-0000-4000-8000-000000000000"


def query(conn: Connection, text: str) -> dict[str, Any]:
    """The statement that runs and has ``text`` in it, other than this one."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        listed = conn.execute("SELECT * FROM jammi.system.queries WHERE statement LIKE ?", (f"%{text}%",))
        found[:] = listed.fetch_arrow_table().to_pylist()
        return bool(found)

    until(look)
    (row,) = found
    return row


def test_a_statement_is_listed_until_its_rows_are_through(conn: Connection, other: Connection) -> None:
    cursor = conn.execute("SELECT value FROM generate_series(1, 100000)")
    row = query(other, "generate_series(1")
    assert uuid.UUID(row["id"]).version == 4
    assert row["session"] in values(other, "SELECT id FROM jammi.system.sessions WHERE queries = 1 AND NOT is_own")
    assert row["statement"] == "SELECT value FROM generate_series(1, 100000)"
    assert (row["state"], row["rows"], row["tenant"]) == ("waiting", 0, None)
    assert dt.timedelta(0) <= row["elapsed"] <= dt.datetime.now(dt.UTC) - row["started"] + dt.timedelta(seconds=1)
    cursor.fetchone()
    again = query(other, "generate_series(1")
    assert again["id"] == row["id"] and 0 < again["rows"] <= 100_000
    cursor.fetchall()
    assert values(other, "SELECT statement FROM jammi.system.queries WHERE state = 'waiting'") == []


def test_what_was_closed_failed_or_only_changed_something_is_not_listed(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TABLE t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("SELECT value FROM generate_series(1, 100000)").close()
    with fails("42P01"):
        conn.execute("SELECT * FROM nowhere")
    cursor = conn.cursor()
    cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    cursor.adbc_ingest("t", pa.table({"a": pa.array([1], pa.int32())}), mode="append")
    assert values(other, "SELECT statement FROM jammi.system.queries") == ["SELECT statement FROM jammi.system.queries"]


def test_an_id_stays_and_fingerprints_differ_by_shape_alone(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    lives = [conn.execute(f"SELECT a FROM subscribe('t') WHERE a > {number}") for number in range(2)]
    live = conn.execute("SELECT a + 1 FROM subscribe('t')")
    listed = "SELECT id, fingerprint FROM jammi.system.queries WHERE state = 'live' ORDER BY started"
    first, second, third = rows(other, listed)
    assert rows(other, listed) == [first, second, third]
    assert first[1] == second[1] != third[1] and len({first[0], second[0], third[0]}) == 3
    for cursor in (*lives, live):
        cursor.close()
    assert rows(other, listed) == []


def test_a_session_is_listed_with_its_transaction(conn: Connection, other: Connection) -> None:
    listed = (
        "SELECT interface, address, user_agent, in_transaction, queries FROM jammi.system.sessions WHERE NOT is_own"
    )
    assert rows(other, listed) == [("python", None, None, False, 0)]
    conn.execute("BEGIN")
    assert rows(other, listed) == [("python", None, None, True, 0)]
    conn.execute("ROLLBACK")
    before = value(other, "SELECT since FROM jammi.system.sessions WHERE is_own")
    with conn.engine.session():
        assert value(other, "SELECT count(*) FROM jammi.system.sessions") == 3
        assert value(other, "SELECT max(since) FROM jammi.system.sessions") > before
    assert value(other, "SELECT count(*) FROM jammi.system.sessions") == 2


def test_kill_ends_a_statement_that_is_at_work_and_its_session_goes_on(conn: Connection, other: Connection) -> None:
    def killed() -> None:
        with fails("57014", errors.OperationalError, hint=False):
            conn.execute(ENDLESS).fetchall()

    with background(killed):
        other.execute(f"KILL '{query(other, '100000000000)')['id']}'")
    assert value(conn, "SELECT 1") == 1
    assert len(values(other, "SELECT id FROM jammi.system.queries")) == 1


def test_kill_ends_a_change_and_nothing_of_it_is_left(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TABLE t (a BIGINT)")

    def killed() -> None:
        with fails("57014", errors.OperationalError, hint=False):
            conn.execute("INSERT INTO t SELECT value FROM generate_series(1, 100000000000)")

    with background(killed):
        other.execute("KILL ?", (query(other, "INSERT INTO t")["id"],))
    assert value(conn, "SELECT count(*) FROM t") == 0


def test_kill_ends_a_live_subscription_and_no_other(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    followed = [conn.execute(f"SELECT a FROM subscribe('t') WHERE a > {least}") for least in (0, 1)]
    killed = query(other, "a > 0")
    assert killed["state"] == "live"
    other.execute("KILL $1", (killed["id"],))
    assert values(other, "SELECT id FROM jammi.system.queries WHERE state = 'live'") == [query(other, "a > 1")["id"]]
    assert value(other, "SELECT count(*) FROM jammi.system.subscriptions") == 1
    with fails("57014", errors.OperationalError, hint=False):
        followed[0].fetchone()
    other.execute("INSERT INTO t VALUES (2)")
    assert followed[1].fetchone() == (2,)
    followed[1].close()


def test_the_id_of_a_subscription_ends_the_statement_that_follows_it(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    followed = [conn.execute(f"SELECT a FROM subscribe('t') WHERE a > {least}") for least in (0, 1)]
    (id_,) = values(other, "SELECT id FROM jammi.system.subscriptions WHERE predicate LIKE '%0%'")
    other.execute("KILL ?", (id_,))
    with fails("57014", errors.OperationalError, hint=False):
        followed[0].fetchone()
    with fails("42704", says="no such query"):
        other.execute("KILL ?", (id_,))
    other.execute("INSERT INTO t VALUES (2)")
    assert followed[1].fetchone() == (2,)
    followed[1].close()


def test_kill_of_a_result_that_waits_for_its_reader_is_told_to_the_reader(conn: Connection, other: Connection) -> None:
    cursor = conn.execute("SELECT value FROM generate_series(1, 10000000)")
    cursor.fetchone()
    later = conn.execute("SELECT 2 AS two")
    other.execute("KILL ?", (query(other, "10000000)")["id"],))
    assert later.fetchall() == [(2,)]
    with fails("57014", errors.OperationalError, hint=False):
        cursor.fetchall()


def test_kill_in_a_transaction_opens_and_ends_none(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    live = conn.execute("SELECT a FROM subscribe('t')")
    other.autocommit = False
    id_ = value(other, "SELECT id FROM jammi.system.queries WHERE state = 'live'")
    other.rollback()
    other.execute("KILL ?", (id_,))
    assert not rows(conn, "SELECT id FROM jammi.system.sessions WHERE in_transaction")
    live.close()


@pytest.mark.parametrize("text", [f"KILL '{NOBODY}'", "KILL ''", "KILL 'x' || 'y'"])
def test_an_id_that_nothing_has_is_said_at_its_place(conn: Connection, text: str) -> None:
    with fails("42704", says="no such query", at=5):
        conn.execute(text)


@pytest.mark.parametrize(
    ("text", "sqlstate", "at"), [("KILL 1", "22023", 5), ("KILL NULL", "22023", 5), ("KILL", "42601", 4)]
)
def test_what_is_no_id_is_refused(conn: Connection, text: str, sqlstate: str, at: int) -> None:
    with fails(sqlstate, errors.ProgrammingError, at=at):
        conn.execute(text)


def test_a_statement_that_is_over_is_no_more_to_be_killed(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    live = conn.execute("SELECT a FROM subscribe('t')")
    id_ = query(other, "SELECT a FROM subscribe")["id"]
    live.close()
    with fails("42704"):
        other.execute(f"KILL '{id_}'")


def test_a_tenant_sees_and_kills_its_own_alone(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    with conn.engine.session(TENANT_A) as alpha, conn.engine.session(TENANT_B) as beta:
        held = [session.execute("SELECT a FROM subscribe('t')") for session in (conn, alpha, beta)]
        lives = {
            session: value(session, "SELECT id FROM jammi.system.queries WHERE state = 'live'")
            for session in (alpha, beta, conn)
        }
        assert len(set(lives.values())) == 3
        assert value(alpha, "SELECT count(*) FROM jammi.system.sessions") == 1
        for id_ in (lives[beta], lives[conn]):
            with fails("42704") as another:
                alpha.execute("KILL ?", (id_,))
            with fails("42704") as none:
                alpha.execute("KILL ?", (NOBODY,))
            assert str(another.value) == str(none.value)
        assert value(beta, "SELECT count(*) FROM jammi.system.queries WHERE state = 'live'") == 1
        alpha.execute("KILL ?", (lives[alpha],))
        for cursor in held:
            cursor.close()


def test_a_statement_belongs_to_the_tenant_that_it_was_begun_for(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    live = conn.execute("SELECT a FROM subscribe('t')")
    conn.execute(f"SET tenant = '{TENANT_A}'")
    assert value(other, "SELECT count(*) FROM jammi.system.queries WHERE state = 'live'") == 1
    assert value(conn, "SELECT count(*) FROM jammi.system.queries WHERE state = 'live'") == 0
    live.close()


def test_literals_that_may_be_credentials_are_not_shown() -> None:
    attach = "ATTACH 'postgresql://me:hush@127.0.0.1:1/x' AS s (password 'hush2') -- hush3"
    external = "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION 's3://b/x' OPTIONS ('aws.secret_access_key' 'hush')"
    assert _shown(attach) == "ATTACH ? AS s (password ?)"
    assert "hush" not in _shown(external) + _shown("SET a = 'hush'") + _shown("'hush") + _shown("/* hush")
    assert _shown("SELECT 'plain'") == "SELECT 'plain'"
