"""Tenants: who sees what, in every statement."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.topics import TopicDefinition
from tests.targets import another

from .language import fails, rows, value, values

A = "0190a000-0000-7000-8000-00000000000a"
B = "0190b000-0000-7000-8000-00000000000b"


@pytest.fixture
def a(conn: Connection) -> Iterator[Connection]:
    with another(conn, A) as connection:
        yield connection


@pytest.fixture
def b(conn: Connection) -> Iterator[Connection]:
    with another(conn, B) as connection:
        yield connection


def test_the_tenant_is_set_shown_and_reset(conn: Connection) -> None:
    assert value(conn, "SHOW tenant") is None
    assert value(conn, "SELECT current_tenant()") is None
    conn.execute(f"SET tenant = '{A.upper()}'")
    assert value(conn, "SHOW tenant") == A
    assert value(conn, "SELECT current_tenant()") == A
    assert str(conn.tenant) == A
    conn.execute("SET TENANT TO ?", [B])
    assert value(conn, "SELECT current_tenant()") == B
    conn.execute("RESET tenant")
    assert value(conn, "SHOW TENANT") is None
    with conn.tenant_scope(A):
        assert value(conn, "SELECT current_tenant()") == A
    assert value(conn, "SELECT current_tenant()") is None


@pytest.mark.parametrize("text", ["'x'", "''", "'00000000-0000-0000-0000-000000000000'", "1"])
def test_a_tenant_is_a_uuid_other_than_nil(a: Connection, text: str) -> None:
    with fails("22023"):
        a.execute(f"SET tenant = {text}")
    assert value(a, "SHOW tenant") == A


def test_a_tenant_reads_its_own_and_the_global_rows(conn: Connection, a: Connection, b: Connection) -> None:
    conn.execute("CREATE TOPIC g (x INT)")
    conn.execute("INSERT INTO g VALUES (0)")
    a.execute("INSERT INTO g VALUES (1)")
    b.execute("INSERT INTO g VALUES (2)")
    a.execute("INSERT INTO g VALUES (3)")
    for source in ("g", "subscribe('g', until => 'latest')"):
        assert values(conn, f"SELECT x FROM {source} ORDER BY x") == [0]
        assert values(a, f"SELECT x FROM {source} ORDER BY x") == [0, 1, 3]
        assert values(b, f"SELECT x FROM {source} ORDER BY x") == [0, 2]
    assert values(a, "SELECT x FROM subscribe('g', from => 0) LIMIT 3") == [0, 1, 3]
    assert values(b, "SELECT x FROM subscribe('g', from => 0) LIMIT 2") == [0, 2]
    assert rows(a, "SELECT _tenant_id, x FROM g ORDER BY x") == [(None, 0), (A, 1), (A, 3)]
    assert value(a, "SELECT count(*) FROM g WHERE _tenant_id = ?", [B]) == 0
    assert value(a, "SELECT count(*) FROM g") == 3
    assert [value(who, "SELECT rows FROM jammi.system.topics") for who in (conn, a, b)] == [1, 3, 2]
    sizes = [value(who, "SELECT bytes FROM jammi.system.topics") for who in (conn, a, b)]
    assert sizes[0] < sizes[2] < sizes[1]
    assert value(a, "SELECT max(_offset) FROM g") == 3
    assert value(b, "SELECT max(_offset) FROM g") == 2


def test_live_rows_of_another_tenant_do_not_arrive(conn: Connection, a: Connection, b: Connection) -> None:
    conn.execute("CREATE TOPIC g (x INT)")
    live = a.execute("SELECT x FROM subscribe('g')")
    b.execute("INSERT INTO g VALUES (2)")
    conn.execute("INSERT INTO g VALUES (0)")
    b.execute("INSERT INTO g VALUES (4)")
    a.execute("INSERT INTO g VALUES (1)")
    assert live.fetchone() == (0,)
    assert live.fetchone() == (1,)
    live.close()


EVERY_USE = [
    "SELECT * FROM secret",
    "SELECT * FROM public.secret",
    "SELECT * FROM subscribe('secret')",
    "SELECT * FROM subscribe('secret', until => 'latest')",
    "INSERT INTO secret VALUES (1)",
    "UPDATE secret SET x = 1",
    "DELETE FROM secret",
    "DESCRIBE secret",
    "SHOW CREATE TOPIC secret",
    "ALTER TOPIC secret ADD COLUMN y INT",
    "ALTER TOPIC secret RENAME TO found",
    "ALTER TOPIC secret SET (a = 1)",
    "TRUNCATE TOPIC secret BEFORE 1",
    "DROP TOPIC secret",
    "EXPLAIN SELECT * FROM secret",
    "EXPLAIN INSERT INTO secret VALUES (1)",
    "EXPLAIN SELECT * FROM subscribe('secret', until => 'latest')",
    "CREATE VIEW v AS SELECT * FROM secret",
    "CREATE TEMP TABLE v AS SELECT * FROM secret",
    "COPY secret TO '/nowhere/secret.csv' STORED AS CSV",
]


@pytest.mark.parametrize("statement", EVERY_USE)
def test_another_tenants_topic_is_unknown_and_the_error_is_that_of_no_topic(
    a: Connection, b: Connection, conn: Connection, statement: str
) -> None:
    def text(who: Connection) -> tuple[str, str, int | None, type]:
        with pytest.raises(errors.Error) as raised:
            who.execute(statement)
        return str(raised.value), raised.value.sqlstate, raised.value.position, type(raised.value)

    before = text(b)
    assert before[1] == "42P01"
    a.execute("CREATE TOPIC secret (x INT, password VARCHAR)")
    a.execute("INSERT INTO secret VALUES (42, 'swordfish')")
    assert text(b) == before
    assert text(conn) == before
    assert values(a, "SELECT x FROM secret") == [42]


@pytest.mark.in_process("uses the engine's Python interface")
def test_no_list_shows_another_tenants_topics(conn: Connection, a: Connection, b: Connection) -> None:
    a.execute("CREATE TOPIC hidden.secret (x INT)")
    a.execute("CREATE SCHEMA alone")
    live = a.execute("SELECT x FROM subscribe('hidden.secret')")
    for who in (conn, b):
        for statement in (
            "SHOW TOPICS",
            "SELECT * FROM jammi.system.topics",
            "SELECT * FROM jammi.system.subscriptions",
            "SELECT * FROM jammi.system.segments",
            "SELECT * FROM jammi.system.tables",
            "SHOW TABLES",
            "SELECT * FROM information_schema.tables WHERE table_schema NOT IN ('information_schema', 'system')",
            "SELECT * FROM information_schema.columns WHERE table_schema NOT IN ('information_schema', 'system')",
            "SELECT * FROM information_schema.schemata WHERE schema_name IN ('hidden', 'alone')",
        ):
            found = repr(rows(who, statement))
            assert "secret" not in found, statement
            assert "hidden" not in found, statement
            assert A not in found, statement
        assert "secret" not in repr(who.adbc_get_objects().read_all().to_pylist())
        assert who.engine.topic_repo.list_topics(who.tenant) == []
    assert value(a, "SELECT count(*) FROM jammi.system.subscriptions") == 1
    assert values(a, "SELECT name FROM jammi.system.topics") == ["secret"]
    assert values(a, "SELECT tenant FROM jammi.system.topics") == [A]
    live.close()


def test_the_same_name_is_free_for_every_tenant(conn: Connection, a: Connection, b: Connection) -> None:
    conn.execute("CREATE TOPIC t (x INT)")
    a.execute("CREATE TOPIC t (y VARCHAR)")
    b.execute("CREATE TOPIC t (z DOUBLE, w INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    a.execute("INSERT INTO t VALUES ('a')")
    b.execute("INSERT INTO t VALUES (0.5, 2)")
    assert rows(conn, "SELECT _offset, x FROM t") == [(0, 1)]
    assert rows(a, "SELECT _offset, y FROM t") == [(0, "a")]
    assert rows(b, "SELECT _offset, z, w FROM t") == [(0, 0.5, 2)]
    with fails("42P07"):
        a.execute("CREATE TOPIC t (y VARCHAR)")
    a.execute("DROP TOPIC t")
    assert rows(a, "SELECT x FROM t") == [(1,)]  # the global one comes to light again
    assert rows(b, "SELECT z FROM t") == [(0.5,)]
    with fails("42703"):
        a.execute("SELECT y FROM t")


def test_a_tenant_may_make_a_global_topic(conn: Connection, a: Connection, b: Connection) -> None:
    a.execute("CREATE GLOBAL TOPIC g (x INT)")
    a.execute("INSERT INTO g VALUES (1)")
    b.execute("INSERT INTO g VALUES (2)")
    conn.execute("INSERT INTO g VALUES (0)")
    assert values(b, "SELECT x FROM g ORDER BY x") == [0, 2]
    assert values(conn, "SELECT x FROM g") == [0]
    assert values(b, "SELECT tenant FROM jammi.system.topics") == [None]


def test_a_tenant_does_not_change_a_global_topic_for_everybody(conn: Connection, a: Connection) -> None:
    conn.execute("CREATE TOPIC g (x INT)")
    conn.execute("INSERT INTO g VALUES (1)")
    for statement in (
        "DROP TOPIC g",
        "TRUNCATE TOPIC g BEFORE 1",
        "ALTER TOPIC g ADD COLUMN y INT",
        "ALTER TOPIC g RENAME TO h",
    ):
        with fails("42501", errors.PermissionDenied):
            a.execute(statement)
    assert values(a, "SELECT x FROM g") == [1]


@pytest.mark.in_process("uses the engine's Python interface")
def test_with_its_definition_in_hand_publishing_is_a_tenant_mismatch(conn: Connection, a: Connection) -> None:
    schema = pa.schema([pa.field("x", pa.int32())])
    definition = TopicDefinition("secret", schema, a.tenant)
    conn.engine.topic_repo.register_topic(definition)
    batch = pa.record_batch({"x": pa.array([1], pa.int32())})
    for tenant in (B, None):
        with fails("42501", errors.PublishTenantMismatch):
            conn.engine.publisher.publish_scoped(definition, tenant, batch)
    assert conn.engine.publisher.publish_scoped(definition, A, batch).value == 0


def test_changing_the_tenant_takes_effect_for_the_next_statement(conn: Connection) -> None:
    conn.execute("CREATE TOPIC g (x INT)")
    conn.execute(f"SET tenant = '{A}'")
    conn.execute("INSERT INTO g VALUES (1)")
    reading = conn.execute("SELECT x FROM g")
    conn.execute(f"SET tenant = '{B}'")
    assert reading.fetchall() == [(1,)]
    assert values(conn, "SELECT x FROM g") == []
    conn.execute("RESET tenant")
    assert values(conn, "SELECT x FROM g") == []


def test_a_view_reads_as_the_tenant_of_the_moment(conn: Connection) -> None:
    conn.execute("CREATE TOPIC g (x INT)")
    conn.execute("CREATE VIEW v AS SELECT x FROM g")
    conn.execute(f"SET tenant = '{A}'")
    conn.execute("INSERT INTO g VALUES (1)")
    conn.execute("CREATE TOPIC own (x INT)")
    conn.execute("INSERT INTO own VALUES (7)")
    conn.execute("CREATE VIEW w AS SELECT x FROM own")
    assert values(conn, "SELECT x FROM v") == [1]
    assert values(conn, "SELECT x FROM w") == [7]
    conn.execute(f"SET tenant = '{B}'")
    assert values(conn, "SELECT x FROM v") == []
    with pytest.raises(errors.Error) as raised:
        rows(conn, "SELECT x FROM w")
    assert raised.value.sqlstate == "42P01"


def test_what_a_session_made_under_a_tenant_is_not_there_under_another(conn: Connection) -> None:
    conn.execute("CREATE TEMP TABLE everybodys AS SELECT 1 AS x")
    conn.execute(f"SET tenant = '{A}'")
    conn.execute("CREATE TEMP TABLE as_secret AS SELECT 'top' AS x")
    conn.execute("PREPARE p AS SELECT current_tenant()")
    assert values(conn, "SELECT x FROM everybodys") == [1]
    conn.execute(f"SET tenant = '{B}'")
    assert values(conn, "SELECT x FROM everybodys") == [1]
    for statement in ("SELECT x FROM as_secret", "EXECUTE p"):
        with pytest.raises(errors.Error) as raised:
            rows(conn, statement)
        assert "top" not in str(raised.value)
    assert "as_secret" not in values(conn, "SELECT table_name FROM information_schema.tables")
    conn.execute(f"SET tenant = '{A}'")
    assert values(conn, "SELECT x FROM as_secret") == ["top"]


def test_an_option_of_datafusion_holds_under_every_tenant(conn: Connection) -> None:
    conn.execute("SET datafusion.execution.batch_size = 77")
    conn.execute(f"SET tenant = '{A}'")
    assert rows(conn, "SHOW datafusion.execution.batch_size")[0][1] == "77"


def test_a_live_join_keeps_the_tenant_of_its_beginning(conn: Connection, a: Connection, b: Connection) -> None:
    conn.execute("CREATE TOPIC g (x INT)")
    conn.execute("CREATE TOPIC facts (what VARCHAR)")
    a.execute("INSERT INTO facts VALUES ('of a')")
    b.execute("INSERT INTO facts VALUES ('of b')")
    live = a.execute("SELECT f.what FROM subscribe('g') AS s CROSS JOIN facts AS f")
    conn.execute("INSERT INTO g VALUES (1)")
    with a.tenant_scope(B):
        assert live.fetchone() == ("of a",)


def test_a_tenant_does_not_drop_a_global_schema(conn: Connection, a: Connection) -> None:
    conn.execute("CREATE TOPIC shared_place.t (x INT)")
    with pytest.raises(errors.PermissionDenied):
        a.execute("DROP SCHEMA shared_place CASCADE")
    assert values(conn, "SELECT count(*) FROM shared_place.t") == [0]


def test_a_tenants_rows_in_an_open_transaction_are_its_own(conn: Connection, a: Connection, b: Connection) -> None:
    conn.execute("CREATE TOPIC g (x INT)")
    a.execute("BEGIN")
    a.execute("INSERT INTO g VALUES (1)")
    a.execute(f"SET tenant = '{B}'")
    assert values(a, "SELECT x FROM g") == []
    a.execute("INSERT INTO g VALUES (2)")
    a.execute("COMMIT")
    assert rows(b, "SELECT _offset, x FROM g") == [(1, 2)]
    assert values(conn, "SELECT x FROM g") == []


def test_dropping_a_schema_takes_only_what_is_the_tenants(conn: Connection, a: Connection, b: Connection) -> None:
    conn.execute("CREATE TOPIC s.g (x INT)")
    a.execute("CREATE TOPIC s.t (x INT)")
    b.execute("CREATE TOPIC s.t (x INT)")
    a.execute("DROP SCHEMA s CASCADE")
    assert rows(a, "SELECT * FROM s.g") == []
    assert rows(b, "SELECT * FROM s.t") == []
    with fails("42P01"):
        a.execute("SELECT * FROM s.t")
