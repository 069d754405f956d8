"""CREATE, ALTER, TRUNCATE, DROP, SHOW and DESCRIBE of topics."""

from __future__ import annotations

import pyarrow as pa
import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.topics import TopicDefinition

from .language import batches, fails, rows, values

COLUMNS = ["_offset", "_row_idx", "_produced_at", "_tenant_id"]


# --- creating ---


def test_a_topic_is_a_relation_with_the_engines_columns_before_the_users(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT NOT NULL, b VARCHAR)")
    schema = conn.adbc_get_table_schema("t")
    assert schema.names == [*COLUMNS, "a", "b"]
    assert schema.field("_offset") == pa.field("_offset", pa.int64(), False)
    assert schema.field("_row_idx") == pa.field("_row_idx", pa.int64(), False)
    assert schema.field("_produced_at") == pa.field("_produced_at", pa.timestamp("us", "UTC"), False)
    assert schema.field("_tenant_id") == pa.field("_tenant_id", pa.string(), True)
    assert not schema.field("a").nullable
    assert schema.field("b").nullable
    assert conn.execute("SELECT * FROM t").fetch_arrow_table().schema.names == schema.names


def test_creating_a_topic_again_needs_if_not_exists(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT, b VARCHAR)")
    with fails("42P07", at=13):
        conn.execute("CREATE TOPIC t (a INT, b VARCHAR)")
    conn.execute("CREATE TOPIC IF NOT EXISTS t (a INT, b VARCHAR)")


@pytest.mark.parametrize("clause", ["", "IF NOT EXISTS "])
@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ("a BIGINT, b VARCHAR", "a"),
        ("a INT NOT NULL, b VARCHAR", "a"),
        ("a INT", "b"),
        ("a INT, b VARCHAR, c INT", "c"),
        ("a INT, d VARCHAR", "d"),
        ("b VARCHAR, a INT", "b"),
    ],
)
def test_another_schema_is_a_schema_conflict_that_names_the_column(
    conn: Connection, clause: str, columns: str, named: str
) -> None:
    conn.execute("CREATE TOPIC t (a INT, b VARCHAR)")
    with fails("42804", errors.SchemaConflict, says=named):
        conn.execute(f"CREATE TOPIC {clause}t ({columns})")
    assert conn.adbc_get_table_schema("t").names == [*COLUMNS, "a", "b"]


@pytest.mark.in_process("uses the engine's Python interface")
def test_registering_again_in_the_api_is_a_no_op_and_another_schema_a_conflict(conn: Connection) -> None:
    repo = conn.engine.topic_repo
    schema = pa.schema([pa.field("a", pa.int32())])
    first = TopicDefinition("t", schema)
    repo.register_topic(first)
    repo.register_topic(TopicDefinition("t", schema))
    found = repo.lookup_by_name("t", None)
    assert found is not None
    assert found.id == first.id
    conn.execute("CREATE TOPIC IF NOT EXISTS t (a INT)")
    with fails("42804", errors.SchemaConflict, says="a"):
        repo.register_topic(TopicDefinition("t", pa.schema([pa.field("a", pa.int64())])))


def test_create_as_makes_the_topic_and_its_first_rows(conn: Connection) -> None:
    cursor = conn.execute("CREATE TOPIC t WITH (owner = 'me') AS SELECT value AS n, 'x' AS s FROM range(3)")
    assert cursor.rowcount == 3
    assert rows(conn, "SELECT _offset, _row_idx, n, s FROM t") == [(0, 0, 0, "x"), (0, 1, 1, "x"), (0, 2, 2, "x")]
    conn.execute("INSERT INTO t VALUES (NULL, NULL)")


def test_create_as_of_no_rows_makes_an_empty_topic(conn: Connection) -> None:
    assert conn.execute("CREATE TOPIC t AS SELECT 1 AS a WHERE false").rowcount == 0
    assert values(conn, "SELECT next_offset FROM jammi.system.topics") == [0]


def test_create_as_with_parameters_and_a_bounded_subscribe(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 3)
    conn.execute(
        "CREATE TOPIC copy AS SELECT a, $1 AS tag FROM subscribe('t', until => 'latest') WHERE a > $2", ["x", 0]
    )
    assert rows(conn, "SELECT a, tag FROM copy ORDER BY a") == [(1, "x"), (2, "x")]


def test_create_as_that_fails_leaves_no_topic(conn: Connection) -> None:
    with pytest.raises(conn.DataError):
        conn.execute("CREATE TOPIC t AS SELECT CAST(v AS INT) AS a FROM (VALUES ('1'), ('x')) AS s(v)")
    assert rows(conn, "SHOW TOPICS") == []
    with fails("42P01"):
        conn.execute("SELECT * FROM t")


