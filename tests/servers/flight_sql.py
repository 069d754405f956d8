"""A small Flight SQL server on loopback, as a peer to attach: DuckDB in memory behind pyarrow.flight.

Its messages are read and written by hand: the few that a client needs for a catalogue, a query and its result.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.flight as flight

from tests.topic_support import LIMIT

__all__ = ["FlightSqlServer"]

_PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."
_VALUE = pa.dense_union([
    pa.field("string_value", pa.utf8()), pa.field("bool_value", pa.bool_()), pa.field("bigint_value", pa.int64()),
    pa.field("int32_bitmask", pa.int32()), pa.field("string_list", pa.list_(pa.field("item", pa.utf8()))),
    pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.field("item", pa.int32())))),
])  # fmt: skip
_INFO = pa.schema([pa.field("info_name", pa.uint32(), False), pa.field("value", _VALUE, False)])
_CATALOGS = pa.schema([pa.field("catalog_name", pa.utf8(), False)])
_SCHEMAS = pa.schema([pa.field("catalog_name", pa.utf8()), pa.field("db_schema_name", pa.utf8(), False)])
_TABLES = pa.schema([
    pa.field("catalog_name", pa.utf8()), pa.field("db_schema_name", pa.utf8()), pa.field("table_name", pa.utf8(), False),
    pa.field("table_type", pa.utf8(), False),
])  # fmt: skip
_WITH_SCHEMA = pa.schema([*_TABLES, pa.field("table_schema", pa.binary(), False)])


def _fields(data: bytes) -> dict[int, list[Any]]:
    """A protobuf message: numbers and bytes by the numbers of their fields."""
    found: dict[int, list[Any]] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        number = shift = 0
        while True:
            byte = data[place]
            place += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while place < len(data):
        key = varint()
        if key & 7 == 0:
            found.setdefault(key >> 3, []).append(varint())
        elif key & 7 == 2:
            size = varint()
            found.setdefault(key >> 3, []).append(data[place : place + size])
            place += size
        else:
            raise ValueError(f"wire type {key & 7}")
    return found


def _message(fields: Mapping[int, bytes]) -> bytes:
    out = b""
    for number, value in fields.items():
        size, rest = b"", len(value)
        while rest > 0x7F:
            size += struct.pack("B", rest & 0x7F | 0x80)
            rest >>= 7
        out += struct.pack("B", number << 3 | 2) + size + struct.pack("B", rest) + value
    return out


class _Denied(flight.ServerMiddlewareFactory):
    """Only those with the token come in."""

    def __init__(self, token: str) -> None:
        self._token = token

    def start_call(self, info: Any, headers: Mapping[str, list[str]]) -> None:
        given = {name.lower(): values for name, values in headers.items()}
        if given.get("authorization", [""])[0] != f"Bearer {self._token}":
            raise flight.FlightUnauthenticatedError("wrong token")


class FlightSqlServer(flight.FlightServerBase):
    """``vendor`` is what it says of itself.

    ``calls`` has the queries that came, ``open_streams`` the number of results that are being read. A query with the word
    ``hold`` in it has no rows before ``released`` is set.
    """

    def __init__(self, *texts: str, vendor: str = "Test", token: str | None = None) -> None:
        self._database = duckdb.connect(":memory:")
        self._vendor = vendor
        self._lock = threading.Lock()
        self.calls: list[str] = []
        self.open_streams = 0
        self.released = threading.Event()
        for text in texts:
            self._database.execute(text)
        middleware = {"token": _Denied(token)} if token is not None else {}
        super().__init__("grpc://127.0.0.1:0", middleware=middleware)

    @property
    def uri(self) -> str:
        """Where it listens."""
        return f"grpc://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.shutdown()

    # --- the protocol ---

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        any_ = _fields(descriptor.command)
        kind, body = any_[1][0].decode().removeprefix(_PREFIX), any_.get(2, [b""])[0]
        command = _fields(body)
        if kind == "CommandStatementQuery":
            text = command[1][0].decode()
            self.calls.append(text)
            schema = self._schema(text)
            handle = _message({1: body})
            ticket = _message({1: (_PREFIX + "TicketStatementQuery").encode(), 2: handle})
        else:
            schema = {
                "CommandGetSqlInfo": _INFO, "CommandGetCatalogs": _CATALOGS, "CommandGetDbSchemas": _SCHEMAS,
                "CommandGetTables": _WITH_SCHEMA if command.get(5, [0])[0] else _TABLES,
            }.get(kind)  # fmt: skip
            if schema is None:
                raise flight.FlightServerError(f"{kind} is not implemented")
            ticket = descriptor.command
        return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(ticket, [])], -1, -1)

    def do_get(self, context: Any, ticket: Any) -> Any:
        any_ = _fields(ticket.ticket)
        kind, body = any_[1][0].decode().removeprefix(_PREFIX), any_.get(2, [b""])[0]
        command = _fields(body)
        if kind == "TicketStatementQuery":
            text = _fields(command[1][0])[1][0].decode()
            schema = self._schema(text)
            return flight.GeneratorStream(schema, self._stream(text, schema))
        table = {
            "CommandGetSqlInfo": self._info, "CommandGetCatalogs": self._catalogs, "CommandGetDbSchemas": self._schemas,
            "CommandGetTables": self._tables,
        }[kind](command)  # fmt: skip
        return flight.RecordBatchStream(table)

    def do_action(self, context: Any, action: Any) -> Any:
        raise flight.FlightServerError(f"{action.type} is not implemented")

    # --- what it says ---

    def _schema(self, text: str) -> pa.Schema:
        try:
            with self._lock:
                cursor = self._database.cursor()
            return cursor.sql(f"SELECT * FROM ({text}) LIMIT 0").to_arrow_table().schema
        except duckdb.Error as error:
            raise flight.FlightServerError(str(error).partition("\n")[0]) from error

    def _stream(self, text: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with self._lock:
            cursor = self._database.cursor()
            self.open_streams += 1
        try:
            if "hold" in text:
                self.released.wait(LIMIT)
            yield from cursor.sql(text).to_arrow_reader(2048)
        finally:
            with self._lock:
                self.open_streams -= 1

    def _info(self, command: dict[int, list[Any]]) -> pa.Table:
        names = pa.array([0], pa.uint32())
        texts = pa.array([self._vendor])
        children = [texts, *(pa.array([], _VALUE.field(place).type) for place in range(1, 6))]
        types, offsets = pa.array([0], pa.int8()), pa.array([0], pa.int32())
        fields = [_VALUE.field(place).name for place in range(6)]
        value = pa.UnionArray.from_dense(types, offsets, children, fields)
        return pa.Table.from_arrays([names, value.cast(_VALUE) if value.type != _VALUE else value], schema=_INFO)

    def _catalogs(self, command: dict[int, list[Any]]) -> pa.Table:
        return pa.table([["memory"]], schema=_CATALOGS)

    def _rows(self, text: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.cursor().execute(text).fetchall()

    def _schemas(self, command: dict[int, list[Any]]) -> pa.Table:
        rows = self._rows(
            "SELECT 'memory', schema_name FROM duckdb_schemas() WHERE database_name = 'memory' AND NOT internal"
        )
        rows = sorted({*rows, ("memory", "main")})
        return pa.table([list(column) for column in zip(*rows, strict=True)], schema=_SCHEMAS)

    def _tables(self, command: dict[int, list[Any]]) -> pa.Table:
        rows = self._rows(
            "SELECT 'memory', schema_name, table_name, 'TABLE' FROM duckdb_tables() UNION ALL"
            " SELECT 'memory', schema_name, view_name, 'VIEW' FROM duckdb_views() WHERE NOT internal"
        )
        wanted = command.get(3, [b"%"])[0].decode()
        rows = [row for row in rows if wanted == "%" or row[2] == wanted]
        columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []]
        if not command.get(5, [0])[0]:
            return pa.table(columns, schema=_TABLES)
        schemas = [self._schema(f'SELECT * FROM "{row[1]}"."{row[2]}"').serialize().to_pybytes() for row in rows]
        return pa.table([*columns, schemas], schema=_WITH_SCHEMA)
