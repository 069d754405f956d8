"""Names: folding, quoting, paths, schemas and what is reserved."""

from __future__ import annotations

import pytest

from jammi_sql.dbapi import Connection
from jammi_sql.topics import TopicDefinition

from .language import fails, rows, value, values

ODD = [
    "Odd.Name",
    "select",
    "with space",
    'a"quote',
    "ünï🐎",
    "semi;colon",
    "1st",
    "--dash",
    "a'b",
    "%_",
    "TOPIC",
    "subscribe",
]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_unquoted_names_fold_to_lower_case_and_quoted_ones_keep_theirs(conn: Connection) -> None:
    conn.execute('CREATE TOPIC MyTopic (Amount INT, "Total" INT)')
    conn.execute('INSERT INTO MYTOPIC (AMOUNT, "Total") VALUES (1, 2)')
    assert rows(conn, 'SELECT aMount, "Total" FROM mytopic') == [(1, 2)]
    assert values(conn, "SELECT name FROM jammi.system.topics") == ["mytopic"]
    with fails("42P01"):
        conn.execute('SELECT * FROM "MyTopic"')
    with fails("42703"):
        conn.execute("SELECT total FROM mytopic")


def test_two_names_that_differ_in_case_only_are_two_topics(conn: Connection) -> None:
    conn.execute('CREATE TOPIC "T" (a INT)')
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute('INSERT INTO "T" VALUES (1)')
    assert value(conn, "SELECT count(*) FROM t") == 0
    assert value(conn, 'SELECT count(*) FROM "T"') == 1
    assert values(conn, """SELECT a FROM subscribe('"T"', until => 'latest')""") == [1]
    assert values(conn, "SELECT a FROM subscribe('T', until => 'latest')") == []


@pytest.mark.parametrize("name", ODD)
def test_a_quoted_name_may_hold_anything(conn: Connection, name: str) -> None:
    identifier = quoted(name)
    conn.execute(f"CREATE TOPIC {identifier} ({quoted(name)} INT NOT NULL, b VARCHAR)")
    conn.execute(f"INSERT INTO {identifier} ({quoted(name)}) VALUES (1) RETURNING {identifier}")
    assert values(conn, f"SELECT {identifier} FROM {identifier}") == [1]
    literal = identifier.replace("'", "''")
    assert values(conn, f"SELECT {identifier} FROM subscribe('{literal}', until => 'latest')") == [1]
    assert values(conn, f"SELECT {identifier} FROM subscribe(?, until => 'latest')", [identifier]) == [1]
    assert values(conn, "SELECT name FROM jammi.system.topics") == [name]
    assert values(conn, f"DESCRIBE {identifier}")[-2:] == [name, "b"]
    conn.execute(f"ALTER TOPIC {identifier} ADD COLUMN c INT")
    ((_, text),) = rows(conn, f"SHOW CREATE TOPIC {identifier}")
    before = conn.adbc_get_table_schema(name)
    conn.execute(f"DROP TOPIC {identifier}")
    conn.execute(text)
    assert conn.adbc_get_table_schema(name).equals(before)


def test_a_name_with_a_schema_is_the_same_in_every_statement(conn: Connection) -> None:
    conn.execute("CREATE TOPIC events.changes (a INT)")
    conn.execute("INSERT INTO jammi.events.changes VALUES (1)")
    conn.execute('INSERT INTO Events."changes" VALUES (2)')
    expected = [(1,), (2,)]
    for name in ("events.changes", "jammi.events.changes", 'EVENTS."changes"', '"jammi"."events"."changes"'):
        assert rows(conn, f"SELECT a FROM {name} ORDER BY 1") == expected
        assert rows(conn, f"SELECT a FROM subscribe('{name}', until => 'latest')") == expected
        assert len(rows(conn, f"DESCRIBE {name}")) == 5
    assert rows(conn, "SELECT events.changes.a FROM events.changes ORDER BY 1") == expected
    assert rows(conn, "SELECT changes.a FROM events.changes ORDER BY 1") == expected
    with fails("42P01"):
        conn.execute("SELECT * FROM changes")
    with fails("42P01"):
        conn.execute("SELECT * FROM subscribe('changes', until => 'latest')")


@pytest.mark.in_process("uses the engine's Python interface")
def test_the_api_and_sql_mean_the_same_topic_by_a_path(conn: Connection) -> None:
    import pyarrow as pa  # noqa: PLC0415

    schema = pa.schema([pa.field("a", pa.int32())])
    conn.engine.topic_repo.register_topic(TopicDefinition("events.changes", schema))
    conn.engine.topic_repo.register_topic(TopicDefinition('"Odd.Name"', schema))
    assert rows(conn, "SELECT schema, name FROM jammi.system.topics ORDER BY name") == [
        ("public", "Odd.Name"),
        ("events", "changes"),
    ]
    conn.execute('INSERT INTO "Odd.Name" VALUES (7)')
    conn.execute("INSERT INTO events.changes VALUES (8)")
    found = conn.engine.topic_repo.lookup_by_name("jammi.events.changes", None)
    assert found is not None
    assert conn.engine.topic_repo.lookup_by_name("Events.CHANGES", None) is not None


