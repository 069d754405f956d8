"""A session on a server, with the contract of one in process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from os import PathLike
from typing import Any, NoReturn
from weakref import WeakSet

import pyarrow as pa

from ..dbapi.port import IngestMode
from ..dialect import parse, statements
from ..errors import Error, FeatureNotSupported
from ..flight.protocol import session
from ..results import Progress, Result
from ..tenancy import TenantId
from ..topics.definition import CATALOG
from .link import Link
from .metadata import WireMetadata
from .options import WireOptions
from .outgoing import of_file, of_rows
from .reply import result_of, schema_of
from .watch import Watch

__all__ = ["WireSession"]

_SHORT = 10_000  # characters of a text whose parameters are remembered


class WireSession:
    """The ``SessionPort`` over gRPC. Its statements run in a session that the server keeps for it alone."""

    def __init__(self, options: WireOptions, tenant: TenantId | None = None, *, autocommit: bool = True) -> None:
        """``ConnectionLost`` (08001) where there is no server, ``OperationalError`` 28000 where it does not know who comes,
        ``PermissionDenied`` (42501) for a tenant that this one may not choose."""
        opening = session.Open(autocommit=autocommit)
        if tenant is not None:
            opening.tenant = str(tenant)
        self.uri = options.uri
        """Where the server is."""
        self._link = Link(options, session.Request(open=opening))
        self._watch = Watch(self._link)
        self._closed = False
        self._lock = threading.RLock()  # a garbage collection may end a result on the thread that holds it
        self._results: WeakSet[Result] = WeakSet()

    # --- what it is in ---

    @property
    def tenant(self) -> TenantId | None:
        """The tenant that it speaks for."""
        return TenantId.optional(self._link.state.tenant or None)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as of the last call."""
        return bool(self._link.state.in_transaction)

    @property
    def autocommit(self) -> bool:
        """Whether a statement outside BEGIN commits by itself."""
        return bool(self._link.state.autocommit)

    @property
    def engine(self) -> NoReturn:
        """``FeatureNotSupported``: the engine is in the server's process."""
        raise FeatureNotSupported(
            "the engine is in the server's process, not in this one",
            hint="use SQL, or connect to the store itself; another connection is another session",
        )

    @property
    def current_catalog(self) -> str:
        """Where names without a catalog are looked up."""
        return CATALOG

    @current_catalog.setter
    def current_catalog(self, name: str) -> None:
        self._change(catalog=name)

    @property
    def current_schema(self) -> str:
        """Where names without a schema are looked up."""
        return str(self._link.state.schema)

    @current_schema.setter
    def current_schema(self, name: str) -> None:
        self._change(schema=name)

    @property
    def metadata(self) -> WireMetadata:
        """What can be seen of the catalogue."""
        return WireMetadata(self._link)

    # --- statements ---

    def execute(
        self, text: str, parameters: Mapping[str, pa.Scalar[Any]] | None = None, *, stdin: Any = None
    ) -> Result:
        """Run exactly one statement. ``stdin`` is sent to the server where the statement reads it."""
        self._watch.forget()
        request = session.Execute(text=text)
        if parameters:
            request.parameters = _one_row(parameters)
        if stdin is not None and _reads_stdin(text):
            reply = self._link.send(session.Request(execute=request), lambda asked: of_file(asked, stdin))
        else:
            reply = self._link.ask(session.Request(execute=request))
        result = result_of(reply, self._link)
        if result.schema is not None:
            with self._lock:
                self._results.add(result)
            if self._link.was_cancelled:  # too late for the call, and in time for its rows
                result.cancel()
        return result

    def execute_script(self, text: str) -> None:
        """Run many statements, up to the first error."""
        self._watch.forget()
        self._link.ask(session.Request(script=session.Script(text=text)))

    def execute_many(self, text: str, parameters: pa.RecordBatchReader) -> int:
        """Run one statement for each row of ``parameters``, all or nothing."""
        return self._send_rows(session.Request(many=session.Many(text=text)), parameters)

    def ingest(
        self, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: IngestMode, *, temporary: bool = False
    ) -> int:
        """Write all rows of ``reader``, all or nothing; they are sent as they are read."""
        return self._send_rows(
            session.Request(ingest=session.Ingest(name=name, mode=mode, temporary=temporary)), reader
        )

    def _send_rows(self, request: Any, reader: pa.RecordBatchReader) -> int:
        return int(self._link.send(request, lambda asked: of_rows(asked, reader)).rowcount)

    def parameter_keys(self, text: str) -> tuple[str, ...]:
        """The keys of the parameters of the one statement in ``text``; what cannot be parsed here, the server is asked."""
        parsed = _parsed(text) if type(text) is str and len(text) <= _SHORT else None
        if parsed is not None:
            return parsed[0]
        return tuple(self._link.ask(session.Request(keys=session.Keys(text=text))).keys)

    def parameter_schema(self, text: str) -> pa.Schema:
        """The same as columns, of the types that are known before there are values, else null."""
        if not self.parameter_keys(text):
            return pa.schema([])
        found = schema_of(self._link.ask(session.Request(keys=session.Keys(text=text, typed=True))))
        assert found is not None
        return found

    def result_schema(self, text: str, parameters: Mapping[str, pa.Scalar[Any]] | None = None) -> pa.Schema | None:
        """The columns that a statement would return."""
        request = session.Describe(text=text)
        if parameters:
            request.parameters = _one_row(parameters)
        return schema_of(self._link.ask(session.Request(describe=request)))

    # --- transactions and tenants ---

    def begin(self) -> None:
        """Open a transaction."""
        self._change(begin=True)

    def commit(self) -> None:
        """Commit it."""
        self._change(commit=True)

    def rollback(self) -> None:
        """Undo it."""
        self._change(rollback=True)

    def set_autocommit(self, on: bool) -> None:
        """Whether statements outside BEGIN commit by themselves."""
        self._change(autocommit=on)

    def bind_tenant(self, tenant: TenantId | None) -> None:
        """Speak for ``tenant`` from now on; ``PermissionDenied`` (42501) where the token says for whom."""
        self._change(tenant="" if tenant is None else str(tenant))

    def _change(self, **what: Any) -> None:
        self._link.ask(session.Request(change=session.Change(**what)))

    # --- the rest ---

    def backup(self, path: str | PathLike[str]) -> None:
        """``FeatureNotSupported``: the copy would be on the server."""
        raise FeatureNotSupported(
            "a backup is made where the store is, not through a server",
            hint="run jammi_sql.connect(store).backup(path) there: the server may go on",
        )

    def progress(self) -> Progress:
        """How far the statement is that runs in another thread, as of half a second ago."""
        return self._watch.progress()

    def cancel(self) -> None:
        """Make the call that runs in another thread, and whatever is being read, raise ``QueryCanceled``."""
        self._link.cancel()
        with self._lock:
            results = list(self._results)
        for result in results:
            result.cancel()

    def close(self) -> None:
        """Undo what is open and leave. May be called again."""
        if not self._closed:
            self._closed = True
            self._link.close()


def _one_row(parameters: Mapping[str, pa.Scalar[Any]]) -> bytes:
    arrays = [_array(value) for value in parameters.values()]
    batch = pa.RecordBatch.from_arrays(arrays, names=list(parameters))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _array(value: Any) -> pa.Array[Any]:
    array: pa.Array[Any] = pa.repeat(value, 1) if value.is_valid else pa.nulls(1, value.type)
    return array


@lru_cache(maxsize=512)
def _parsed(text: str) -> tuple[tuple[str, ...], bool] | None:
    """The parameters of the one statement in ``text`` and whether it reads stdin; ``None`` where the server is to be asked."""
    try:
        found = parse(text)
    except Error:
        return None
    if len(found) != 1:
        return None
    statement = found[0].statement
    return found[0].parameters, isinstance(statement, statements.CopyFrom) and statement.source is None


def _reads_stdin(text: str) -> bool:
    parsed = _parsed(text)
    return parsed is not None and parsed[1]
