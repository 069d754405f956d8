"""The catalogue as clients see it, with the columns that the protocol prescribes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pyarrow as pa
import pytest

from jammi_sql.flight.options import Limits
from jammi_sql.flight.protocol import flight, sql
from jammi_sql.flight.sql_info import sql_info
from jammi_sql.flight.type_info import type_info
from tests.flight.test_statements import rows, run
from tests.flight.test_transactions import Raw, described, raw
from tests.servers.jammi import JammiServer

__all__ = ["raw"]

TEXT, NUMBER = pa.utf8(), pa.int32()


@pytest.fixture(scope="module")
def names(server: JammiServer) -> Iterator[str]:
    """A schema with one of each kind."""
    with server.connect() as client:
        run(client, "CREATE SCHEMA kinds")
        run(
            client,
            "CREATE TABLE kinds.planes (tail VARCHAR, seat BIGINT, price DECIMAL(10, 2), PRIMARY KEY (tail, seat))",
        )
        run(client, "CREATE TOPIC kinds.flights (tail VARCHAR NOT NULL)")
    yield "kinds"


def asked(raw: Raw, command: Any) -> pa.Table:
    """The answer, whose columns are those that were announced."""
    descriptor = described(command)
    info = raw.call("GetFlightInfo", descriptor, flight.FlightInfo)
    announced = pa.ipc.read_schema(pa.py_buffer(info.schema))
    schema = pa.ipc.read_schema(pa.py_buffer(raw.call("GetSchema", descriptor, flight.SchemaResult).schema))
    answer = raw.fetch(info)
    assert answer.schema.equals(announced) and schema.equals(announced)
    return answer


def shape(schema: pa.Schema) -> list[tuple[str, pa.DataType, bool]]:
    return [(field.name, field.type, field.nullable) for field in schema]


def test_catalogs_and_schemas(raw: Raw, names: str) -> None:
    catalogs = asked(raw, sql.CommandGetCatalogs())
    assert shape(catalogs.schema) == [("catalog_name", TEXT, False)]
    assert "jammi" in catalogs.column(0).to_pylist()
    schemas = asked(raw, sql.CommandGetDbSchemas(catalog="jammi", db_schema_filter_pattern="k_nds"))
    assert shape(schemas.schema) == [("catalog_name", TEXT, True), ("db_schema_name", TEXT, False)]
    assert schemas.to_pylist() == [{"catalog_name": "jammi", "db_schema_name": "kinds"}]
    assert asked(raw, sql.CommandGetDbSchemas(catalog="nowhere")).num_rows == 0


def test_tables_by_pattern_and_type(raw: Raw, names: str) -> None:
    found = asked(raw, sql.CommandGetTables(db_schema_filter_pattern=names, table_name_filter_pattern="%l%"))
    assert shape(found.schema) == [
        ("catalog_name", TEXT, True), ("db_schema_name", TEXT, True), ("table_name", TEXT, False), ("table_type", TEXT, False),
    ]  # fmt: skip
    assert [(row["table_name"], row["table_type"]) for row in found.to_pylist()] == [
        ("flights", "table"),
        ("planes", "table"),
    ]
    views = asked(raw, sql.CommandGetTables(table_types=["system view"], table_name_filter_pattern="topic_"))
    assert [(row["db_schema_name"], row["table_name"]) for row in views.to_pylist()] == [("system", "topics")]
    assert asked(raw, sql.CommandGetTables(db_schema_filter_pattern=names, table_types=["view"])).num_rows == 0
    assert asked(raw, sql.CommandGetTables(catalog="")).num_rows == 0


def test_tables_with_their_columns(raw: Raw, names: str) -> None:
    command = sql.CommandGetTables(
        db_schema_filter_pattern=names, table_name_filter_pattern="planes", include_schema=True
    )
    found = asked(raw, command)
    assert shape(found.schema)[-1] == ("table_schema", pa.binary(), False)
    columns = pa.ipc.read_schema(pa.py_buffer(found.column("table_schema")[0].as_py()))
    assert shape(columns) == [("tail", TEXT, False), ("seat", pa.int64(), False), ("price", pa.decimal128(10, 2), True)]
    metadata = columns.field("price").metadata
    assert metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"].startswith(b"DECIMAL")
    assert (metadata[b"ARROW:FLIGHT:SQL:PRECISION"], metadata[b"ARROW:FLIGHT:SQL:SCALE"]) == (b"10", b"2")


def test_table_types(raw: Raw) -> None:
    assert asked(raw, sql.CommandGetTableTypes()).to_pydict() == {"table_type": ["system view", "table", "view"]}


def test_keys(raw: Raw, names: str) -> None:
    keys = asked(raw, sql.CommandGetPrimaryKeys(table="planes", db_schema=names))
    assert shape(keys.schema) == [
        ("catalog_name", TEXT, True), ("db_schema_name", TEXT, True), ("table_name", TEXT, False),
        ("column_name", TEXT, False), ("key_name", TEXT, True), ("key_sequence", NUMBER, False),
    ]  # fmt: skip
    assert [(row["column_name"], row["key_sequence"]) for row in keys.to_pylist()] == [("tail", 1), ("seat", 2)]
    assert asked(raw, sql.CommandGetPrimaryKeys(table="flights")).num_rows == 0
    for command in (
        sql.CommandGetExportedKeys(table="planes"),
        sql.CommandGetImportedKeys(table="planes"),
        sql.CommandGetCrossReference(pk_table="planes", fk_table="flights"),
    ):
        found = asked(raw, command)
        assert (found.num_rows, len(found.schema)) == (0, 13)
        assert shape(found.schema)[11:] == [("update_rule", pa.uint8(), False), ("delete_rule", pa.uint8(), False)]


def test_what_the_server_says_of_itself(raw: Raw) -> None:
    info = asked(raw, sql.CommandGetSqlInfo(info=[0, 3, 8, 9, 504, 508, 999]))
    values = {row["info_name"]: row["value"] for row in info.to_pylist()}
    assert values == {0: "Jammi SQL", 3: False, 8: 2, 9: True, 504: '"', 508: values[508]}
    assert "SUBSCRIBE" in values[508]
    union = info.schema.field("value").type
    assert [(union.field(place).name, union.field(place).type) for place in range(4)] == [
        ("string_value", TEXT), ("bool_value", pa.bool_()), ("bigint_value", pa.int64()), ("int32_bitmask", NUMBER),
    ]  # fmt: skip
    assert (info.schema.field(0).type, info.schema.field(0).nullable, info.schema.field(1).nullable) == (
        pa.uint32(),
        False,
        False,
    )
    everything = sql_info([], Limits(), read_only=True)
    everything.validate(full=True)
    assert everything.num_rows > 50
    assert {row["info_name"]: row["value"] for row in everything.to_pylist()}[3] is True


def test_what_drivers_ask_for_is_there_and_of_the_type_that_they_read() -> None:
    everything = sql_info([], Limits(), read_only=False)
    kinds = dict(
        zip(everything.column(0).to_pylist(), everything.column(1).combine_chunks().type_codes.to_pylist(), strict=True)
    )
    assert set(range(500, 577)) - set(kinds) == set()  # drivers of JDBC fail where one is missing
    bigint, bitmask, texts = 2, 3, 4
    assert {number for number, kind in kinds.items() if kind == bigint} == {
        503, 505, 507, *range(541, 556), *range(557, 563),
    }  # fmt: skip
    assert {522, 525, 526, 528, 533, 534, 535, 538, 540, 564, 567, *range(568, 572)} <= {
        number for number, kind in kinds.items() if kind == bitmask
    }
    assert [kinds[number] for number in range(508, 513)] == [texts] * 5


CALLS = {
    "ATAN2": "ATAN2(1.0, 2.0)", "LOG": "LOG(2.0)", "PI": "PI()", "POWER": "POWER(2, 3)", "RAND": "RAND()",
    "CONCAT": "CONCAT('a', 'b')", "LEFT": "LEFT('abc', 1)", "RIGHT": "RIGHT('abc', 1)", "POSITION": "POSITION('b' IN 'abc')",
    "REPEAT": "REPEAT('a', 2)", "REPLACE": "REPLACE('abc', 'a', 'b')", "SUBSTRING": "SUBSTRING('abc', 1, 2)",
    "IFNULL": "IFNULL(1, 2)", "CURRENT_DATE": "CURRENT_DATE", "CURRENT_TIME": "CURRENT_TIME",
    "CURRENT_TIMESTAMP": "CURRENT_TIMESTAMP", "EXTRACT": "EXTRACT(DAY FROM NOW())", "NOW": "NOW()",
}  # fmt: skip


def test_the_functions_that_drivers_may_call_are_there(client: Any) -> None:
    infos = {
        row["info_name"]: row["value"] for row in sql_info([509, 510, 511, 512], Limits(), read_only=True).to_pylist()
    }
    plain = {509: "{}(0.5)", 510: "{}('abc')"}
    calls = [CALLS.get(name, plain.get(number, "").format(name)) for number, names in infos.items() for name in names]
    assert len(calls) == 41
    assert len(rows(client, f"SELECT {', '.join(f'{call} AS c{place}' for place, call in enumerate(calls))}")[0]) == 41


def test_the_types_of_columns(raw: Raw, client: Any) -> None:
    types = asked(raw, sql.CommandGetXdbcTypeInfo())
    assert types.schema.names[:3] == ["type_name", "data_type", "column_size"] and len(types.schema) == 19
    numbers = [(row["data_type"], row["type_name"]) for row in types.to_pylist()]
    assert numbers == sorted(numbers)
    assert [row["type_name"] for row in type_info(12).to_pylist()] == ["VARCHAR"]
    for row in types.to_pylist():  # each is a type that SQL knows
        rows(client, f"SELECT CAST(NULL AS {row['type_name']})")


def test_the_drivers_own_functions(client: Any, names: str) -> None:
    assert client.adbc_get_table_schema("planes", db_schema_filter=names).names == ["tail", "seat", "price"]
    objects = client.adbc_get_objects(depth="tables", db_schema_filter=names).read_all().to_pylist()
    (schema,) = next(each for each in objects if each["catalog_name"] == "jammi")["catalog_db_schemas"]
    assert [table["table_name"] for table in schema["db_schema_tables"]] == ["flights", "planes"]
    assert client.adbc_get_table_types() == ["system view", "table", "view"]
    assert client.adbc_get_info()["vendor_name"] == "Jammi SQL"


def test_session_options(server: JammiServer, names: str) -> None:
    with server.connect() as client:
        client.adbc_current_db_schema = names
        assert client.adbc_current_db_schema == names
        assert rows(client, "SELECT count(*) FROM planes") == [(0,)]
    with grpc.insecure_channel(server.uri.removeprefix("grpc://")) as channel:
        other = Raw(channel)
        options = {
            "schema": flight.SessionOptionValue(string_value="nowhere"), "catalog": flight.SessionOptionValue(int64_value=1),
            "other": flight.SessionOptionValue(string_value="x"),
        }  # fmt: skip
        body = other.act("SetSessionOptions", flight.SetSessionOptionsRequest(session_options=options))
        errors = flight.SetSessionOptionsResult.FromString(body).errors
        assert {name: error.value for name, error in errors.items()} == {"schema": 2, "catalog": 2, "other": 1}
        found = flight.GetSessionOptionsResult.FromString(
            other.act("GetSessionOptions", flight.GetSessionOptionsRequest())
        )
        assert {name: value.string_value for name, value in found.session_options.items()} == {
            "catalog": "jammi",
            "schema": "public",
        }
        closed = flight.CloseSessionResult.FromString(other.act("CloseSession", flight.CloseSessionRequest()))
        assert closed.status == 1
