"""Companion tables in Python: the registry, ADBC's metadata, results of RETURNING."""

from __future__ import annotations

import decimal
import math
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import jammi_sql
from jammi_sql import errors
from jammi_sql.dbapi import Connection
from jammi_sql.tables import MutableTableDefinition, MutableTableRegistry

from .language import fails, rows, value, values

pytestmark = pytest.mark.in_process("is about the engine's Python interface")

SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("v", pa.string()), pa.field("f", pa.float64())])


@pytest.fixture
def registry(conn: Connection) -> MutableTableRegistry:
    return conn.engine.mutable_tables


def definition(name: str = "t", **changes: Any) -> MutableTableDefinition:
    return MutableTableDefinition(**{"name": name, "schema": SCHEMA, "primary_key": ("id",), **changes})


def test_a_registered_table_is_there_in_sql(conn: Connection, registry: MutableTableRegistry) -> None:
    registered = registry.register(definition(indexes=(("v",), ["v", "f"])))
    assert registered.name == "t"
    assert registered.primary_key == ("id",)
    conn.execute("INSERT INTO t VALUES (1, 'x', 0.5)")
    assert rows(conn, "SELECT * FROM t") == [(1, "x", 0.5)]
    with fails("23505", errors.IntegrityError):
        conn.execute("INSERT INTO t (id) VALUES (1)")
    with fails("23502", errors.IntegrityError):
        conn.execute("INSERT INTO t (v) VALUES ('x')")


def test_a_table_of_sql_is_there_in_the_registry(conn: Connection, registry: MutableTableRegistry) -> None:
    conn.execute("CREATE TABLE fleet.planes (id BIGINT PRIMARY KEY, v VARCHAR NOT NULL, d DECIMAL(10, 2))")
    found = registry.get("fleet.planes")
    assert found is not None
    assert (found.name, found.primary_key, found.tenant) == ("fleet.planes", ("id",), None)
    assert found.schema.names == ["id", "v", "d"]
    assert found.schema.types == [pa.int64(), pa.string(), pa.decimal128(10, 2)]
    assert [field.nullable for field in found.schema] == [False, False, True]
    assert [table.name for table in registry.list()] == ["fleet.planes"]
    assert registry.get("planes") is None
    assert registry.get("nowhere") is None


def test_registering_again(registry: MutableTableRegistry) -> None:
    registry.register(definition())
    registry.insert_batch("t", pa.record_batch({"id": [1], "v": ["x"], "f": [1.0]}))
    registry.register(definition())
    for other in (
        definition(schema=SCHEMA.append(pa.field("more", pa.int8()))),
        definition(
            schema=pa.schema([pa.field("id", pa.int64()), pa.field("v", pa.binary()), pa.field("f", pa.float64())])
        ),
        definition(primary_key=("v",)),
    ):
        with fails("42804", errors.SchemaConflict):
            registry.register(other)
    assert registry.scan("t").read_all().num_rows == 1


@pytest.mark.parametrize(
    ("changes", "sqlstate"),
    [
        ({"schema": pa.schema([pa.field("_id", pa.int64())]), "primary_key": ()}, "42939"),
        ({"schema": pa.schema([pa.field("a", pa.int64()), pa.field("a", pa.int64())]), "primary_key": ()}, "42701"),
        ({"schema": pa.schema([])}, None),
        ({"primary_key": ("nope",)}, "42703"),
        ({"indexes": (("nope",),)}, "42703"),
        ({"name": "a.b.c.d"}, None),
        ({"name": "system.x"}, "42939"),
    ],
)
def test_what_cannot_be_registered(
    registry: MutableTableRegistry, changes: dict[str, Any], sqlstate: str | None
) -> None:
    with pytest.raises(errors.ProgrammingError) as raised:
        registry.register(definition(**changes))
    assert sqlstate is None or raised.value.sqlstate == sqlstate
    assert raised.value.hint
    assert registry.list() == []


