"""The calls that ADBC's driver makes for a statement, on ``grpc.aio`` and nothing else: what no server on it can go below."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio


async def _once(message: bytes, context: Any) -> bytes:
    return message


async def _prepare(message: bytes, context: Any) -> None:
    await context.write(message)


async def _fetch(message: bytes, context: Any) -> None:
    await context.write(message)  # a schema
    await context.write(message)  # a batch


async def _close(message: bytes, context: Any) -> None:
    pass


async def main() -> None:
    server = grpc.aio.server()
    methods = {
        "Prepare": grpc.unary_stream_rpc_method_handler(_prepare),
        "Run": grpc.unary_unary_rpc_method_handler(_once),
        "Fetch": grpc.unary_stream_rpc_method_handler(_fetch),
        "Close": grpc.unary_stream_rpc_method_handler(_close),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare", methods),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
