"""Statements over the wire: a real client against a server in another process."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from adbc_driver_manager import Error, NotSupportedError, ProgrammingError

from jammi_sql.flight.protocol import flight, sql, unwrap, wrap
from tests.servers.jammi import JammiServer

VALUES = [
    True, -(2**63), 2**63 - 1, 1.5, float("inf"), "text", "", b"\x00\xff", dt.date(2030, 1, 31), Decimal("1.50"),
    dt.datetime(2030, 1, 31, 12, 30, 0, 123456),
]  # fmt: skip


def rows(client: Any, text: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    with client.cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.fetchall()


def run(client: Any, text: str, parameters: Any = None) -> int:
    with client.cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.rowcount


def test_a_query_has_its_rows_and_columns(client: Any) -> None:
    with client.cursor() as cursor:
        cursor.execute("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL ORDER BY a")
        assert [column[:2] for column in cursor.description] == [("a", pa.int64()), ("b", pa.string())]
        assert cursor.fetchall() == [(1, "x"), (2, None)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_parameter_comes_back_as_it_went(client: Any, value: Any) -> None:
    assert rows(client, "SELECT ?", (value,)) == [(value,)]


def test_an_arrow_parameter_keeps_its_type(client: Any) -> None:
    given = pa.table({"a": pa.array([[1, None]], pa.list_(pa.int32())), "b": pa.array([2**64 - 1], pa.uint64())})
    with client.cursor() as cursor:
        cursor.execute("SELECT $1 AS a, $2 AS b", given)
        assert cursor.fetch_arrow_table().to_pylist() == [{"a": [1, None], "b": 2**64 - 1}]


def test_changes_give_their_row_counts(client: Any, name: str) -> None:
    assert run(client, f"CREATE TABLE {name} (id BIGINT, v VARCHAR)") == -1
    assert run(client, f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b'), (3, 'c')") == 3
    assert run(client, f"UPDATE {name} SET v = ? WHERE id > ?", ("z", 1)) == 2
    assert run(client, f"DELETE FROM {name} WHERE id = 2") == 1
    assert rows(client, f"SELECT * FROM {name} ORDER BY id") == [(1, "a"), (3, "z")]


def test_executemany_runs_once_per_row_and_all_or_nothing(client: Any, name: str) -> None:
    run(client, f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, v VARCHAR)")
    with client.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", [(number, None) for number in range(1000)])
        assert cursor.rowcount == 1000
        with pytest.raises(ProgrammingError, match="23505"):
            cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", [(2000, "x"), (1, "y")])
        cursor.executemany(f"UPDATE {name} SET v = ? WHERE id = ?", [("a", 1), ("b", 2)])
        assert cursor.rowcount == 2
    assert rows(client, f"SELECT count(*), count(v) FROM {name}") == [(1000, 2)]


def test_returning_has_rows(client: Any, name: str) -> None:
    run(client, f"CREATE TOPIC {name} (v BIGINT)")
    assert rows(client, f"INSERT INTO {name} VALUES (5), (6) RETURNING _offset, v") == [(0, 5), (0, 6)]


def test_results_are_split_under_what_clients_take(client: Any) -> None:
    with client.cursor() as cursor:
        cursor.execute("SELECT repeat('x', 10000) AS pad, value FROM generate_series(1, 6000)")
        table = cursor.fetch_arrow_table()
    assert table.num_rows == 6000 and table.nbytes > 48 << 20


def test_a_row_larger_than_that_needs_a_client_that_takes_it(server: JammiServer) -> None:
    options = {"adbc.flight.sql.client_option.with_max_msg_size": str(32 << 20)}
    with server.connect(**options) as client, client.cursor() as cursor:
        cursor.execute("SELECT repeat('x', 17000000) AS a, length(?) AS b", ("y" * 17_000_000,))
        ((large, length),) = cursor.fetchall()
        assert (len(large), length) == (17_000_000, 17_000_000)


def test_a_column_with_a_dictionary_is_sent_with_it(client: Any) -> None:
    text = "SELECT arrow_cast(v, 'Dictionary(Int32, Utf8)') AS v FROM (VALUES ('a'), ('b'), ('a')) AS t(v)"
    with client.cursor() as cursor:
        cursor.execute(text)
        table = cursor.fetch_arrow_table()
    assert pa.types.is_dictionary(table.schema.field("v").type)
    assert table.column("v").to_pylist() == ["a", "b", "a"]


def test_an_error_has_its_sqlstate_its_hint_and_its_place_and_no_traceback(client: Any, server: JammiServer) -> None:
    with pytest.raises(ProgrammingError) as caught:
        rows(client, "SELECT * FROM nowhere")
    text, details = str(caught.value), dict(caught.value.details)
    assert "[42P01] nowhere does not exist" in text and "hint: " in text and "Traceback" not in text
    info = sql.ErrorInfo.FromString(sql.Wrapped.FromString(details[b"grpc-status-details-bin"]).value)
    assert (info.reason, info.metadata["position"]) == ("42P01", "14")
    assert details[b"sqlstate"] == b"42P01"


@pytest.mark.parametrize(
    ("text", "error", "state"),
    [
        ("SELEC 1", ProgrammingError, "42601"),
        ("SELECT nope FROM (VALUES (1)) AS t(a)", ProgrammingError, "42703"),
        ("DELETE FROM {topic}", ProgrammingError, "42809"),
        ("SELECT count(*) FROM subscribe('{topic}')", NotSupportedError, "0A000"),
        ("CREATE TOPIC {topic} (v BIGINT)", ProgrammingError, "42P07"),
        ("SELECT 1; SELECT 2", ProgrammingError, "42601"),
    ],
)
def test_every_error_keeps_its_class_and_sqlstate(client: Any, name: str, text: str, error: Any, state: str) -> None:
    run(client, f"CREATE TOPIC {name} (v BIGINT)")
    with pytest.raises(error, match=state):
        rows(client, text.format(topic=name))


def test_the_schema_of_a_statement_is_known_before_it_runs(client: Any, name: str) -> None:
    run(client, f"CREATE TOPIC {name} (v BIGINT NOT NULL)")
    with client.cursor() as cursor:
        schema = cursor.adbc_execute_schema(f"SELECT v, _offset FROM {name}")
        cursor.execute(f"SELECT v, _offset FROM {name}")
        assert cursor.fetch_arrow_table().schema.equals(schema)
        parameters = cursor.adbc_prepare(f"SELECT v FROM {name} WHERE v > ? AND v < ?")
        assert parameters.names == ["1", "2"]


@pytest.mark.parametrize("mode", ["create", "append", "replace", "create_append"])
def test_rows_are_ingested_in_every_mode(client: Any, name: str, mode: str) -> None:
    data = pa.table({"id": pa.array(range(5000), pa.int64()), "v": [str(number) for number in range(5000)]})
    if mode in ("append", "replace"):
        run(client, f"CREATE TABLE {name} (id BIGINT, v VARCHAR)")
        run(client, f"INSERT INTO {name} VALUES (-1, 'old')")
    with client.cursor() as cursor:
        assert cursor.adbc_ingest(name, data, mode=mode) == 5000
        if mode == "create":
            with pytest.raises(ProgrammingError, match="42P07"):
                cursor.adbc_ingest(name, data, mode=mode)
    assert rows(client, f"SELECT count(*), min(id) FROM {name}") == [(5001, -1) if mode == "append" else (5000, 0)]


def test_a_prepared_statement_sees_what_another_client_did_to_its_table_since(
    client: Any, server: JammiServer, name: str
) -> None:
    run(client, f"CREATE TABLE {name} (id BIGINT)")
    run(client, f"INSERT INTO {name} VALUES (1)")
    text = f"SELECT * FROM {name}"
    with client.cursor() as cursor, server.connect() as other:
        cursor.adbc_prepare(text)
        run(other, f"ALTER TABLE {name} ADD COLUMN v VARCHAR")
        run(other, f"INSERT INTO {name} VALUES (2, 'x')")
        cursor.execute(text)
        assert [column[0] for column in cursor.description] == ["id", "v"]
        assert sorted(cursor.fetchall()) == [(1, None), (2, "x")]
        run(other, f"DELETE FROM {name} WHERE id = 1")
        cursor.execute(text)
        assert cursor.fetchall() == [(2, "x")]
        run(other, f"DROP TABLE {name}")
        with pytest.raises(ProgrammingError, match="does not exist"):
            cursor.execute(text)
        run(other, f"CREATE TABLE {name} (w DOUBLE)")
        cursor.execute(text)
        assert [column[0] for column in cursor.description] == ["w"]
        assert cursor.fetchall() == []


def test_a_prepared_statement_is_run_anew_each_time(client: Any) -> None:
    text = "SELECT now(), random(), arrow_typeof(now())"
    with client.cursor() as cursor:
        cursor.adbc_prepare(text)
        seen = []
        for zone in ("UTC", "+02:00", "-05:00"):
            run(client, f"SET datafusion.execution.time_zone = '{zone}'")
            cursor.execute(text)
            (row,) = cursor.fetchall()
            assert zone in row[2]
            seen.append(row)
        assert [len(set(values)) for values in zip(*seen, strict=True)] == [3, 3, 3]


def test_rows_are_ingested_into_a_topic(client: Any, name: str) -> None:
    run(client, f"CREATE TOPIC {name} (v BIGINT)")
    with client.cursor() as cursor:
        assert cursor.adbc_ingest(name, pa.table({"v": [1, 2]}), mode="append") == 2
    assert rows(client, f"SELECT _offset, v FROM {name}") == [(0, 1), (0, 2)]


def test_a_text_that_is_no_command_is_refused() -> None:
    with pytest.raises(ValueError, match="no command"):
        unwrap(b"\xff\xff")
    with pytest.raises(ValueError, match="no command"):
        unwrap(sql.Wrapped(type_url="type.googleapis.com/other.Message").SerializeToString())
    assert unwrap(wrap(sql.CommandStatementQuery(query="SELECT 1"))).query == "SELECT 1"
    assert flight.FlightInfo().total_records == 0


def test_settings_and_temporary_tables_last_as_long_as_the_connection(client: Any, name: str) -> None:
    run(client, "SET jammi.batch_size = 100")
    run(client, f"CREATE TEMP TABLE {name} AS SELECT 7 AS v")
    assert rows(client, "SHOW jammi.batch_size") == [("jammi.batch_size", "100")]
    assert rows(client, f"SELECT v FROM {name}") == [(7,)]


def test_temporary_tables_are_no_other_clients(client: Any, server: JammiServer, name: str) -> None:
    run(client, f"CREATE TEMP TABLE {name} AS SELECT 7 AS v")
    with server.connect() as other, pytest.raises(ProgrammingError, match="42P01"):
        rows(other, f"SELECT v FROM {name}")


def test_a_client_with_cookies_keeps_its_schema(server: JammiServer) -> None:
    with server.connect(**{"adbc.flight.sql.rpc.with_cookie_middleware": "true"}) as client:
        run(client, "CREATE SCHEMA IF NOT EXISTS cookies")
        client.adbc_current_db_schema = "cookies"
        assert client.adbc_current_db_schema == "cookies"
        run(client, "CREATE TABLE IF NOT EXISTS there (v BIGINT)")
    with server.connect() as other:
        assert rows(other, "SELECT count(*) FROM cookies.there") == [(0,)]


def test_the_log_has_fingerprints_and_no_values(client: Any, server: JammiServer) -> None:
    rows(client, "SELECT 'a secret value', 4711")
    rows(client, "SELECT 'another one', 4712")
    lines = [line for line in server.log.splitlines() if "statement=SELECT" in line]
    assert lines and "secret" not in server.log and "4711" not in server.log


def test_an_error_of_a_long_statement_is_told_in_short(client: Any) -> None:
    with pytest.raises(ProgrammingError, match="42") as caught:
        rows(client, "SELECT " + "a" * 100_000 + " FROM nowhere")
    assert len(str(caught.value)) < 4000


def test_a_large_batch_comes_in_messages_that_clients_take(client: Any) -> None:
    text = "SELECT value, repeat('x', 1000000) AS filler FROM generate_series(1, 40) ORDER BY value"
    with client.cursor() as cursor:
        cursor.execute(text)
        batches = list(cursor.fetch_record_batch())
    assert [value for batch in batches for value in batch.column("value").to_pylist()] == list(range(1, 41))
    assert all(batch.nbytes < 16 << 20 for batch in batches) and sum(batch.nbytes for batch in batches) > 40_000_000


def test_statistics_are_nothing_that_the_driver_asks_for(client: Any) -> None:
    with pytest.raises(NotSupportedError, match="GetStatistics: not supported"):  # before a call is made
        client.adbc_get_statistics()


def test_a_prepared_statement_tells_the_types_of_its_parameters(client: Any, name: str) -> None:
    run(client, f"CREATE TABLE {name} (id BIGINT, price DECIMAL(10, 2), at TIMESTAMP)")
    with client.cursor() as cursor:
        types = cursor.adbc_prepare(f"INSERT INTO {name} VALUES (?, ?, ?)").types
        assert types == [pa.int64(), pa.decimal128(10, 2), pa.timestamp("ns")]
        assert cursor.adbc_prepare(f"SELECT ?, id FROM {name} WHERE price > ?").types == [
            pa.null(),
            pa.decimal128(10, 2),
        ]
    # they are for those who ask: a value of another type is taken as before
    assert run(client, f"INSERT INTO {name} VALUES (?, ?, ?)", (1, "2.50", dt.datetime(2030, 1, 1))) == 1
    assert rows(client, f"SELECT id FROM {name} WHERE price > ?", (2,)) == [(1,)]


def told(client: Any, text: str) -> list[pa.DataType]:
    """The types of the parameters; of a cursor of its own, which remembers what it prepared."""
    with client.cursor() as cursor:
        return list(cursor.adbc_prepare(text).types)


def test_the_types_are_those_of_the_table_as_it_is(client: Any, name: str) -> None:
    text = f"INSERT INTO {name} VALUES (?)"
    assert told(client, text) == [pa.null()]
    for written, known, value in (("BIGINT", pa.int64(), 1), ("VARCHAR", pa.string(), "x")):
        run(client, f"CREATE TABLE {name} (v {written})")
        assert [told(client, text) for _ in range(2)] == [[known], [known]]
        run(client, text, (value,))
        assert told(client, text) == [known]
        run(client, f"DROP TABLE {name}")


def union(*values: Any) -> pa.Array:
    """As the client of flightsql-dbapi sends a parameter, which does not know the type that is asked for."""
    kinds = (int, str)
    children = [pa.array([each for each in values if isinstance(each, kind)]) for kind in kinds]
    places = {kind: iter(range(len(values))) for kind in kinds}
    types = [next(place for place, kind in enumerate(kinds) if isinstance(each, kind)) for each in values]
    offsets = [next(places[kinds[place]]) for place in types]
    return pa.UnionArray.from_dense(pa.array(types, pa.int8()), pa.array(offsets, pa.int32()), children)


def test_parameters_may_be_unions(client: Any, name: str) -> None:
    given = pa.table({"a": union(7), "b": union("x")})
    with client.cursor() as cursor:
        cursor.execute("SELECT ? + 1 AS a, ? || 'y' AS b", given)
        assert cursor.fetchall() == [(8, "xy")]
        cursor.execute(f"CREATE TABLE {name} (id BIGINT, v VARCHAR)")
        cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", pa.table({"a": union(1, 2), "b": union("x", "y")}))
        with pytest.raises(Error, match="07006"):
            cursor.executemany(f"INSERT INTO {name} VALUES (1, ?)", pa.table({"a": union(1, "two")}))
    assert rows(client, f"SELECT * FROM {name} ORDER BY id") == [(1, "x"), (2, "y")]
