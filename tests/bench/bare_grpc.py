"""``SELECT 1`` over Flight SQL on ``grpc.aio`` and nothing else, every answer made beforehand: what no server on it can go
below."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pyarrow as pa

from jammi_sql.flight.framing import Framing
from jammi_sql.flight.protocol import flight, sql, wrap

_BATCH = pa.record_batch({"Int64(1)": pa.array([1])})
_FRAMING = Framing(_BATCH.schema)
_STREAM = (_FRAMING.head(), *_FRAMING.messages(_BATCH))
_INFO = flight.FlightInfo(
    schema=_FRAMING.ipc_schema,
    endpoint=[flight.FlightEndpoint(ticket=flight.Ticket(ticket=bytes(80)))],
    total_records=-1,
    total_bytes=-1,
).SerializeToString()
_PREPARED = flight.Result(
    body=wrap(
        sql.ActionCreatePreparedStatementResult(prepared_statement_handle=bytes(16), dataset_schema=_FRAMING.ipc_schema)
    )
).SerializeToString()


async def _info(message: bytes, context: Any) -> bytes:
    if b"CommandGetSqlInfo" in message:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED)
    return _INFO


async def _get(message: bytes, context: Any) -> None:
    for each in _STREAM:
        await context.write(each)


async def _act(message: bytes, context: Any) -> None:
    if b"CreatePreparedStatement" in message:
        await context.write(_PREPARED)


async def main() -> None:
    server = grpc.aio.server()
    methods = {
        "GetFlightInfo": grpc.unary_unary_rpc_method_handler(_info),
        "DoGet": grpc.unary_stream_rpc_method_handler(_get),
        "DoAction": grpc.unary_stream_rpc_method_handler(_act),
    }
    service = "arrow.flight.protocol.FlightService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