def test_create_as_again_is_refused_and_if_not_exists_changes_nothing(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t AS SELECT 1 AS a")
    with fails("42P07"):
        conn.execute("CREATE TOPIC t AS SELECT 2 AS a")
    conn.execute("CREATE TOPIC IF NOT EXISTS t AS SELECT 2 AS a")
    assert values(conn, "SELECT a FROM t") == [1]
    with fails("42804", errors.SchemaConflict):
        conn.execute("CREATE TOPIC IF NOT EXISTS t AS SELECT 'x' AS a")


def test_create_as_needs_columns_with_names_of_their_own(conn: Connection) -> None:
    with pytest.raises(conn.ProgrammingError):
        conn.execute("CREATE TOPIC t AS SELECT 1 AS a, 2 AS a")
    conn.execute("CREATE TOPIC s (a INT)")
    with fails("42939"):
        conn.execute("CREATE TOPIC t AS SELECT * FROM s")


def test_the_same_column_twice_is_refused(conn: Connection) -> None:
    with fails("42701", at=23):
        conn.execute("CREATE TOPIC t (a INT, A INT)")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TOPIC",
        "CREATE TOPIC t",
        "CREATE TOPIC t ()",
        "CREATE TOPIC t (a)",
        "CREATE TOPIC t (a INT",
        "CREATE TOPIC t (a INT,)",
        "CREATE TOPIC t (a INT) WITH",
        "CREATE TOPIC t (a INT) WITH ()",
        "CREATE TOPIC t (a INT) WITH (x)",
        "CREATE TOPIC t (a INT) garbage",
        "CREATE TOPIC IF EXISTS t (a INT)",
        "CREATE OR REPLACE TOPIC t (a INT)",
        "CREATE TOPIC t AS",
        "ALTER TOPIC",
        "ALTER TOPIC t",
        "ALTER TOPIC t ADD",
        "ALTER TOPIC t ADD COLUMN b INT NOT NULL",
        "ALTER TOPIC t DROP COLUMN a",
        "ALTER TOPIC t SET retention = 'forever'",
        "ALTER TOPIC t RENAME u",
        "DROP TOPIC",
        "DROP TOPIC t u",
        "TRUNCATE TOPIC t",
        "TRUNCATE TOPIC t BEFORE",
        "SHOW TOPICS LIKE",
        "SHOW CREATE TOPIC",
    ],
)
def test_a_statement_that_is_no_statement_is_a_syntax_error(conn: Connection, statement: str) -> None:
    conn.execute("CREATE TOPIC s (a INT)")
    with fails("42601") as raised:
        conn.execute(statement)
    assert raised.value.position is not None
    assert 0 <= raised.value.position <= len(statement)
    assert values(conn, "SELECT name FROM jammi.system.topics") == ["s"]


# --- options ---


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ("INTERVAL '7' DAY", "7 day"),
        ("INTERVAL '36 hours'", "36 hours"),
        ("'30 days'", "30 days"),
        ("forever", "forever"),
    ],
)
def test_a_retention_is_an_interval_or_forever(conn: Connection, option: str, shown: str) -> None:
    conn.execute(f"CREATE TOPIC t (a INT) WITH (retention = {option})")
    assert values(conn, "SELECT retention FROM jammi.system.topics") == [shown]


@pytest.mark.in_process("uses the engine's Python interface")
def test_options_are_kept_as_metadata_and_set_and_reset(conn: Connection) -> None:
    conn.execute(
        "CREATE TOPIC t (a INT) WITH (retention = INTERVAL '7 days', retention_bytes = 1000, owner = 'me', replicas = 3)"
    )

    def metadata() -> dict[str, str]:
        found = conn.engine.topic_repo.lookup_by_name("t", None)
        assert found is not None
        return dict(found.broker_metadata)

    assert metadata() == {"retention": "7 days", "retention_bytes": "1000", "owner": "me", "replicas": "3"}
    assert values(conn, "SELECT retention FROM jammi.system.topics") == ["7 days"]
    conn.execute("ALTER TOPIC t SET (retention = 'forever', owner = 'you', more = true)")
    assert metadata()["retention"] == "forever"
    assert metadata()["owner"] == "you"
    conn.execute("ALTER TOPIC t RESET (retention, owner, never_set)")
    assert metadata() == {"retention_bytes": "1000", "replicas": "3", "more": "true"}
    assert values(conn, "SELECT retention FROM jammi.system.topics") == ["forever"]


@pytest.mark.parametrize("option", ["retention = 'for a while'", "retention_bytes = 'many'", "retention_bytes = -1"])
def test_a_retention_that_is_none_is_refused(conn: Connection, option: str) -> None:
    with fails("22023"):
        conn.execute(f"CREATE TOPIC t (a INT) WITH ({option})")
    conn.execute("CREATE TOPIC t (a INT)")
    with fails("22023"):
        conn.execute(f"ALTER TOPIC t SET ({option})")
    assert values(conn, "SELECT retention FROM jammi.system.topics") == ["forever"]


# --- showing ---


