"""Rows, keys, constraints, counts and error texts of companion tables stay inside their tenant."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.tables import MutableTableDefinition
from jammi_sql.tenancy import TenantId
from tests.targets import another

from .language import fails, rows, value, values

pytestmark = pytest.mark.both_stores

A = TenantId("6f1c1f0e-0000-4000-8000-00000000000a")
B = TenantId("6f1c1f0e-0000-4000-8000-00000000000b")


@pytest.fixture
def a(conn: Connection) -> Iterator[Connection]:
    with another(conn, A) as connection:
        yield connection


@pytest.fixture
def b(conn: Connection) -> Iterator[Connection]:
    with another(conn, B) as connection:
        yield connection


@pytest.fixture
def g(conn: Connection, a: Connection, b: Connection) -> Connection:
    conn.execute("CREATE TABLE g (id INT PRIMARY KEY, v VARCHAR UNIQUE)")
    conn.execute("INSERT INTO g VALUES (1, 'global'), (2, 'two')")
    a.execute("INSERT INTO g VALUES (1, 'of a'), (3, 'global')")
    b.execute("INSERT INTO g VALUES (1, 'of b')")
    return conn


def test_a_tenant_reads_its_rows_and_the_global_ones(g: Connection, a: Connection, b: Connection) -> None:
    for _ in range(2):  # from the store, then from memory
        assert rows(g, "SELECT * FROM g ORDER BY id") == [(1, "global"), (2, "two")]
        assert rows(a, "SELECT * FROM g ORDER BY id, v") == [(1, "global"), (1, "of a"), (2, "two"), (3, "global")]
        assert rows(b, "SELECT * FROM g ORDER BY id, v") == [(1, "global"), (1, "of b"), (2, "two")]
        assert [value(session, "SELECT count(*) FROM g") for session in (g, a, b)] == [2, 4, 3]
        assert [value(session, "SELECT rows FROM jammi.system.tables") for session in (g, a, b)] == [2, 4, 3]
        assert [values(session, "SELECT v FROM g WHERE id = 1 ORDER BY v") for session in (g, b)] == [
            ["global"],
            ["global", "of b"],
        ]
        assert [values(session, "SELECT id FROM g WHERE v = 'of a'") for session in (g, a, b)] == [[], [1], []]


def test_keys_and_unique_constraints_are_each_tenants_own(g: Connection, a: Connection, b: Connection) -> None:
    for session in (g, a, b):
        with fails("23505", errors.IntegrityError) as raised:
            session.execute("INSERT INTO g VALUES (1, 'x')")
        assert "tenant" not in str(raised.value)
    b.execute("INSERT INTO g VALUES (3, 'of a')")
    g.execute("INSERT INTO g VALUES (3, 'of a')")
    with fails("23505", errors.IntegrityError):
        a.execute("UPDATE g SET v = 'global' WHERE v = 'of a'")


def test_changes_reach_the_sessions_own_rows_alone(g: Connection, a: Connection, b: Connection) -> None:
    assert a.execute("UPDATE g SET v = v || '!'").rowcount == 2
    assert sorted(rows(b, "UPDATE g SET id = id + 10 RETURNING *")) == [(11, "of b")]
    assert b.execute("DELETE FROM g WHERE id = 2").rowcount == 0
    assert a.execute("DELETE FROM g WHERE v LIKE 'global%'").rowcount == 1
    assert rows(g, "SELECT * FROM g ORDER BY id") == [(1, "global"), (2, "two")]
    b.execute("TRUNCATE TABLE g")
    assert g.execute("DELETE FROM g").rowcount == 2
    assert rows(a, "SELECT * FROM g") == [(1, "of a!")]
    assert rows(b, "SELECT * FROM g") == []


def test_a_key_shift_of_one_tenant_moves_nobody_else(g: Connection, a: Connection, b: Connection) -> None:
    a.execute("UPDATE g SET id = 4 - id")
    assert rows(a, "SELECT id, v FROM g WHERE v = 'of a'") == [(3, "of a")]
    assert rows(b, "SELECT id, v FROM g WHERE v = 'of b'") == [(1, "of b")]
    assert rows(g, "SELECT id, v FROM g ORDER BY id") == [(1, "global"), (2, "two")]


def test_merge_and_on_conflict_know_the_tenants_own_rows(g: Connection, a: Connection, b: Connection) -> None:
    assert (
        b.execute(
            "INSERT INTO g VALUES (1, 'x'), (2, 'y') ON CONFLICT (id) DO UPDATE SET v = g.v || excluded.v"
        ).rowcount
        == 2
    )
    assert rows(b, "SELECT * FROM g ORDER BY id, v") == [(1, "global"), (1, "of bx"), (2, "two"), (2, "y")]
    assert b.execute("INSERT INTO g VALUES (3, 'z'), (1, 'z') ON CONFLICT DO NOTHING").rowcount == 1
    statement = "MERGE INTO g USING (VALUES (1), (2), (3)) AS s (id) ON g.id = s.id WHEN MATCHED THEN UPDATE SET v = 'merged ' || s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'made ' || s.id) WHEN NOT MATCHED BY SOURCE THEN DELETE"
    assert a.execute(statement).rowcount == 3
    a.execute("BEGIN")
    a.execute("ROLLBACK")
    assert sorted(values(a, "SELECT v FROM g")) == ["global", "made 2", "merged 1", "merged 3", "two"]
    assert values(g, "SELECT v FROM g ORDER BY id") == ["global", "two"]
    assert sorted(values(b, "SELECT v FROM g")) == ["global", "of bx", "two", "y", "z"]


def test_sub_queries_read_as_the_tenant(g: Connection, a: Connection, b: Connection) -> None:
    b.execute("CREATE TABLE own (n INT)")
    b.execute("INSERT INTO own SELECT count(*) FROM g")
    b.execute("UPDATE own SET n = n + (SELECT count(*) FROM g)")
    assert values(b, "SELECT n FROM own") == [6]
    a.execute("CREATE TABLE own AS SELECT max(v) AS v FROM g WHERE id IN (SELECT id FROM g WHERE v = 'of b')")
    assert values(a, "SELECT v FROM own") == [None]


def test_another_tenants_table_is_unknown_in_every_statement(conn: Connection, a: Connection, b: Connection) -> None:
    a.execute("CREATE TABLE secret (id INT PRIMARY KEY, classified VARCHAR)")
    a.execute("CREATE INDEX hidden ON secret (classified)")
    a.execute("INSERT INTO secret VALUES (1, 'x')")
    a.execute("CREATE TABLE odd.secret (id INT)")
    for session in (b, conn):
        for statement in (
            "SELECT * FROM secret", "INSERT INTO secret VALUES (1, 'x')", "UPDATE secret SET id = 1", "DELETE FROM secret",
            "MERGE INTO secret USING secret AS s ON true WHEN MATCHED THEN DELETE", "TRUNCATE TABLE secret", "DROP TABLE secret",
            "ALTER TABLE secret ADD COLUMN x INT", "CREATE INDEX i ON secret (id)", "DESCRIBE secret", "SELECT * FROM odd.secret",
        ):  # fmt: skip
            with fails("42P01") as raised:
                session.execute(statement).fetchall()
            assert "classified" not in str(raised.value)
        with fails("42704"):
            session.execute("DROP INDEX hidden")
        assert values(session, "SELECT name FROM jammi.system.tables") == []
        assert "secret" not in values(session, "SELECT table_name FROM information_schema.tables")
        assert "classified" not in values(session, "SELECT column_name FROM information_schema.columns")
        assert "odd" not in values(session, "SELECT schema_name FROM information_schema.schemata")
        assert "secret" not in [row[2] for row in rows(session, "SHOW TABLES")]
        session.execute("CREATE TABLE secret (other DOUBLE)")
        session.execute("CREATE INDEX hidden ON secret (other)")
        assert values(session, "SELECT * FROM secret") == []
        session.execute("DROP TABLE secret")
    assert rows(a, "SELECT * FROM secret") == [(1, "x")]


def test_a_tenants_own_name_comes_before_a_global_one(g: Connection, a: Connection, b: Connection) -> None:
    a.execute("CREATE TABLE g (mine VARCHAR)")
    a.execute("INSERT INTO g VALUES ('m')")
    a.execute("UPDATE g SET mine = upper(mine)")
    assert rows(a, "SELECT * FROM g") == [("M",)]
    assert value(b, "SELECT count(*) FROM g") == 3
    b.execute("CREATE TOPIC g (event INT)")
    b.execute("INSERT INTO g VALUES (5)")
    assert rows(b, "SELECT event FROM g") == [(5,)]
    with fails("42809", errors.AppendOnlyTopic):
        b.execute("DELETE FROM g")
    a.execute("DROP TABLE g")
    b.execute("DROP TOPIC g")
    assert value(a, "SELECT count(*) FROM g") == 4
    assert value(b, "SELECT count(*) FROM g") == 3


def test_a_global_table_is_changed_for_everybody_by_nobody_who_has_a_tenant(g: Connection, a: Connection) -> None:
    for statement in (
        "DROP TABLE g", "ALTER TABLE g ADD COLUMN x INT", "ALTER TABLE g DROP COLUMN v", "ALTER TABLE g RENAME TO h",
        "ALTER TABLE g RENAME COLUMN v TO w", "CREATE INDEX i ON g (v)",
    ):  # fmt: skip
        with fails("42501", errors.PermissionDenied):
            a.execute(statement)
    with fails("42501", errors.PermissionDenied):
        a.cursor().adbc_ingest("g", pa.table({"x": [1]}), mode="replace")
    assert value(g, "SELECT count(*) FROM g") == 2


def test_a_tenant_may_make_a_global_table(conn: Connection, a: Connection, b: Connection) -> None:
    a.execute("CREATE GLOBAL TABLE shared (id INT PRIMARY KEY)")
    a.execute("INSERT INTO shared VALUES (1)")
    b.execute("INSERT INTO shared VALUES (1)")
    conn.execute("INSERT INTO shared VALUES (2)")
    assert values(b, "SELECT id FROM shared ORDER BY id") == [1, 2]
    assert values(conn, "SELECT id FROM shared") == [2]
    assert values(b, "SELECT tenant FROM jammi.system.tables") == [None]


def test_altering_a_global_table_reaches_the_rows_of_every_tenant(g: Connection, a: Connection, b: Connection) -> None:
    g.execute("ALTER TABLE g ADD COLUMN n INT NOT NULL DEFAULT 7")
    g.execute("ALTER TABLE g RENAME COLUMN v TO w")
    assert rows(a, "SELECT * FROM g WHERE w = 'of a'") == [(1, "of a", 7)]
    assert rows(b, "SELECT * FROM g WHERE w = 'of b'") == [(1, "of b", 7)]


def test_a_default_that_is_the_tenant(conn: Connection, a: Connection, b: Connection) -> None:
    conn.execute("CREATE TABLE g (id INT, who VARCHAR DEFAULT current_tenant())")
    for session in (conn, a, b):
        session.execute("INSERT INTO g (id) VALUES (1)")
    assert sorted(values(a, "SELECT who FROM g"), key=str) == sorted([None, str(A)], key=str)


def test_the_tenant_may_change_inside_a_transaction(g: Connection, a: Connection, b: Connection) -> None:
    g.execute("BEGIN")
    g.execute(f"SET tenant = '{A}'")
    assert g.execute("UPDATE g SET v = 'new'  WHERE id = 1").rowcount == 1
    with g.tenant_scope(B):
        assert values(g, "UPDATE g SET v = 'newer' RETURNING id") == [1]
    g.execute("COMMIT")
    assert values(a, "SELECT v FROM g WHERE id = 1 ORDER BY v") == ["global", "new"]
    assert values(b, "SELECT v FROM g WHERE id = 1 ORDER BY v") == ["global", "newer"]


@pytest.mark.in_process("uses the engine's Python interface")
def test_the_interface_keeps_tenants_apart(conn: Connection, a: Connection, b: Connection) -> None:
    registry = conn.engine.mutable_tables
    schema = pa.schema([pa.field("id", pa.int64())])
    for tenant in (A, B, None):
        registry.register(MutableTableDefinition("t", schema, ("id",), tenant))
    batch = pa.record_batch({"id": [1]})
    registry.insert_batch("t", batch, A)
    registry.insert_batch("t", pa.record_batch({"id": [1, 2]}), B)
    assert registry.scan("t", A).read_all().to_pylist() == [{"id": 1}]
    assert registry.scan("t", B).read_all().num_rows == 2
    assert registry.scan("t").read_all().num_rows == 0
    assert registry.get("t", A).tenant == A
    assert registry.get("t").tenant is None
    assert len(registry.list(A)) == 1
    assert values(a, "SELECT id FROM t") == [1]
    registry.drop("t", A)
    assert registry.get("t", A).tenant is None
    with pytest.raises(errors.PermissionDenied):
        registry.drop("t", A)