def test_a_name_that_a_topic_has_is_taken(conn: Connection, registry: MutableTableRegistry) -> None:
    conn.execute("CREATE TOPIC t (a INT)")
    with fails("42P07"):
        registry.register(definition())


def test_batches_are_inserted_whole_or_not_at_all(registry: MutableTableRegistry) -> None:
    registry.register(definition())
    assert registry.insert_batch("t", pa.record_batch({"f": [math.nan, None], "id": [1, 2], "v": ["x", None]})) == 2
    assert registry.insert_batch("t", pa.table({"id": [3], "v": ["y"], "f": [-0.0]})) == 1
    assert registry.insert_batch("t", pl.DataFrame({"id": [4], "v": ["z"], "f": [1.0]}).to_arrow().cast(SCHEMA)) == 1
    assert (
        registry.insert_batch(
            "t",
            pd.DataFrame({"id": [5], "v": ["z"], "f": [1.0]})
            .convert_dtypes(dtype_backend="pyarrow")
            .astype({"f": "float64[pyarrow]"}),
        )
        == 1
    )
    assert registry.insert_batch(definition(), pa.record_batch({"id": [6], "v": ["z"], "f": [1.0]})) == 1
    for batch, sqlstate, cls in (
        ({"id": [10, 1], "v": ["a", "b"], "f": [0.0, 1.0]}, "23505", errors.IntegrityError),
        ({"id": [10, 10], "v": ["a", "b"], "f": [0.0, 1.0]}, "23505", errors.IntegrityError),
        ({"id": [10, None], "v": ["a", "b"], "f": [0.0, 1.0]}, "23502", errors.IntegrityError),
        ({"id": [10], "v": ["a"]}, "42804", errors.BatchSchemaMismatch),
        ({"id": [10], "v": [1], "f": [1.0]}, "42804", errors.BatchSchemaMismatch),
        ({"id": [10], "v": ["a"], "f": [1.0], "g": [1]}, "42804", errors.BatchSchemaMismatch),
    ):
        with fails(sqlstate, cls):
            registry.insert_batch("t", pa.record_batch(batch))
    assert sorted(registry.scan("t").read_all().column("id").to_pylist()) == [1, 2, 3, 4, 5, 6]


def test_a_scan_reads_as_of_its_beginning(conn: Connection, registry: MutableTableRegistry) -> None:
    conn.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR)")
    conn.execute("INSERT INTO t SELECT value, 'old' FROM range(100000)")
    reader = registry.scan("t", columns=["v", "id"])
    assert isinstance(reader, pa.RecordBatchReader)
    first = reader.read_next_batch()
    conn.execute("UPDATE t SET v = 'new'")
    conn.execute("DELETE FROM t WHERE id > 10")
    table = pa.Table.from_batches([first, *reader])
    assert table.schema.names == ["v", "id"]
    assert (table.num_rows, table.column("v").unique().to_pylist()) == (100000, ["old"])
    assert registry.scan("t").read_all().num_rows == 11
    with fails("42703"):
        registry.scan("t", columns=["nope"])


def test_an_abandoned_scan_holds_nothing(conn: Connection, registry: MutableTableRegistry) -> None:
    conn.execute("CREATE TABLE t (id BIGINT)")
    conn.execute("INSERT INTO t SELECT value FROM range(200000)")
    for _ in range(40):
        registry.scan("t").read_next_batch()
        registry.scan("t")
    conn.execute("DELETE FROM t")
    assert registry.scan("t").read_all().num_rows == 0


def test_dropping(conn: Connection, registry: MutableTableRegistry) -> None:
    registry.register(definition())
    registry.drop("t")
    for call in (registry.drop, registry.scan, lambda name: registry.insert_batch(name, pa.record_batch({"id": [1]}))):
        with fails("42P01"):
            call("t")
    with fails("42P01"):
        conn.execute("SELECT * FROM t")
    registry.register(definition(schema=pa.schema([pa.field("id", pa.string())])))


