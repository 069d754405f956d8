"""CREATE, ALTER and DROP of companion tables, their keys, defaults and indexes, and where they show."""

from __future__ import annotations

import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql import errors
from jammi_sql.dbapi import Connection

from .language import fails, rows, value, values

pytestmark = pytest.mark.both_stores


@pytest.mark.parametrize(
    "prefix", ["CREATE TABLE", "CREATE MUTABLE TABLE", "CREATE GLOBAL TABLE", "create global mutable table"]
)
def test_every_way_to_begin_a_definition_makes_a_durable_table(tmp_path: object, prefix: str) -> None:
    with jammi_sql.connect(f"{tmp_path}/store") as conn:
        conn.execute(f"{prefix} t (id INT PRIMARY KEY, v VARCHAR)")
        conn.execute("INSERT INTO t VALUES (1, 'x')")
    with jammi_sql.connect(f"{tmp_path}/store") as conn:
        assert rows(conn, "SELECT * FROM t") == [(1, "x")]


def test_a_table_has_exactly_the_columns_of_its_definition(conn: Connection) -> None:
    conn.execute(
        """CREATE TABLE t (id BIGINT NOT NULL, "Odd Name" VARCHAR COMMENT 'how odd', z TIMESTAMPTZ, PRIMARY KEY (id))"""
    )
    schema = conn.execute("SELECT * FROM t").fetch_arrow_table().schema
    assert schema.names == ["id", "Odd Name", "z"]
    assert schema.types == [pa.int64(), pa.string(), pa.timestamp("us", "UTC")]
    assert rows(conn, "DESCRIBE t") == [
        ("id", "BIGINT", "NO", None, "PRIMARY KEY", None),
        ("Odd Name", "VARCHAR", "YES", "how odd", None, None),
        ("z", "TIMESTAMP WITH TIME ZONE", "YES", None, None, None),
    ]


def test_a_primary_key_is_not_null_and_unique(conn: Connection) -> None:
    for definition in (
        "id INT PRIMARY KEY, v INT",
        "id INT, v INT, PRIMARY KEY (id)",
        "id INT, v INT, CONSTRAINT pk PRIMARY KEY (id)",
    ):
        conn.execute(f"CREATE TABLE t ({definition})")
        conn.execute("INSERT INTO t VALUES (1, 1)")
        with fails("23505", errors.IntegrityError, says="id"):
            conn.execute("INSERT INTO t VALUES (2, 2), (1, 3)")
        with fails("23502", errors.IntegrityError, says="id"):
            conn.execute("INSERT INTO t VALUES (3, 3), (NULL, 4)")
        assert rows(conn, "SELECT * FROM t") == [(1, 1)]
        conn.execute("DROP TABLE t")


def test_a_key_of_several_columns_takes_each_combination_once(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a INT, b VARCHAR, v INT, PRIMARY KEY (b, a))")
    conn.execute("INSERT INTO t VALUES (1, 'x', 1), (1, 'y', 2), (2, 'x', 3)")
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO t VALUES (1, 'y', 9)")
    with fails("23502", errors.IntegrityError, says="column a"):
        conn.execute("INSERT INTO t VALUES (NULL, 'y', 9)")
    assert value(conn, "SELECT v FROM t WHERE b = 'y' AND a = 1") == 2


def test_a_unique_constraint_takes_any_number_of_nulls(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT UNIQUE, b INT, c INT, UNIQUE (b, c))")
    conn.execute("INSERT INTO t VALUES (1, NULL, 1, NULL), (2, NULL, 1, NULL), (3, 5, 1, 1)")
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO t VALUES (4, 5, 2, 2)")
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO t VALUES (4, 6, 1, 1)")
    with fails("23505", errors.IntegrityError):
        conn.execute("UPDATE t SET a = 5")
    assert value(conn, "SELECT count(*) FROM t") == 3


