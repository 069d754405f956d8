"""A session over a plain DataFusion context, so that the DB-API is tested without an engine underneath."""

from __future__ import annotations

import asyncio
import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from typing import Any

import datafusion
import pyarrow as pa

from jammi_sql.dbapi.port import OBJECTS_SCHEMA, IngestMode
from jammi_sql.errors import (
    ActiveTransaction,
    DuplicateObject,
    NoActiveTransaction,
    QueryCanceled,
    StatementSyntaxError,
    UndefinedTable,
)
from jammi_sql.results import INTERRUPT_INTERVAL, BatchResult, CommandResult, Result
from jammi_sql.tenancy import TenantId

__all__ = ["FakeSession", "QueueSource", "after"]

_PLACEHOLDER = re.compile(r"\?|[$:]([A-Za-z_]\w*|\d+)|'[^']*'|=>")


def after(event: threading.Event, work: Callable[[], None]) -> threading.Thread:
    """A thread, started, that does ``work`` once ``event`` is set."""

    def run() -> None:
        if event.wait(50):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


class QueueSource:
    """A live source: the test puts batches, ``None`` for the end, or an exception."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.queue: queue.SimpleQueue[pa.RecordBatch | Exception | None] = queue.SimpleQueue()
        self.waiting = threading.Event()
        self.pulls = 0
        self.pulling = False
        self.cancelled = False
        self.closed = False

    def put(self, *values: int) -> None:
        self.queue.put(pa.record_batch([pa.array(values, pa.int64())], schema=self.schema))

    def next_batch(self, timeout: float | None) -> pa.RecordBatch | None:
        self.pulls += 1
        self.pulling = True
        self.waiting.set()
        try:
            item = self.queue.get(timeout=timeout) if timeout != 0 else self.queue.get_nowait()
        except queue.Empty:
            raise TimeoutError from None
        finally:
            self.pulling = False
        if isinstance(item, Exception):
            raise item
        return item

    async def anext_batch(self) -> pa.RecordBatch | None:
        while True:
            try:
                return self.next_batch(0)
            except TimeoutError:
                await asyncio.sleep(0.001)

    def cancel(self) -> None:
        self.cancelled = True
        self.queue.put(None)

    def close(self) -> None:
        assert not self.pulling
        assert not self.closed
        self.closed = True


class FakeSession:
    """``SELECT`` and ``INSERT`` are DataFusion's; ``LIVE`` reads ``live``, ``BLOCK`` runs until it is cancelled."""

    def __init__(self) -> None:
        config = datafusion.SessionConfig().with_information_schema(True)
        self.context = datafusion.SessionContext(config)
        self.tenant: TenantId | None = None
        self.closed = False
        self.in_transaction = False
        self.autocommit = True
        self.engine: object = object()
        self.current_catalog = "datafusion"
        self.current_schema = "public"
        self.live = QueueSource(pa.schema([pa.field("x", pa.int64())]))
        self.bounded = False
        self.blocked = threading.Event()
        self.cancelled = threading.Event()
        self.log: list[str] = []
        self.many: list[pa.Table] = []
        self.last_parameters: Mapping[str, Any] | None = None

    def parameter_keys(self, text: str) -> tuple[str, ...]:
        keys: list[str] = []
        for match in _PLACEHOLDER.finditer(text):
            if match[0] == "?":
                keys.append(str(len(keys) + 1))
            elif match[1] and match[1] not in keys:
                keys.append(match[1])
        return tuple(keys)

    def parameter_schema(self, text: str) -> pa.Schema:
        return pa.schema([(key, pa.null()) for key in self.parameter_keys(text)])

    def execute(self, text: str, parameters: Mapping[str, Any] | None = None) -> Result:
        self.log.append(text)
        self.last_parameters = parameters
        word = text.split(maxsplit=1)[0].upper()
        if word == "LIVE":
            return BatchResult(self.live, bounded=self.bounded)
        if word == "BLOCK":
            self.blocked.set()
            while not self.cancelled.wait(INTERRUPT_INTERVAL):
                pass
            raise QueryCanceled("the statement was cancelled")
        if word == "WRONG":
            raise StatementSyntaxError("WRONG is no statement", position=0, hint="write it right")
        if word == "DROP":
            self.context.deregister_table(text.split('"')[1])
            return CommandResult()
        frame = self._frame(text, parameters)
        if word == "INSERT":
            return CommandResult(frame.to_pydict()["count"][0])
        if word == "CREATE":
            return CommandResult()
        return BatchResult.of(pa.table(frame))

    def _frame(self, text: str, parameters: Mapping[str, Any] | None) -> datafusion.DataFrame:
        count = iter(range(1, 1_000))

        def dollar(match: re.Match[str]) -> str:
            if match[0] == "?":
                return f"${next(count)}"
            return f"${match[1]}" if match[1] else match[0]

        values = {key: value for key, value in (parameters or {}).items()}
        return self.context.sql(_PLACEHOLDER.sub(dollar, text), param_values=values)

    def execute_script(self, text: str) -> None:
        for statement in filter(str.strip, text.split(";")):
            self.execute(statement)

    def execute_many(self, text: str, parameters: pa.RecordBatchReader) -> int:
        self.log.append(text)
        self.many.append(parameters.read_all())
        return self.many[-1].num_rows

    def result_schema(self, text: str, parameters: Mapping[str, Any] | None = None) -> pa.Schema | None:
        return None if text.startswith("CREATE") else self._frame(text, parameters).schema()

    def ingest(
        self, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: IngestMode, *, temporary: bool = False
    ) -> int:
        self.log.append(f"ingest {'.'.join(name)} {mode} {temporary}")
        table = name[-1]
        there = self.context.table_exist(table)
        if mode == "append" and not there:
            raise UndefinedTable(f"there is no {table}")
        if mode == "create" and there:
            raise DuplicateObject(f"{table} exists")
        batches = list(reader)
        if there and mode != "replace":
            held = self.context.table(table).to_arrow_table()
            batches = [*held.to_batches(), *(batch.cast(held.schema) for batch in batches)]
        if there:
            self.context.deregister_table(table)
        self.context.register_record_batches(table, [batches])
        return sum(batch.num_rows for batch in batches)

    def begin(self) -> None:
        if self.in_transaction:
            raise ActiveTransaction("there is a transaction")
        self.in_transaction = True
        self.log.append("begin")

    def commit(self) -> None:
        self._end("commit")

    def rollback(self) -> None:
        self._end("rollback")

    def _end(self, word: str) -> None:
        if not self.in_transaction:
            raise NoActiveTransaction("there is no transaction")
        self.in_transaction = False
        self.log.append(word)

    def set_autocommit(self, on: bool) -> None:
        self.autocommit = on

    def bind_tenant(self, tenant: TenantId | None) -> None:
        self.tenant = tenant

    def backup(self, path: str | PathLike[str]) -> None:
        self.log.append(f"backup {path}")

    @property
    def metadata(self) -> FakeMetadata:
        return FakeMetadata(self.context)

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed = True