def test_what_is_no_definition_is_refused(registry: MutableTableRegistry) -> None:
    for wrong in ("t", None, 1, {"name": "t"}):
        with pytest.raises(errors.ProgrammingError):
            registry.register(wrong)  # type: ignore[arg-type]
    for arguments in ((1, SCHEMA), ("t", "schema"), ("t", None)):
        with pytest.raises(errors.ProgrammingError):
            MutableTableDefinition(*arguments)  # type: ignore[arg-type]


def test_definitions_are_values() -> None:
    one, two = definition(), definition()
    assert one == two
    assert hash(one) == hash(two)
    assert one != definition(primary_key=("v",))
    assert MutableTableDefinition("t", SCHEMA, ["id"]).primary_key == ("id",)
    assert MutableTableDefinition("t", SCHEMA, ("id",), None, [["v"]]).indexes


def test_the_registry_survives_reopening(tmp_path: Any) -> None:
    with jammi_sql.connect(f"{tmp_path}/s") as conn:
        conn.engine.mutable_tables.register(definition(indexes=(("v",),)))
        conn.engine.mutable_tables.insert_batch("t", pa.record_batch({"id": [1], "v": ["x"], "f": [math.nan]}))
    with jammi_sql.connect(f"{tmp_path}/s") as conn:
        registry = conn.engine.mutable_tables
        registry.register(definition(indexes=(("v",),)))
        found = registry.get("t")
        assert found is not None
        assert [index.columns for index in found.indexes] == [("v",)]
        (row,) = registry.scan("t").read_all().to_pylist()
        assert math.isnan(row["f"])


# --- ADBC ---


@pytest.fixture
def t(conn: Connection) -> Connection:
    conn.execute(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR NOT NULL DEFAULT 'x' COMMENT 'what it is', d DECIMAL(10, 2), UNIQUE (v, d))"
    )
    conn.execute("INSERT INTO t VALUES (1, 'a', 1.5)")
    return conn


def test_the_schema_of_a_table(t: Connection) -> None:
    schema = t.adbc_get_table_schema("t")
    assert schema.names == ["id", "v", "d"]
    assert schema.types == [pa.int64(), pa.string(), pa.decimal128(10, 2)]
    assert [field.nullable for field in schema] == [False, False, True]
    assert t.adbc_get_table_schema("t", db_schema_filter="public").equals(schema)
    with fails("42P01"):
        t.adbc_get_table_schema("nowhere")


def test_the_objects_of_the_catalog(t: Connection) -> None:
    t.execute("CREATE TOPIC e (a INT)")
    found = t.adbc_get_objects(depth="all", catalog_filter="jammi", db_schema_filter="public").read_all().to_pylist()
    tables = {
        table["table_name"]: table for schema in found[0]["catalog_db_schemas"] for table in schema["db_schema_tables"]
    }
    assert sorted(tables) == ["e", "t"]
    assert tables["t"]["table_type"] == "table"
    columns = tables["t"]["table_columns"]
    assert [(column["column_name"], column["ordinal_position"], column["xdbc_is_nullable"]) for column in columns] == [
        ("id", 1, "NO"),
        ("v", 2, "NO"),
        ("d", 3, "YES"),
    ]
    names = t.adbc_get_objects(depth="tables", table_name_filter="t%").read_all().to_pylist()
    assert [
        table["table_name"]
        for schema in names[0]["catalog_db_schemas"]
        for table in schema["db_schema_tables"]
        if schema["db_schema_name"] == "public"
    ] == ["t"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT id, d * 2 AS m FROM t", ["id", "m"]),
        ("INSERT INTO t (id) VALUES (5) RETURNING id, id * 2 AS m, v", ["id", "m", "v"]),
        ("UPDATE t SET d = 1 RETURNING *", ["id", "v", "d"]),
        ("DELETE FROM t RETURNING id AS gone", ["gone"]),
        ("MERGE INTO t USING t AS s ON t.id = s.id WHEN MATCHED THEN DELETE RETURNING id", ["id"]),
        ("INSERT INTO t (id) VALUES (5)", []),
        ("UPDATE t SET d = 1", []),
        ("DELETE FROM t", []),
        ("CREATE TABLE u (a INT)", []),
        ("DROP TABLE t", []),
        ("TRUNCATE TABLE t", []),
    ],
)
def test_the_schema_of_a_result_without_running_the_statement(
    t: Connection, statement: str, expected: list[str]
) -> None:
    assert t.cursor().adbc_execute_schema(statement).names == expected
    assert rows(t, "SELECT * FROM t") == [(1, "a", decimal.Decimal("1.50"))]
    assert values(t, "SELECT name FROM jammi.system.tables") == ["t"]
    cursor = t.execute(statement)
    assert [column[0] for column in cursor.description or []] == expected


