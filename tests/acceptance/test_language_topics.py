"""CREATE, ALTER, TRUNCATE, DROP, SHOW and DESCRIBE of topics."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.topics import TopicDefinition

from .language import fails, rows, value, values

COLUMNS = ["_offset", "_row_idx", "_produced_at", "_tenant_id"]


def batches(conn: Connection, topic: str, count: int) -> None:
    for index in range(count):
        conn.execute(f"INSERT INTO {topic} VALUES ({index})")


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


# --- altering ---


def test_an_added_column_is_null_in_older_batches_everywhere(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("ALTER TOPIC t ADD COLUMN b STRUCT<x INT[]>")
    conn.execute("INSERT INTO t VALUES (2, named_struct('x', [1]))")
    expected = [(1, None), (2, {"x": [1]})]
    assert rows(conn, "SELECT a, b FROM t ORDER BY a") == expected
    assert rows(conn, "SELECT a, b FROM subscribe('t', until => 'latest')") == expected
    assert rows(conn, "SELECT a, b FROM subscribe('t', from => 0) LIMIT 2") == expected
    assert values(conn, "SELECT a FROM t WHERE b IS NULL") == [1]
    assert values(conn, "SELECT a FROM t WHERE b IS NOT NULL") == [2]


def test_filters_on_an_added_column_see_null_in_older_batches(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("ALTER TOPIC t ADD COLUMN b INT")
    conn.execute("INSERT INTO t VALUES (2, 5), (3, NULL)")
    for source in ("t", "subscribe('t', until => 'latest')"):
        assert values(conn, f"SELECT a FROM {source} WHERE b = 5") == [2]
        assert values(conn, f"SELECT a FROM {source} WHERE b IS NULL ORDER BY a") == [1, 3]
        assert values(conn, f"SELECT a FROM {source} WHERE b IS DISTINCT FROM 5 ORDER BY a") == [1, 3]
        assert values(conn, f"SELECT a FROM {source} WHERE coalesce(b, 0) = 0 ORDER BY a") == [1, 3]
        assert values(conn, f"SELECT a FROM {source} WHERE b NOT IN (5)") == []


def test_a_column_is_added_once(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("ALTER TOPIC t ADD COLUMN b INT")
    with pytest.raises(conn.ProgrammingError) as raised:
        conn.execute("ALTER TOPIC t ADD COLUMN b INT")
    assert raised.value.sqlstate in ("42701", "42P07")
    conn.execute("ALTER TOPIC t ADD COLUMN IF NOT EXISTS b INT")
    assert len(rows(conn, "DESCRIBE t")) == 6


def test_a_renamed_topic_keeps_its_rows_and_offsets(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 2)
    conn.execute("ALTER TOPIC t RENAME TO u")
    conn.execute("INSERT INTO u VALUES (2)")
    assert rows(conn, "SELECT _offset, a FROM u ORDER BY 1") == [(0, 0), (1, 1), (2, 2)]
    with fails("42P01"):
        conn.execute("SELECT * FROM t")
    conn.execute("CREATE TOPIC t (b VARCHAR)")
    assert rows(conn, "SELECT * FROM t") == []
    with fails("42P07", at=24):
        conn.execute("ALTER TOPIC u RENAME TO t")


def test_a_subscription_lives_on_when_its_topic_is_renamed(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    cursor = conn.execute("SELECT a FROM subscribe('t', from => 'earliest')")
    other.execute("INSERT INTO t VALUES (1)")
    assert cursor.fetchone() == (1,)
    other.execute("ALTER TOPIC t RENAME TO u")
    other.execute("INSERT INTO u VALUES (2)")
    assert cursor.fetchone() == (2,)
    cursor.close()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TOPIC nowhere ADD COLUMN a INT",
        "ALTER TOPIC nowhere SET (a = 1)",
        "ALTER TOPIC nowhere RESET (a)",
        "ALTER TOPIC nowhere RENAME TO b",
        "TRUNCATE TOPIC nowhere BEFORE 1",
        "DROP TOPIC nowhere",
        "SHOW CREATE TOPIC nowhere",
        "DESCRIBE nowhere",
        "INSERT INTO nowhere VALUES (1)",
        "SELECT * FROM nowhere",
        "SELECT * FROM subscribe('nowhere')",
    ],
)
def test_a_topic_that_is_not_there_is_unknown_in_every_statement(conn: Connection, statement: str) -> None:
    with fails("42P01", says="nowhere") as raised:
        conn.execute(statement)
    position = raised.value.position
    assert position is not None
    assert abs(position - statement.index("nowhere")) <= 1  # inside subscribe it may be the quote


# --- truncating ---


def test_truncate_before_an_offset_forgets_the_older_batches(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 5)
    conn.execute("TRUNCATE TOPIC t BEFORE 2")
    assert values(conn, "SELECT _offset FROM t ORDER BY 1") == [2, 3, 4]
    assert rows(conn, "SELECT first_offset, next_offset, rows FROM jammi.system.topics") == [(2, 5, 3)]
    conn.execute("TRUNCATE TOPIC t BEFORE 1")  # long gone
    assert values(conn, "SELECT _offset FROM t ORDER BY 1") == [2, 3, 4]
    conn.execute("TRUNCATE TOPIC t BEFORE ?", [3])
    assert values(conn, "SELECT _offset FROM t ORDER BY 1") == [3, 4]


def test_truncate_past_the_end_empties_and_offsets_are_never_used_again(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 3)
    conn.execute("TRUNCATE TOPIC t BEFORE 1000")
    assert value(conn, "SELECT count(*) FROM t") == 0
    assert rows(conn, "SELECT first_offset, next_offset, rows FROM jammi.system.topics") == [(3, 3, 0)]
    assert values(conn, "INSERT INTO t VALUES (1) RETURNING _offset") == [3]


def test_truncate_before_a_time(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 3)
    conn.execute("TRUNCATE TOPIC t BEFORE TIMESTAMP '1999-01-01 00:00:00'")
    assert value(conn, "SELECT count(*) FROM t") == 3
    moment = value(conn, "SELECT _produced_at FROM t WHERE _offset = 2")
    conn.execute("TRUNCATE TOPIC t BEFORE ?", [moment])
    assert 2 in values(conn, "SELECT _offset FROM t")
    conn.execute("TRUNCATE TOPIC t BEFORE TIMESTAMP '2200-01-01 00:00:00'")
    assert value(conn, "SELECT count(*) FROM t") == 0
    assert values(conn, "INSERT INTO t VALUES (1) RETURNING _offset") == [3]


@pytest.mark.parametrize("bound", ["-1", "'x'", "NULL", "1.5", "true"])
def test_truncate_before_something_else_is_refused(conn: Connection, bound: str) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 2)
    with fails("22023"):
        conn.execute(f"TRUNCATE TOPIC t BEFORE {bound}")
    assert value(conn, "SELECT count(*) FROM t") == 2


def test_from_an_offset_that_was_truncated_says_the_oldest_and_earliest_never_fails(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 4)
    conn.execute("TRUNCATE TOPIC t BEFORE 2")
    with fails("22023", errors.OffsetEvicted, says="2") as raised:
        conn.execute("SELECT * FROM subscribe('t', from => 1, until => 'latest')")
    assert isinstance(raised.value, conn.OperationalError)
    assert isinstance(raised.value, errors.OffsetEvicted)
    assert raised.value.oldest == 2
    assert values(conn, "SELECT _offset FROM subscribe('t', from => 'earliest', until => 'latest')") == [2, 3]
    assert values(conn, "SELECT _offset FROM subscribe('t', from => 2, until => 'latest')") == [2, 3]
    assert values(
        conn, "SELECT _offset FROM subscribe('t', from => TIMESTAMP '1999-01-01 00:00:00', until => 'latest')"
    ) == [2, 3]


# --- dropping ---


def test_a_dropped_topic_is_gone_and_its_name_is_free(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 2)
    conn.execute("DROP TOPIC t")
    with fails("42P01"):
        conn.execute("DROP TOPIC t")
    conn.execute("DROP TOPIC IF EXISTS t")
    conn.execute("CREATE TOPIC t (a VARCHAR)")
    assert rows(other, "SELECT * FROM t") == []
    assert values(other, "INSERT INTO t VALUES ('x') RETURNING _offset") == [0]


def test_a_live_subscription_on_a_dropped_topic_ends_or_says_so(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    cursor = conn.execute("SELECT a FROM subscribe('t', from => 'earliest')")
    assert cursor.fetchone() == (1,)
    other.execute("DROP TOPIC t")
    try:
        assert cursor.fetchone() is None
    except conn.Error as error:
        assert error.sqlstate == "42P01"
    cursor.close()


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


# --- reading ---


def test_a_statement_sees_the_batches_committed_before_it_began(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a BIGINT)")
    conn.execute("INSERT INTO t SELECT value FROM range(200000)")
    reader = conn.execute("SELECT a FROM t").fetch_record_batch()
    seen = next(reader).num_rows
    other.execute("INSERT INTO t SELECT value FROM range(1000)")
    seen += sum(batch.num_rows for batch in reader)
    assert seen == 200_000
    assert value(conn, "SELECT count(*) FROM t") == 201_000


def test_a_statement_that_was_not_read_yet_sees_the_topic_as_it_was(conn: Connection, other: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO t VALUES (1)")
    cursor = conn.execute("SELECT a FROM t")
    other.execute("INSERT INTO t VALUES (2)")
    assert cursor.fetchall() == [(1,)]


def test_the_filters_on_the_engines_columns_give_what_they_say(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 6)
    assert values(conn, "SELECT a FROM t WHERE _offset >= 2 AND _offset < 4 ORDER BY a") == [2, 3]
    assert values(conn, "SELECT a FROM t WHERE _offset IN (0, 5, 99) ORDER BY a") == [0, 5]
    assert values(conn, "SELECT a FROM t WHERE _offset NOT IN (0, 1, 2, 3)  ORDER BY a") == [4, 5]
    assert values(conn, "SELECT a FROM t WHERE _offset <> 3 AND a BETWEEN 2 AND 4 ORDER BY a") == [2, 4]
    assert values(conn, "SELECT a FROM t WHERE _row_idx > 0") == []
    assert values(conn, "SELECT a FROM t WHERE _tenant_id IS NOT NULL") == []
    assert value(conn, "SELECT count(*) FROM t WHERE _produced_at <= now()") == 6
    moment = value(conn, "SELECT _produced_at FROM t WHERE _offset = 3")
    assert 3 in values(conn, "SELECT a FROM t WHERE _produced_at >= ?", [moment])
    assert value(conn, "SELECT count(*) FROM t WHERE _produced_at > TIMESTAMP '2200-01-01 00:00:00'") == 0
    assert isinstance(moment, dt.datetime)
    assert moment.tzinfo is not None


def test_produced_at_never_goes_back(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    batches(conn, "t", 20)
    times = values(conn, "SELECT _produced_at FROM t ORDER BY _offset")
    assert times == sorted(times)


def test_nan_compares_as_in_datafusion(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (f DOUBLE)")
    literals = "('NaN'::DOUBLE), (1.0), ('inf'::DOUBLE), (NULL), (-0.0)"
    conn.execute(f"INSERT INTO t VALUES {literals}")
    plain = f"(VALUES {literals}) AS v(f)"
    for condition in (
        "f > 2",
        "f = 'NaN'::DOUBLE",
        "f < 2",
        "f <> 1.0",
        "f NOT IN (1.0)",
        "f = 0.0",
        "f BETWEEN 0 AND 'NaN'::DOUBLE",
    ):
        expected = value(conn, f"SELECT count(*) FROM {plain} WHERE {condition}")
        assert value(conn, f"SELECT count(*) FROM t WHERE {condition}") == expected, condition
        assert value(conn, f"SELECT count(*) FROM subscribe('t', until => 'latest') WHERE {condition}") == expected, (
            condition
        )