def test_show_topics_lists_them_and_like_chooses(conn: Connection) -> None:
    for name in ("orders", "order_lines", "events.orders", '"Odd%"'):
        conn.execute(f"CREATE TOPIC {name} (a INT)")
    table = conn.execute("SHOW TOPICS").fetch_arrow_table()
    assert table.column_names[:3] == ["schema", "name", "tenant"]
    assert sorted(table.column("name").to_pylist()) == ["Odd%", "order_lines", "orders", "orders"]
    like = conn.execute("SHOW TOPICS LIKE 'order%'").fetch_arrow_table()
    assert sorted(like.column("name").to_pylist()) == ["order_lines", "orders", "orders"]
    assert conn.execute("SHOW TOPICS LIKE ?", ["orders"]).fetch_arrow_table().num_rows == 2
    assert rows(conn, "SHOW TOPICS LIKE 'nothing'") == []


def test_describe_shows_types_nullability_and_comments(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT NOT NULL COMMENT 'the ''key''', b VARCHAR[] COMMENT '')")
    described = rows(conn, "DESCRIBE t")
    assert [row[0] for row in described] == [*COLUMNS, "a", "b"]
    assert [row[2] for row in described] == ["NO", "NO", "NO", "YES", "NO", "YES"]
    assert described[4][3] == "the 'key'"
    assert rows(conn, "DESC t") == described
    assert rows(conn, "DESCRIBE jammi.public.t") == described


EVERY_TYPE = (
    "a BOOLEAN NOT NULL COMMENT 'it''s; \"odd\"', b TINYINT, c SMALLINT, d INT, e BIGINT, f TINYINT UNSIGNED, "
    "g SMALLINT UNSIGNED, h INT UNSIGNED, i BIGINT UNSIGNED, j REAL, k DOUBLE, l VARCHAR, m BYTEA, n DATE, o TIME, "
    "p TIMESTAMP, q TIMESTAMP(0), r TIMESTAMP(3), s TIMESTAMP(6), t TIMESTAMP WITH TIME ZONE, u TIMESTAMPTZ, "
    "v INTERVAL, w DECIMAL(10, 2), x DECIMAL(60, 5), y INT[], z VARCHAR[][], aa FLOAT[384], "
    'bb STRUCT<a INT, "B c" STRUCT<d DECIMAL(5, 1)[]>>[], "select" INT, "Odd ""name""" TIMESTAMP(9) WITH TIME ZONE'
)


@pytest.mark.in_process("uses the engine's Python interface")
def test_the_statement_of_show_create_makes_the_same_topic_on_a_fresh_store(conn: Connection) -> None:
    import jammi_sql  # noqa: PLC0415

    conn.execute(
        f"CREATE TOPIC events.\"T x\" ({EVERY_TYPE}) WITH (retention = INTERVAL '7 days', \"Odd Key\" = 'it''s')"
    )
    ((name, text),) = rows(conn, 'SHOW CREATE TOPIC events."T x"')
    assert name == 'events."T x"'
    with jammi_sql.connect() as fresh:
        fresh.execute(text)
        assert fresh.adbc_get_table_schema("T x", db_schema_filter="events").equals(
            conn.adbc_get_table_schema("T x", db_schema_filter="events"), check_metadata=True
        )
        assert rows(fresh, 'SHOW CREATE TOPIC events."T x"') == [(name, text)]
        assert rows(fresh, 'DESCRIBE events."T x"') == rows(conn, 'DESCRIBE events."T x"')
        one = conn.engine.topic_repo.lookup_by_name(name, None)
        two = fresh.engine.topic_repo.lookup_by_name(name, None)
        assert one is not None
        assert two is not None
        assert dict(one.broker_metadata) == dict(two.broker_metadata)


# --- changing what is written ---


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE t SET a = 2",
        "UPDATE public.t SET a = 2 WHERE a = 1",
        "DELETE FROM t",
        "DELETE FROM jammi.public.t WHERE a = 1",
        "MERGE INTO t USING (SELECT 1 AS a) AS s ON t.a = s.a WHEN MATCHED THEN DELETE",
        "TRUNCATE TABLE t",
        "TRUNCATE t",
    ],
)
def test_what_was_published_cannot_be_changed(conn: Connection, statement: str) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    with fails("42809") as raised:
        conn.execute(statement)
    assert raised.value.position is not None
    assert values(conn, "SELECT a FROM t") == [1]


@pytest.mark.parametrize(
    "statement", ["DROP TABLE t", "DROP VIEW t", "DROP TABLE IF EXISTS t", "INSERT OVERWRITE t VALUES (2)"]
)
def test_no_other_statement_takes_a_topic_away(conn: Connection, statement: str) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    try:
        conn.execute(statement)
    except conn.Error as error:
        assert error.sqlstate[:2] in ("42", "0A"), error
    assert values(conn, "SELECT a FROM t") == [1]