def test_the_description_and_the_forms_of_returned_rows(t: Connection) -> None:
    cursor = t.execute("UPDATE t SET d = 2 RETURNING id, v, d, d > 1 AS more")
    assert [column[0] for column in cursor.description] == ["id", "v", "d", "more"]
    assert len(cursor.description[0]) == 7
    assert cursor.rowcount == 1
    assert cursor.fetchone() == (1, "a", decimal.Decimal("2.00"), True)
    assert cursor.fetchone() is None
    frame = t.execute("UPDATE t SET d = 3 RETURNING id, d").fetch_polars()
    assert frame.schema == {"id": pl.Int64(), "d": pl.Decimal(10, 2)}
    assert t.execute("UPDATE t SET v = 'b' RETURNING v").fetch_df()["v"].tolist() == ["b"]
    assert pa.table(t.execute("UPDATE t SET v = 'c' RETURNING v")).to_pylist() == [{"v": "c"}]
    assert t.execute("DELETE FROM t RETURNING id").fetchmany(10) == [(1,)]
    empty = t.execute("DELETE FROM t RETURNING id, v").fetch_arrow_table()
    assert (empty.num_rows, empty.schema.types) == (0, [pa.int64(), pa.string()])


def test_statements_without_rows_have_no_description_and_say_how_many(t: Connection) -> None:
    for statement, count in (
        ("INSERT INTO t (id) VALUES (2), (3)", 2), ("UPDATE t SET v = v || id", 3), ("DELETE FROM t WHERE id > 1", 2),
        ("CREATE TABLE u AS SELECT * FROM t", 1),
    ):  # fmt: skip
        cursor = t.execute(statement)
        assert (cursor.description, cursor.rowcount) == (None, count)
        with pytest.raises(errors.Error):
            cursor.fetchall()


def test_a_script_of_everything(conn: Connection) -> None:
    conn.cursor().executescript(
        """
        -- a table; and a topic
        CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR DEFAULT 'semi;colon');
        CREATE TOPIC e (id INT);
        BEGIN;
        INSERT INTO t (id) VALUES (1), (2);
        UPDATE t SET v = 'x' WHERE id = 2;
        INSERT INTO e SELECT id FROM t;
        COMMIT;
        MERGE INTO t USING e ON t.id = e.id WHEN MATCHED AND e.id = 1 THEN DELETE;
        """
    )
    assert rows(conn, "SELECT * FROM t") == [(2, "x")]
    assert value(conn, "SELECT count(*) FROM e") == 2


def test_explain_changes_nothing(t: Connection) -> None:
    for statement in (
        "INSERT INTO t (id) VALUES (5)",
        "UPDATE t SET d = 9",
        "DELETE FROM t",
        "MERGE INTO t USING t AS s ON t.id = s.id WHEN MATCHED THEN DELETE",
        "DROP TABLE t",
        "TRUNCATE TABLE t",
    ):
        assert t.execute(f"EXPLAIN {statement}").fetchall()
    assert rows(t, "SELECT * FROM t") == [(1, "a", decimal.Decimal("1.50"))]
    assert "DatasetExec" in str(rows(t, "EXPLAIN SELECT * FROM t WHERE id = 1"))
