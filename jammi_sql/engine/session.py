"""A SQL session: statements in, results out."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from os import PathLike
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..checking import checked
from ..dialect import Parsed, format_identifier_path, statements
from ..errors import ConnectionClosed, InvalidParameter, PermissionDenied, ProgrammingError, UndefinedObject
from ..ports import Reader
from ..results import Progress, Result
from ..shutdown import calling
from ..tenancy import TenantBinding, TenantId
from ..topics.definition import CATALOG, DEFAULT_NAMESPACE
from .access import Access
from .backup import back_up
from .given_rows import given_rows
from .known import Known
from .names import Names
from .origin import IN_PROCESS
from .queries import Queries
from .relations import SessionRelations
from .retrying import retried
from .running import Executing, Running
from .settings import Settings
from .standard_input import StandardInput
from .texts import check_parameters, the_one
from .transaction_scope import TransactionScope
from .world import World
from .worlds import Worlds

if TYPE_CHECKING:
    from .engine import Engine
    from .outline import Outline
    from .session_metadata import SessionMetadata

__all__ = ["Session"]

Parameters = Mapping[str, pa.Scalar]


class Session:
    """One user's session on an engine.

    Statements come one at a time; ``cancel`` may come from any thread while one runs. Results stream: what a result has
    not read yet is not computed.
    """

    def __init__(
        self,
        engine: Engine,
        tenant: TenantId | None,
        *,
        autocommit: bool = True,
        on_close: Callable[[], None] | None = None,
        access: Access | None = None,
    ) -> None:
        from .statements import HANDLERS, OPENS_NO_TRANSACTION  # noqa: PLC0415 - handlers refer to the session

        self._handlers, self._opens_no_transaction = HANDLERS, OPENS_NO_TRANSACTION
        self.engine = engine
        self._on_close = on_close
        self.access = access
        """What its user may do; ``None``: everything."""
        self.id = str(uuid.uuid4())
        self.since = datetime.now(UTC)
        self.origin = IN_PROCESS
        """Where its user is."""
        self.settings = Settings()
        self.closed = False
        self.autocommit = autocommit
        self._current_schema = DEFAULT_NAMESPACE
        self.running = Running()
        self.scope = TransactionScope(engine.services.store, self.running.check, engine.services.tables)
        self._tenant = TenantBinding(tenant)
        self.relations = SessionRelations(self)
        self.names = Names(self)
        self.worlds = Worlds(self)
        self.queries = Queries(self)
        self.known = Known()
        self.stdin: StandardInput | None = None
        """What COPY ... FROM stdin reads, while a statement runs that was given it."""
        self._lock = threading.RLock()

    # --- who and where ---

    @property
    def tenant(self) -> TenantId | None:
        """The tenant that the session speaks for."""
        return self._tenant.tenant

    def bind_tenant(self, tenant: TenantId | str | None) -> None:
        """Speak for ``tenant`` from now on."""
        self._tenant.bind(tenant)

    @property
    def current_catalog(self) -> str:
        """Always ``jammi``, for now."""
        return CATALOG

    @current_catalog.setter
    def current_catalog(self, name: str) -> None:
        if name != CATALOG:
            raise UndefinedObject(f"there is no catalog {name}", sqlstate="3D000", hint=f"there is {CATALOG}")

    @property
    def current_schema(self) -> str:
        """Where names without a schema are looked for."""
        return self._current_schema

    @current_schema.setter
    def current_schema(self, name: str) -> None:
        if name not in self.relations.namespaces():
            raise UndefinedObject(f"there is no schema {name}", sqlstate="3F000", hint="CREATE SCHEMA makes one")
        self._current_schema = name
        self.worlds.use_schema(name)

    @property
    def reader(self) -> Reader:
        """Where statements read: the open transaction once it wrote, else the store."""
        return self.scope.reader

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.scope.is_open

    @property
    def read_only(self) -> bool:
        """Whether the store refuses writes."""
        return self.engine.services.store.read_only

    @property
    def world(self) -> World:
        """What it has of DataFusion's, as its tenant: contexts, views and in-memory tables."""
        return self.worlds.current

    @property
    def memory_limit(self) -> int | None:
        """Bytes for sorts, joins and aggregates: what is set, or less where the session may not have as much."""
        most = None if self.access is None else self.access.memory_limit
        chosen = self.settings.memory_limit
        return most if chosen is None else chosen if most is None else min(chosen, most)

    @property
    def time_limit(self) -> float | None:
        """Seconds for a statement: what is set, or less where the session may not have as much."""
        most = None if self.access is None else self.access.statement_timeout
        chosen = self.settings.statement_timeout
        return most if chosen is None else chosen if most is None else min(chosen, most)

    # --- running statements ---

    def execute(self, text: str, parameters: Parameters | None = None, *, stdin: Any = None) -> Result:
        """Run exactly one statement. ``parameters`` are keyed ``'1'``, ``'2'``, ... or by name.

        ``stdin`` is the open file that COPY ... FROM stdin reads.
        """
        parsed, values = the_one(self._parse(text)), dict(parameters or {})
        if stdin is None:
            return self._run(parsed, values)
        with self._lock, closing(StandardInput(stdin, self.running.waiting)) as given:
            self.stdin = given
            try:
                return self._run(parsed, values)
            finally:
                self.stdin = None

    def execute_script(self, text: str) -> None:
        """Run many statements in order, up to the first error; rows are read and dropped."""
        for parsed in self._parse(text):
            if parsed.parameters:
                raise InvalidParameter("a script takes no parameters", hint="execute its statements one by one")
            result = self._run(parsed, {})
            if not result.bounded:
                result.close()
                from .live import refuse_unbounded  # noqa: PLC0415

                raise refuse_unbounded(parsed.position)
            while result.next_batch() is not None:
                pass
            result.close()

    def parameter_keys(self, text: str) -> tuple[str, ...]:
        """The keys of the parameters of the one statement in ``text``."""
        return the_one(self._parse(text)).parameters

    def parameter_schema(self, text: str) -> pa.Schema:
        """The same as columns, of the types that are known before there are values, else null."""
        return pa.schema(list(self.outline(text).parameters.items()) if self.parameter_keys(text) else [])

    def _parse(self, text: str) -> list[Parsed]:
        return self.engine.services.texts.parsed(text)

    def _run(self, parsed: Parsed, parameters: dict[str, pa.Scalar]) -> Result:
        with self.exclusively():
            check_parameters(parsed, parameters)
            statement = parsed.statement
            handler = self._handlers[type(statement)]
            with self._executing(parsed.text, statement):
                if self.scope.is_open:
                    return handler(self, statement, parameters)
                store = self.engine.services.store

                def run() -> Result:
                    return retried(lambda: handler(self, statement, parameters), self.running.check, store.on_retry)

                try:
                    return run()
                except ProgrammingError:
                    # Of an attached database's tables something else may have been remembered than is there now.
                    if not self.engine.attachments.forget_remembered(self.tenant, parsed.text):
                        raise
                    self.running.check()
                    return run()

    def _executing(self, text: str, statement: statements.Statement | None = None) -> Executing:
        """Within, a statement is run, which others may see and end; in a transaction unless it commits by itself."""
        if not self.autocommit and not self.scope.is_open and not isinstance(statement, self._opens_no_transaction):
            self.scope.begin()
        return self.running.begin(self.time_limit, text, self.tenant)

    def _check_open(self) -> None:
        if self.closed:
            raise ConnectionClosed("the session is closed")

    # --- transactions ---

    def begin(self) -> None:
        """Open a transaction."""
        self._check_open()
        self.scope.begin()

    def commit(self) -> None:
        """Commit it."""
        self._check_open()
        self.scope.commit()

    def rollback(self) -> None:
        """Undo it."""
        self._check_open()
        self.scope.rollback()

    def set_autocommit(self, on: bool) -> None:
        """Whether a statement outside BEGIN commits by itself."""
        self.autocommit = on

    # --- for the faces ---

    def execute_many(self, text: str, parameters: pa.RecordBatchReader) -> int:
        """Run one statement for each row of ``parameters``, all or nothing. Returns the row count."""
        from .insert import insert_many  # noqa: PLC0415

        parsed = the_one(self._parse(text))
        with self.exclusively():
            with self._executing(parsed.text):
                return insert_many(self, parsed, given_rows(parameters, self.running.waiting))

    def ingest(self, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: str, *, temporary: bool = False) -> int:
        """Write all rows of ``reader`` into a topic or table. Returns the row count."""
        from .ingest import ingest  # noqa: PLC0415

        with self.exclusively():
            with self._executing(f"INGEST {format_identifier_path(name)}"):
                return ingest(self, name, given_rows(reader, self.running.waiting), mode, temporary=temporary)

    def result_schema(self, text: str, parameters: Parameters | None = None) -> pa.Schema | None:
        """The columns that a statement would return, without running it."""
        from .describe import result_schema  # noqa: PLC0415

        with self.exclusively():
            return result_schema(self, the_one(self._parse(text)), dict(parameters or {}))

    def outline(self, text: str, known: Mapping[str, pa.DataType] | None = None) -> Outline:
        """The parameters of the one statement in ``text`` and its columns, as far as they are known before it has values.

        ``known``: the types of its parameters as they were found before.
        """
        from .outline import outline  # noqa: PLC0415 - servers alone ask

        with self.exclusively():
            return outline(self, the_one(self._parse(text)), known)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """One call at a time, on an open session, that ``cancel`` ends, and Ctrl-C as ``Running.undisturbed`` has it."""
        with self._lock, calling(), checked(self.running.check), self.running.undisturbed():
            self._check_open()
            yield

    @property
    def metadata(self) -> SessionMetadata:
        """What can be seen: catalogs, schemas, relations, keys."""
        from .session_metadata import SessionMetadata  # noqa: PLC0415 - most sessions are never asked

        return SessionMetadata(self)

    def backup(self, path: str | PathLike[str]) -> None:
        """Write a consistent copy of the store into a new or empty folder, while others go on; open it to restore."""
        self._check_open()
        if self.tenant is not None:
            raise PermissionDenied("a backup holds the data of all tenants", hint="do it in a session without a tenant")
        back_up(self.engine.services, path)

    def progress(self) -> Progress:
        """How far the statement is that runs in another thread."""
        return self.running.progress()

    def cancel(self) -> None:
        """Make the statement that runs in another thread raise ``QueryCanceled``."""
        self.running.cancel()

    def interrupt(self) -> None:
        """As ``cancel``, of the statement that was begun last alone: results of earlier ones are read on."""
        self.running.interrupt()

    def twin(self) -> Session:
        """A new session for the same user: the same tenant, rights, schema and settings, and none of its transaction."""
        self._check_open()
        other = self.engine.sql_session(self.tenant, access=self.access)
        other.origin = self.origin
        other.settings = self.settings.copy()
        other.worlds.set_as(self.worlds)
        other._current_schema = self._current_schema
        return other

    def close(self) -> None:
        """Undo what is open and end what runs. May be called twice."""
        if self.closed:
            return
        self.closed = True
        self.running.close()
        self.scope.abandon()
        if self._on_close is not None:
            self._on_close()