def test_public_is_the_default_schema(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    conn.execute("INSERT INTO public.t VALUES (1)")
    assert values(conn, "SELECT a FROM jammi.public.t") == [1]
    with fails("42P07"):
        conn.execute("CREATE TOPIC jammi.public.t (a INT)")


def test_other_catalogs_hold_no_topics(conn: Connection) -> None:
    with fails("3D000", at=13):
        conn.execute("CREATE TOPIC elsewhere.public.t (a INT)")
    with fails("3D000", at=13):
        conn.execute("CREATE TOPIC a.b.c.d (a INT)")
    with fails("42P01"):
        conn.execute("SELECT * FROM elsewhere.public.t")


def test_a_schema_exists_while_something_is_in_it_or_after_create_schema(conn: Connection) -> None:
    def schemas() -> set[str]:
        return set(values(conn, "SELECT schema_name FROM jammi.information_schema.schemata"))

    assert "events" not in schemas()
    conn.execute("CREATE TOPIC events.a (x INT)")
    assert "events" in schemas()
    conn.execute("DROP TOPIC events.a")
    assert "events" not in schemas()
    conn.execute("CREATE SCHEMA events")
    assert "events" in schemas()
    conn.execute("CREATE SCHEMA IF NOT EXISTS events")
    with fails("42P06"):
        conn.execute("CREATE SCHEMA events")
    conn.execute("CREATE TOPIC events.a (x INT)")
    conn.execute("DROP TOPIC events.a")
    assert "events" in schemas()
    conn.execute("DROP SCHEMA events")
    assert "events" not in schemas()
    with fails("3F000"):
        conn.execute("DROP SCHEMA events")
    conn.execute("DROP SCHEMA IF EXISTS events")


def test_a_schema_with_a_topic_in_it_is_dropped_by_cascade_only(conn: Connection) -> None:
    conn.execute("CREATE TOPIC events.a (x INT)")
    with fails("2BP01"):
        conn.execute("DROP SCHEMA events")
    conn.execute("DROP SCHEMA events CASCADE")
    assert rows(conn, "SHOW TOPICS") == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TOPIC t (_a INT)",
        'CREATE TOPIC t (a INT, "_offset" BIGINT)',
        "CREATE TOPIC t AS SELECT 1 AS _x",
        "CREATE TOPIC system.t (a INT)",
        "CREATE TOPIC jammi.information_schema.t (a INT)",
        "CREATE TOPIC system.t AS SELECT 1 AS a",
        "CREATE SCHEMA system",
        "CREATE SCHEMA information_schema",
    ],
)
def test_reserved_names_are_refused(conn: Connection, statement: str) -> None:
    with fails("42939"):
        conn.execute(statement)
    assert rows(conn, "SHOW TOPICS") == []


def test_reserved_columns_are_refused_in_alter_and_nothing_changes(conn: Connection) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    with fails("42939", at=25):
        conn.execute("ALTER TOPIC t ADD COLUMN _b INT")
    with fails("42939"):
        conn.execute("ALTER TOPIC t RENAME TO system.t")
    assert values(conn, "SELECT name FROM jammi.system.topics") == ["t"]


def test_an_empty_identifier_is_no_name(conn: Connection) -> None:
    for statement in ('CREATE TOPIC "" (a INT)', 'CREATE TOPIC t ("" INT)', 'CREATE TOPIC "".t (a INT)'):
        with pytest.raises(conn.ProgrammingError):
            conn.execute(statement)


def test_information_schema_shows_topics_with_their_columns(conn: Connection) -> None:
    conn.execute("CREATE TOPIC events.t (a INT NOT NULL, b VARCHAR)")
    assert rows(
        conn,
        "SELECT table_catalog, table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema NOT IN ('system', 'information_schema')",
    ) == [("jammi", "events", "t")]
    assert rows(
        conn,
        "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position",
    ) == [
        ("_offset", "NO"),
        ("_row_idx", "NO"),
        ("_produced_at", "NO"),
        ("_tenant_id", "YES"),
        ("a", "NO"),
        ("b", "YES"),
    ]


def test_a_topic_wins_no_name_over_a_view_of_the_session(conn: Connection) -> None:
    """One name, one relation: neither hides the other silently."""
    conn.execute("CREATE TOPIC t (a INT)")
    with fails("42P07"):
        conn.execute("CREATE VIEW t AS SELECT 1 AS a")
    with fails("42P07"):
        conn.execute("CREATE TEMP TABLE t AS SELECT 1 AS a")
    conn.execute("CREATE VIEW v AS SELECT 1 AS a")
    with fails("42P07"):
        conn.execute("CREATE TOPIC v (a INT)")


def test_names_with_two_underscores_belong_to_the_engine(conn: Connection) -> None:
    for name in ("__target", "__subscribe_1", "events.__x", "__small_1", "__local_1", "__pushed_1", '"__Table_1"'):
        for made in ("TOPIC {} (x INT)", "TABLE {} (x INT)", "VIEW {} AS SELECT 1 AS x", "TEMP TABLE {} AS SELECT 1 AS x",
                     "TEMP TABLE {} (x INT)", "CACHED TABLE {} AS SELECT 1 AS x"):  # fmt: skip
            with fails("42939"):
                conn.execute(f"CREATE {made.format(name)}")
