"""What the DB-API asks of a session, in process or remote."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Literal, Protocol, runtime_checkable

import pyarrow as pa

from ..results import Progress, Result
from ..tenancy import TenantId

__all__ = ["OBJECTS_SCHEMA", "IngestMode", "MetadataPort", "Observed", "SessionPort"]

IngestMode = Literal["append", "create", "replace", "create_append"]

_OBJECTS_FIELDS: list[pa.Field[Any]] = [
    pa.field("catalog", pa.string()),
    pa.field("schema", pa.string()),
    pa.field("table", pa.string()),
    pa.field("table_type", pa.string()),
    pa.field("column", pa.string()),
    pa.field("ordinal", pa.int32()),
    pa.field("type", pa.string()),
    pa.field("nullable", pa.bool_()),
]
OBJECTS_SCHEMA = pa.schema(_OBJECTS_FIELDS)
"""What ``MetadataPort.objects`` returns: a row per column, sorted as they are to appear; ``ordinal`` begins at 1.

An object without anything below it, or at the asked depth, is one row with NULL from there on.
"""


class MetadataPort(Protocol):
    """What a session can see. Calls are a session's own, and ``SessionPort.cancel`` ends them."""

    def objects(self, depth: int, catalog: str | None, schema: str | None, table: str | None) -> pa.Table:
        """The catalogue as :data:`OBJECTS_SCHEMA`; ``depth`` is 1 catalogs, 2 schemas, 3 tables, 4 columns.

        The filters are LIKE patterns and MAY be used to list less: what is too much is dropped by the caller.
        """
        ...

    def table_schema(self, catalog: str | None, schema: str | None, table: str) -> pa.Schema:
        """The columns of a relation; ``UndefinedTable`` when there is none."""
        ...


class SessionPort(Protocol):
    """One session. Calls come one at a time, from any thread; ``cancel`` comes while another one runs.

    A call that waits in the main thread MUST do so in stretches of ``results.INTERRUPT_INTERVAL``.
    """

    @property
    def tenant(self) -> TenantId | None:
        """The tenant that the session speaks for."""
        ...

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, a failed one included."""
        ...

    @property
    def autocommit(self) -> bool:
        """Whether a statement outside ``BEGIN`` commits by itself."""
        ...

    @property
    def engine(self) -> Any:
        """The engine that the session belongs to."""
        ...

    current_catalog: str
    current_schema: str

    def execute(
        self, text: str, parameters: Mapping[str, pa.Scalar[Any]] | None = None, *, stdin: Any = None
    ) -> Result:
        """Run exactly one statement; parameters are keyed ``'1'``, ``'2'``, ... or by name.

        ``stdin``, an open file, MAY be left out: it is what COPY ... FROM stdin reads.
        """
        ...

    def execute_script(self, text: str) -> None:
        """Run many statements, without parameters, in order, up to the first error."""
        ...

    def execute_many(self, text: str, parameters: pa.RecordBatchReader) -> int:
        """Run one statement for each row, all or nothing; columns are named by parameter key. Returns the row count."""
        ...

    def parameter_keys(self, text: str) -> tuple[str, ...]:
        """The keys that the one statement in ``text`` asks for, each once, in order of appearance."""
        ...

    def parameter_schema(self, text: str) -> pa.Schema:
        """The same keys as columns, of the types that they are known to have before there are values, else null."""
        ...

    def result_schema(self, text: str, parameters: Mapping[str, pa.Scalar[Any]] | None = None) -> pa.Schema | None:
        """The columns that a statement would return, without running it; ``None`` for one without rows."""
        ...

    def ingest(
        self, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: IngestMode, *, temporary: bool = False
    ) -> int:
        """Write all rows of ``reader`` into a topic or table, all or nothing. Returns the row count."""
        ...

    def begin(self) -> None:
        """Open a transaction; ``ActiveTransaction`` when there is one."""
        ...

    def commit(self) -> None:
        """Commit the open transaction."""
        ...

    def rollback(self) -> None:
        """Undo the open transaction."""
        ...

    def set_autocommit(self, on: bool) -> None:
        """Choose whether statements outside ``BEGIN`` commit by themselves."""
        ...

    def bind_tenant(self, tenant: TenantId | None) -> None:
        """Speak for ``tenant`` from now on."""
        ...

    def backup(self, path: str | PathLike[str]) -> None:
        """Write a consistent copy of the store."""
        ...

    @property
    def metadata(self) -> MetadataPort:
        """What can be seen of the catalogue."""
        ...

    def cancel(self) -> None:
        """Make the call that is running in another thread raise ``QueryCanceled``; nothing when there is none."""
        ...

    def close(self) -> None:
        """Roll back what is open and release everything. May be called again."""
        ...


@runtime_checkable
class Observed(Protocol):
    """A session that can tell how far its statement is."""

    def progress(self) -> Progress:
        """How far the statement is that runs in another thread."""
        ...