def test_keys_compare_as_datafusion_does(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (k VARCHAR PRIMARY KEY)")
    conn.execute("INSERT INTO t VALUES ('a'), ('A'), ('a '), (''), ('é'), ('1'), ('1.0'), ('01')")
    assert value(conn, "SELECT count(*) FROM t") == 8
    conn.execute("CREATE TABLE f (k DOUBLE PRIMARY KEY)")
    conn.execute("INSERT INTO f VALUES ('NaN'::DOUBLE), (1.0), ('inf'::DOUBLE), ('-inf'::DOUBLE)")
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO f VALUES ('NaN'::DOUBLE)")
    conn.execute("CREATE TABLE d (k DECIMAL(10, 2) PRIMARY KEY)")
    conn.execute("INSERT INTO d VALUES (1.10), (1.1 + 1)")
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO d VALUES (1.1)")
    conn.execute("CREATE TABLE b (k BYTEA PRIMARY KEY)")
    conn.execute("INSERT INTO b VALUES (X''), (X'00'), (X'61')")
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO b VALUES (X'00')")
    conn.execute("CREATE TABLE u (k BIGINT UNSIGNED PRIMARY KEY)")
    conn.execute("INSERT INTO u VALUES (18446744073709551615), (0), (9223372036854775808)")
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO u VALUES (18446744073709551615)")
    assert value(conn, "SELECT k FROM u WHERE k = 18446744073709551615") == 2**64 - 1


@pytest.mark.parametrize(
    ("statement", "sqlstate", "at"),
    [
        ("CREATE TABLE x (a INT, a INT)", "42701", 23),
        ("CREATE TABLE x (_a INT)", "42939", 16),
        ("CREATE TABLE x (a INT, PRIMARY KEY (b))", "42703", 36),
        ("CREATE TABLE x (a INT, UNIQUE (b))", "42703", 31),
        ("CREATE TABLE x (a INT, PRIMARY KEY (a, a))", "42701", None),
        ("CREATE TABLE x (a INT PRIMARY KEY, PRIMARY KEY (a))", "42P16", None),
        ("CREATE TABLE x (a INT[] PRIMARY KEY)", "0A000", None),
        ("CREATE TABLE x (a NOPE)", "0A000", 16),
        ("CREATE TABLE x (a INT DEFAULT nope)", "42703", 30),
        ("CREATE TABLE x (a INT, b INT DEFAULT a)", "42703", 37),
        ("CREATE TABLE x (a INT DEFAULT nope(1))", "42883", None),
        ("CREATE TABLE x (a INT DEFAULT 'abc')", "22P02", None),
        ("CREATE TABLE x (a INT CHECK (a > 1))", "0A000", 22),
        ("CREATE TABLE x (a INT REFERENCES y (b))", "0A000", 22),
        ("CREATE TABLE x ()", "42601", 16),
        ("CREATE TABLE x", "42601", None),
        ("CREATE TABLE system.x (a INT)", "42939", 13),
        ("CREATE TABLE information_schema.x (a INT)", "42939", 13),
        ("CREATE TABLE x (a INT) WITH (retention = 'forever')", "22023", None),
    ],
)  # fmt: skip
def test_a_wrong_definition_makes_nothing(conn: Connection, statement: str, sqlstate: str, at: int | None) -> None:
    with fails(sqlstate, errors.DatabaseError, at=at):
        conn.execute(statement)
    assert values(conn, "SELECT name FROM jammi.system.tables") == []


def test_an_existing_table_is_made_again_only_with_if_not_exists(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a INT PRIMARY KEY)")
    conn.execute("INSERT INTO t VALUES (1)")
    with fails("42P07", at=13):
        conn.execute("CREATE TABLE t (a INT PRIMARY KEY)")
    conn.execute("CREATE TABLE IF NOT EXISTS t (a INT PRIMARY KEY)")
    with fails("42804", errors.SchemaConflict):
        conn.execute("CREATE TABLE IF NOT EXISTS t (a VARCHAR PRIMARY KEY)")
    assert values(conn, "SELECT a FROM t") == [1]


def test_a_name_is_one_relation_whatever_its_kind(conn: Connection) -> None:
    conn.execute("CREATE TABLE a_table (a INT)")
    conn.execute("CREATE TOPIC a_topic (a INT)")
    conn.execute("CREATE VIEW a_view AS SELECT 1 AS a")
    conn.execute("CREATE TEMP TABLE a_temp AS SELECT 1 AS a")
    for name in ("a_table", "a_topic", "a_view", "a_temp"):
        for statement in (
            f"CREATE TABLE {name} (b INT)",
            f"CREATE TABLE {name} AS SELECT 1 AS b",
            f"CREATE TOPIC {name} (b INT)",
            f"CREATE VIEW {name} AS SELECT 1 AS b",
            f"CREATE TEMP TABLE {name} AS SELECT 1 AS b",
        ):
            with fails("42P07" if statement.removeprefix("CREATE TOPIC ") != "a_topic (b INT)" else "42804"):
                conn.execute(statement)
        for kind, old in (("TABLE", "a_table"), ("TOPIC", "a_topic")):
            if old != name:
                with fails("42P07"):
                    conn.execute(f"ALTER {kind} {old} RENAME TO {name}")
    assert [value(conn, f"SELECT count(*) FROM {name}") for name in ("a_table", "a_topic", "a_view", "a_temp")] == [
        0,
        0,
        1,
        1,
    ]


@pytest.mark.in_process("uses the engine's Python interface")
def test_a_temporary_table_is_the_sessions_own(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TEMP TABLE scratch AS SELECT 1 AS a")
    conn.execute("CREATE TEMPORARY TABLE typed (a INT)")
    conn.execute("INSERT INTO scratch VALUES (2)")
    assert values(conn, "SELECT a FROM scratch ORDER BY a") == [1, 2]
    with fails("42P01"):
        other.execute("SELECT * FROM scratch")
    assert conn.engine.mutable_tables.list() == []


def test_a_default_is_computed_anew_for_each_row(conn: Connection) -> None:
    conn.execute(
        "CREATE TABLE t (id INT, n DOUBLE DEFAULT random(), w VARCHAR DEFAULT 'a' || 'b', c INT DEFAULT 1 + 2 COMMENT 'x')"
    )
    conn.execute("INSERT INTO t (id) SELECT value FROM range(50)")
    assert value(conn, "SELECT count(DISTINCT n) FROM t") == 50
    assert rows(conn, "SELECT DISTINCT w, c FROM t") == [("ab", 3)]


def test_create_table_as_takes_columns_and_rows(conn: Connection) -> None:
    cursor = conn.execute(
        "CREATE TABLE t AS SELECT value AS id, 'v' || value AS v, CAST(value AS DECIMAL(10, 2)) AS d FROM range(3)"
    )
    assert cursor.rowcount == 3
    table = conn.execute("SELECT * FROM t ORDER BY id").fetch_arrow_table()
    assert table.schema.types == [pa.int64(), pa.string(), pa.decimal128(10, 2)]
    assert table.column("v").to_pylist() == ["v0", "v1", "v2"]
    conn.execute(
        "CREATE TABLE IF NOT EXISTS t AS SELECT value AS id, 'v' || value AS v, CAST(value AS DECIMAL(10, 2)) AS d FROM range(9)"
    )
    assert value(conn, "SELECT count(*) FROM t") == 3
    with fails("42P07", at=13):
        conn.execute("CREATE TABLE t AS SELECT 1 AS a")
    conn.execute("CREATE TABLE copy AS SELECT * FROM t WHERE id > ?", [0])
    assert values(conn, "SELECT id FROM copy ORDER BY id") == [1, 2]
    conn.execute("CREATE TABLE nothing AS SELECT * FROM t WHERE false")
    assert conn.execute("SELECT * FROM nothing").fetch_arrow_table().schema.names == ["id", "v", "d"]


def test_create_table_as_that_fails_leaves_no_table(conn: Connection) -> None:
    with fails("22012", errors.DataError):
        conn.execute("CREATE TABLE t AS SELECT 1 / (value - 99999) AS x FROM range(100000)")
    with fails("42939"):
        conn.execute("CREATE TABLE t AS SELECT 1 AS _x")
    with fails("42701"):
        conn.execute('CREATE TABLE t AS SELECT 1 AS x, 2 AS "x"')
    assert values(conn, "SELECT name FROM jammi.system.tables") == []


def test_create_table_as_takes_a_topic_and_a_replay_but_nothing_without_end(conn: Connection) -> None:
    conn.execute("CREATE TOPIC events (a INT)")
    conn.execute("INSERT INTO events VALUES (1), (2)")
    conn.execute("CREATE TABLE t AS SELECT a FROM events")
    conn.execute("CREATE TABLE u AS SELECT a FROM subscribe('events', until => 'latest')")
    assert values(conn, "SELECT sum(a) FROM t") == values(conn, "SELECT sum(a) FROM u") == [3]
    with fails("0A000", errors.NotSupportedError):
        conn.execute("CREATE TABLE v AS SELECT a FROM subscribe('events')")
    with fails("0A000", errors.NotSupportedError):
        conn.execute("INSERT INTO t SELECT a FROM subscribe('events')")


def test_an_index_changes_no_answer(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a INT, b VARCHAR)")
    conn.execute("INSERT INTO t SELECT value % 10, 'v' || (value % 7) FROM range(1000)")
    asked = "SELECT count(*), sum(a), min(b) FROM t WHERE a = 3 AND b > 'v2'"
    before = rows(conn, asked)
    conn.execute("CREATE INDEX by_a ON t (a, b)")
    assert rows(conn, asked) == before
    conn.execute("CREATE INDEX IF NOT EXISTS by_a ON t (a)")
    with fails("42P07", at=13):
        conn.execute("CREATE INDEX by_a ON t (b)")
    conn.execute("DROP INDEX by_a")
    assert rows(conn, asked) == before
    with fails("42704", at=11):
        conn.execute("DROP INDEX by_a")
    conn.execute("DROP INDEX IF EXISTS by_a")
    with fails("42703", at=21):
        conn.execute("CREATE INDEX i ON t (nope)")
    with fails("42P01", at=18):
        conn.execute("CREATE INDEX i ON nowhere (a)")


def test_a_unique_index_is_a_constraint_while_it_lives(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a INT)")
    conn.execute("INSERT INTO t VALUES (1), (1)")
    with fails("23505", errors.IntegrityError):
        conn.execute("CREATE UNIQUE INDEX u ON t (a)")
    conn.execute("DELETE FROM t")
    conn.execute("CREATE UNIQUE INDEX u ON t (a)")
    conn.execute("INSERT INTO t VALUES (1)")
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING")
    conn.execute("DROP INDEX u")
    conn.execute("INSERT INTO t VALUES (1)")
    assert value(conn, "SELECT count(*) FROM t") == 2


@pytest.fixture
def filled(conn: Connection) -> Connection:
    conn.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR, w DOUBLE)")
    conn.execute("INSERT INTO t VALUES (1, 'x', 'NaN'::DOUBLE), (2, NULL, 0.5)")
    return conn


def test_an_added_column_is_null_in_the_rows_that_are_there(filled: Connection) -> None:
    filled.execute("ALTER TABLE t ADD COLUMN n INT")
    filled.execute("ALTER TABLE t ADD COLUMN IF NOT EXISTS n INT")
    filled.execute("INSERT INTO t VALUES (3, 'z', 1.5, 7)")
    assert rows(filled, "SELECT id, n FROM t ORDER BY id") == [(1, None), (2, None), (3, 7)]
    with fails("42701", at=25):
        filled.execute("ALTER TABLE t ADD COLUMN n INT")
    with fails("42939", at=25):
        filled.execute("ALTER TABLE t ADD COLUMN _n INT")


def test_an_added_column_has_its_default_in_every_row_computed_for_each(filled: Connection) -> None:
    filled.execute("ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7")
    filled.execute("ALTER TABLE t ADD COLUMN r DOUBLE DEFAULT random()")
    filled.execute("ALTER TABLE t ADD COLUMN l INT[] DEFAULT [1, 2]")
    assert rows(filled, "SELECT id, n, l FROM t ORDER BY id") == [(1, 7, [1, 2]), (2, 7, [1, 2])]
    assert value(filled, "SELECT count(DISTINCT r) FROM t") == 2
    filled.execute("INSERT INTO t (id) VALUES (3)")
    assert value(filled, "SELECT n FROM t WHERE id = 3") == 7
    with fails("23502", errors.IntegrityError):
        filled.execute("INSERT INTO t (id, n) VALUES (4, NULL)")


def test_a_not_null_column_without_default_is_added_to_an_empty_table_only(filled: Connection) -> None:
    with fails("23502", errors.IntegrityError):
        filled.execute("ALTER TABLE t ADD COLUMN n INT NOT NULL")
    assert rows(filled, "SELECT * FROM t WHERE id = 2") == [(2, None, 0.5)]
    filled.execute("TRUNCATE TABLE t")
    filled.execute("ALTER TABLE t ADD COLUMN n INT NOT NULL")
    with fails("23502", errors.IntegrityError, says="column n"):
        filled.execute("INSERT INTO t (id) VALUES (1)")


def test_columns_are_dropped_and_their_names_are_free(filled: Connection) -> None:
    filled.execute("ALTER TABLE t DROP COLUMN w")
    assert rows(filled, "SELECT * FROM t ORDER BY id") == [(1, "x"), (2, None)]
    filled.execute("ALTER TABLE t ADD COLUMN w VARCHAR")
    assert values(filled, "SELECT w FROM t") == [None, None]
    filled.execute("ALTER TABLE t DROP COLUMN IF EXISTS nope")
    with fails("42703", at=26):
        filled.execute("ALTER TABLE t DROP COLUMN nope")
    with fails("2BP01"):
        filled.execute("ALTER TABLE t DROP COLUMN id")
    filled.execute("CREATE INDEX i ON t (v)")
    with fails("2BP01", says="index i"):
        filled.execute("ALTER TABLE t DROP COLUMN v")
    filled.execute("DROP INDEX i")
    filled.execute("ALTER TABLE t DROP COLUMN v")


def test_renamed_columns_keep_values_keys_and_defaults(filled: Connection) -> None:
    filled.execute("ALTER TABLE t ADD COLUMN n INT DEFAULT 5")
    for old, new in (("id", "key"), ("w", "V"), ("n", "m")):
        filled.execute(f'ALTER TABLE t RENAME COLUMN {old} TO "{new}"')
    table = filled.execute("SELECT * FROM t ORDER BY key").fetch_arrow_table()
    assert table.schema.names == ["key", "v", "V", "m"]
    assert str(table.column("V")[0].as_py()) == "nan"
    filled.execute("INSERT INTO t (key) VALUES (3)")
    assert value(filled, "SELECT m FROM t WHERE key = 3") == 5
    with fails("23505", errors.IntegrityError, says="key"):
        filled.execute("INSERT INTO t (key) VALUES (3)")
    with fails("42701", at=33):
        filled.execute("ALTER TABLE t RENAME COLUMN v TO m")
    with fails("42703", at=28):
        filled.execute("ALTER TABLE t RENAME COLUMN w TO q")
    with fails("42939", at=33):
        filled.execute("ALTER TABLE t RENAME COLUMN v TO _v")


def test_a_renamed_table_keeps_its_rows_and_frees_its_name(filled: Connection) -> None:
    filled.execute("CREATE SCHEMA s")
    filled.execute("ALTER TABLE t RENAME TO moved")
    with fails("42P01", at=14):
        filled.execute("SELECT * FROM t")
    filled.execute("CREATE TABLE t (other INT)")
    assert value(filled, "SELECT count(*) FROM moved") == 2
    filled.execute("ALTER TABLE moved RENAME TO s.moved")
    assert value(filled, "SELECT count(*) FROM s.moved") == 2
    with fails("42P07", at=30):
        filled.execute("ALTER TABLE s.moved RENAME TO public.t")


def test_a_dropped_table_leaves_nothing_behind(filled: Connection) -> None:
    filled.execute("DROP TABLE t")
    with fails("42P01"):
        filled.execute("SELECT * FROM t")
    with fails("42P01", at=11):
        filled.execute("DROP TABLE t")
    filled.execute("DROP TABLE IF EXISTS t")
    filled.execute("CREATE TABLE t (id VARCHAR)")
    assert values(filled, "SELECT * FROM t") == []


def test_statements_of_one_kind_are_refused_on_another(conn: Connection) -> None:
    conn.execute("CREATE TABLE a_table (a INT)")
    conn.execute("CREATE TOPIC a_topic (a INT)")
    conn.execute("CREATE VIEW a_view AS SELECT 1 AS a")
    for statement in (
        "UPDATE a_topic SET a = 1",
        "DELETE FROM a_topic",
        "MERGE INTO a_topic USING a_table ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE TABLE a_topic",
    ):
        with fails("42809", errors.AppendOnlyTopic):
            conn.execute(statement)
    for statement in ("DROP TOPIC a_table", "ALTER TOPIC a_table ADD COLUMN b INT", "TRUNCATE TOPIC a_table BEFORE 1"):
        with fails("42P01"):
            conn.execute(statement)
    for statement in (
        "ALTER TABLE a_topic ADD COLUMN b INT",
        "CREATE INDEX i ON a_topic (a)",
        "DROP TABLE a_topic",
        "DROP TABLE a_view",
    ):
        with pytest.raises(errors.ProgrammingError) as raised:
            conn.execute(statement)
        assert raised.value.hint
    for statement in ("UPDATE a_view SET a = 1", "DELETE FROM a_view", "INSERT INTO a_view VALUES (1)"):
        with fails("0A000", errors.NotSupportedError):
            conn.execute(statement)
    with fails("42P01"):
        conn.execute("SELECT * FROM subscribe('a_table', until => 'latest')")
    assert [value(conn, f"SELECT count(*) FROM {name}") for name in ("a_table", "a_topic", "a_view")] == [0, 0, 1]


def test_dropping_a_schema_takes_its_tables(conn: Connection) -> None:
    conn.execute("CREATE TABLE s.t (a INT)")
    conn.execute("CREATE TOPIC s.e (a INT)")
    conn.execute("INSERT INTO s.t VALUES (1)")
    with fails("2BP01"):
        conn.execute("DROP SCHEMA s")
    assert values(conn, "SELECT a FROM s.t") == [1]
    conn.execute("DROP SCHEMA s CASCADE")
    for name in ("s.t", "s.e"):
        with fails("42P01"):
            conn.execute(f"SELECT * FROM {name}")
    conn.execute("CREATE TABLE s.t (b INT)")
    assert values(conn, "SELECT b FROM s.t") == []


def test_tables_show_where_relations_show(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (id INT NOT NULL, v VARCHAR)")
    conn.execute('CREATE TABLE s."Odd" (id INT)')
    conn.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    shown = [row[:3] for row in rows(conn, "SHOW TABLES") if row[1] in ("public", "s")]
    assert sorted(shown) == [("jammi", "public", "t"), ("jammi", "s", "Odd")]
    asked = "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema IN ('public', 's') ORDER BY 1"
    assert rows(conn, asked) == [("public", "t", "BASE TABLE"), ("s", "Odd", "BASE TABLE")]
    asked = "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position"
    assert rows(conn, asked) == [("id", "NO"), ("v", "YES")]
    asked = "SELECT schema, name, tenant, columns, rows FROM jammi.system.tables ORDER BY name DESC"
    assert rows(conn, asked) == [("public", "t", None, 2, 2), ("s", "Odd", None, 1, 0)]
    assert rows(conn, "SHOW COLUMNS FROM t")[0][3:] == ("id", "Int32", "NO")
    assert values(conn, "SHOW TOPICS") == []


def test_names_fold_and_quote_as_everywhere(conn: Connection) -> None:
    conn.execute('CREATE TABLE Mixed (ID INT, "ID" INT)')
    conn.execute('INSERT INTO MIXED (id, "ID") VALUES (1, 2)')
    assert rows(conn, 'SELECT id, "ID" FROM mixed') == [(1, 2)]
    conn.execute('UPDATE jammi.public.mixed SET "ID" = Id + 5, id = "ID"')
    assert rows(conn, 'SELECT id, "ID" FROM public.mixed') == [(2, 6)]
    conn.execute('CREATE TABLE "we""ird; --" ("a b" INT, "{x}" INT, "select" INT PRIMARY KEY)')
    conn.execute('INSERT INTO "we""ird; --" VALUES (1, 2, 3)')
    conn.execute('UPDATE "we""ird; --" SET "{x}" = "{x}" * 2 WHERE "{x}" = 2 AND "select" = 3')
    assert rows(conn, 'SELECT * FROM "we""ird; --" WHERE "{x}" = 4') == [(1, 4, 3)]


def test_altering_a_column_that_two_sessions_know(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    conn.execute("INSERT INTO t VALUES (1)")
    assert rows(other, "SELECT * FROM t") == [(1,)]
    conn.execute("ALTER TABLE t ADD COLUMN v INT DEFAULT 3")
    assert rows(other, "SELECT * FROM t") == [(1, 3)]
    other.execute("INSERT INTO t VALUES (2, 4)")
    conn.execute("DROP TABLE t")
    with fails("42P01"):
        other.execute("INSERT INTO t VALUES (3, 4)")