class FakeMetadata:
    def __init__(self, context: datafusion.SessionContext) -> None:
        self.context = context

    def objects(self, depth: int, catalog: str | None, schema: str | None, table: str | None) -> pa.Table:
        return pa.Table.from_pylist(list(self._objects(depth)), schema=OBJECTS_SCHEMA)

    def _objects(self, depth: int) -> Iterator[dict[str, Any]]:
        levels = ("catalog", "schema", "table", "column")[:depth]
        seen = None
        schema = self.context.catalog().schema()
        rows: list[dict[str, Any]] = [
            {
                "catalog": "datafusion",
                "schema": "public",
                "table": name,
                "table_type": "table",
                "column": field.name,
                "ordinal": index,
                "type": str(field.type).upper(),
                "nullable": field.nullable,
            }
            for name in sorted(schema.names())
            for index, field in enumerate(self.context.table(name).schema(), 1)
        ]
        rows.append({"catalog": "datafusion", "schema": "void"})
        rows.append({"catalog": "empty"})
        for row in rows:
            key = [row.get(level) for level in levels]
            if key != seen:
                seen = key
                yield {k: v for k, v in row.items() if depth == 4 or k in levels or (depth == 3 and k == "table_type")}

    def table_schema(self, catalog: str | None, schema: str | None, table: str) -> pa.Schema:
        if not self.context.table_exist(table):
            raise UndefinedTable(f"there is no {table}")
        return self.context.table(table).schema()
