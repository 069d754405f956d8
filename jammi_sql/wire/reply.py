"""What the server replied, as results and schemas."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ..results import BatchResult, CommandResult, IterableSource, Result
from .link import Link
from .stream import Stream

__all__ = ["result_of", "schema_of"]


def schema_of(reply: Any) -> pa.Schema | None:
    """The columns in a reply; ``None`` for a statement without rows."""
    return pa.ipc.read_schema(pa.py_buffer(reply.schema)) if reply.HasField("schema") else None


def result_of(reply: Any, link: Link) -> Result:
    """The result in a reply: its rows came along, or are fetched as they are asked for."""
    schema = schema_of(reply)
    if schema is None:
        return CommandResult(reply.rowcount)
    if reply.HasField("rows"):
        with pa.ipc.open_stream(pa.py_buffer(reply.rows)) as reader:
            batches = list(reader)
        return BatchResult(IterableSource(schema, batches), rowcount=reply.rowcount)
    return BatchResult(
        Stream(schema, link.stream(reply.ticket), link.failure), rowcount=reply.rowcount, bounded=not reply.unbounded
    )
