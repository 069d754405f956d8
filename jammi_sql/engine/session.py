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
from datafusion import DataFrame, LogicalPlan, SessionContext, SQLOptions

from ..checking import checked
from ..dialect import Parsed, filled, format_identifier_path, parse, quote_identifier, statements
from ..errors import (
    ConnectionClosed,
    Error,
    InvalidParameter,
    PermissionDenied,
    ProgrammingError,
    StatementSyntaxError,
    UndefinedObject,
    UndefinedTable,
)
from ..errors_datafusion import translate
from ..ports import Reader
from ..results import BatchResult, Progress, Result
from ..shutdown import calling
from ..tables.catalog import CatalogTable
from ..tenancy import TenantBinding, TenantId
from ..topics.catalog import CatalogTopic
from ..topics.definition import CATALOG, DEFAULT_NAMESPACE, namespace_of
from .access import Access, check_output
from .backup import back_up
from .catalog_provider import JammiCatalog
from .frame_source import FrameSource
from .known import REMEMBERED_TEXT, Known
from .origin import IN_PROCESS
from .planning import Planning
from .relations import SessionRelations
from .renaming import is_at_risk, with_own_names
from .retrying import retried
from .running import Executing, Running
from .settings import NONE, Settings
from .staging import Staged, remaining
from .standard_input import StandardInput
from .transaction_scope import TransactionScope
from .world import FLATTENING, World

if TYPE_CHECKING:
    from .engine import Engine
    from .outline import Outline
    from .session_metadata import SessionMetadata

__all__ = ["Session"]

Parameters = Mapping[str, pa.Scalar]

# Statements that DataFusion runs while it plans them, or whose rows are only a count.
_READ_ONLY = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)

_NULL_SAFE = "DISTINCT FROM"
"""What a plan shows that has an equality, maybe under NOT, of which DataFusion forgets, where it flattens inner joins, that it
holds of NULLs."""


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
        self.known = Known()
        self._worlds: dict[TenantId | None, World] = {}
        self._assignments: list[str] = []
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
        for context in self._contexts():
            _set_default_schema(context, name)

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

    # --- DataFusion ---

    @property
    def _world(self) -> World:
        tenant = self.tenant
        shared = self._worlds.get(None)
        if shared is None:
            shared = self._worlds[None] = self._new_world()
        if tenant not in self._worlds:
            self._worlds[tenant] = self._new_world(shared)
        return self._worlds[tenant]

    def _new_world(self, shared: World | None = None) -> World:
        return World(self.relations, self._options, self._prepare, shared, files=self.access is None)

    @property
    def catalog(self) -> JammiCatalog:
        """The views and in-memory tables of this session and tenant."""
        return self._world.catalog

    @property
    def context(self) -> SessionContext:
        """DataFusion's context for queries."""
        return self._world.context

    @property
    def ordered_context(self) -> SessionContext:
        """A context with one partition, which keeps rows in the order in which they are read."""
        return self._world.ordered_context

    def in_given_order(self, context: SessionContext) -> SessionContext:
        """One like ``context`` that makes joins in the order which a plan has: see ``World.in_given_order``."""
        for world in self._worlds.values():
            found = world.in_given_order(context)
            if found is not None:
                return found
        context.remove_optimizer_rule(FLATTENING)  # that of a single statement
        return context

    @property
    def building_context(self) -> SessionContext:
        """A context whose joins hold the side in memory that is known to be small, if it is."""
        return self._world.building_context

    def merging_context(self) -> SessionContext:
        """A new context whose joins sort both sides and hold neither in memory, for one statement."""
        return self._world.merging_context(self.memory_limit)

    def _options(self) -> dict[str, str]:
        """What a new context begins with: a statement that sets it costs as much as the whole context."""
        shown = self.settings.show("batch_size")
        return {_DATAFUSION_SETTINGS["batch_size"]: shown} if self.settings.is_changed("batch_size") else {}

    def _prepare(self, context: SessionContext, *, limited: bool = True) -> None:
        self.engine.services.functions.register(context, self)
        if limited:
            self._configure(context, "memory_limit")
        if self._current_schema != DEFAULT_NAMESPACE:
            _set_default_schema(context, self._current_schema)
        for assignment in self._assignments:
            context.sql(assignment)

    def _contexts(self) -> list[SessionContext]:
        return [context for world in self._worlds.values() for context in world.contexts]

    def apply_setting(self, name: str) -> None:
        """Bring a changed setting into force."""
        for context in self._contexts():
            self._configure(context, name, again=True)

    def _configure(self, context: SessionContext, name: str, *, again: bool = False) -> None:
        """Bring a setting into force; ``again``: another value may be."""
        key = _DATAFUSION_SETTINGS.get(name)
        if key is None:
            return
        value = self.settings.show(name)
        if name == "memory_limit" and self.access is not None and self.access.memory_limit is not None:
            value = f"{max(1, (self.memory_limit or 0) >> 10)}K"
        elif not again and not self.settings.is_changed(name):
            return
        context.sql(f"RESET {key}" if value == NONE else f"SET {key} = '{value}'")

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

    def assigned(self, text: str) -> None:
        """``SET`` or ``RESET`` of a DataFusion option ran in ``context``: let it hold in the others too."""
        current = self.context
        for context in self._contexts():
            if context is not current:
                context.sql(text)
        self._assignments.append(text)

    def own_relations(self) -> dict[str, list[str]]:
        """Views and in-memory tables of this session, by schema."""
        return self.catalog.own_relations()

    def read_own(self, namespace: str, name: str) -> pa.Table:
        """All rows of an in-memory table of this session."""
        table: pa.Table = self.context.table(f"{quote_identifier(namespace)}.{quote_identifier(name)}").to_arrow_table()
        return table

    def keep_own(self, namespace: str, name: str, table: pa.Table) -> None:
        """Make or replace an in-memory table of this session."""
        scratch = SessionContext()
        scratch.register_record_batches(name, [table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]])
        self.catalog.schema(namespace).register_table(name, scratch.table(name).into_view())

    # --- running statements ---

    def execute(self, text: str, parameters: Parameters | None = None, *, stdin: Any = None) -> Result:
        """Run exactly one statement. ``parameters`` are keyed ``'1'``, ``'2'``, ... or by name.

        ``stdin`` is the open file that COPY ... FROM stdin reads.
        """
        parsed, values = self._parse_one(text), dict(parameters or {})
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
        return self._parse_one(text).parameters

    def parameter_schema(self, text: str) -> pa.Schema:
        """The same as columns, of the types that are known before there are values, else null."""
        return pa.schema(list(self.outline(text).parameters.items()) if self.parameter_keys(text) else [])

    def _parse(self, text: str) -> list[Parsed]:
        services = self.engine.services
        short = type(text) is str and len(text) <= REMEMBERED_TEXT
        known = services.parsed.get(text) if short else None
        if known is None:
            known = parse(text, services.functions.defaults)
            if short:
                services.parsed[text] = known
        return known

    def _parse_one(self, text: str) -> Parsed:
        parsed = self._parse(text)
        if not parsed:
            raise StatementSyntaxError("there is no statement", position=0, hint="write one, such as SELECT 1")
        if len(parsed) > 1:
            raise StatementSyntaxError(
                "one statement at a time",
                position=parsed[1].position + len(parsed[1].text) - len(parsed[1].text.lstrip()),
                hint="executescript runs many",
            )
        return parsed[0]

    def _run(self, parsed: Parsed, parameters: dict[str, pa.Scalar]) -> Result:
        with self.exclusively():
            self._check_parameters(parsed, parameters)
            statement = parsed.statement
            if not self.autocommit and not self.scope.is_open and not isinstance(statement, self._opens_no_transaction):
                self.scope.begin()
            handler = self._handlers[type(statement)]
            with self.running.undisturbed(), self._executing(parsed.text):
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

    def _executing(self, text: str) -> Executing:
        """Within, a statement is run, which others may see and end."""
        return self.running.begin(self.time_limit, text, self.tenant)

    def _check_open(self) -> None:
        if self.closed:
            raise ConnectionClosed("the session is closed")

    @staticmethod
    def _check_parameters(parsed: Parsed, parameters: Mapping[str, pa.Scalar]) -> None:
        missing = [key for key in parsed.parameters if key not in parameters]
        if missing:
            raise InvalidParameter(
                f"parameter {missing[0]} has no value: the statement takes {len(parsed.parameters)}, "
                f"{len(parameters)} came",
                sqlstate="07001",
                position=parsed.position,
                hint="give one value for each parameter",
            )

    # --- planning ---

    def new_planning(self, words: frozenset[str], *, once: bool = False) -> Planning:
        """The catalogue as the session sees it now; ``once`` as ``Planning`` has it."""
        return Planning(self.engine.services, self.reader, self.tenant, words, read_table=self.scope.read, once=once)

    @contextmanager
    def planned(self, words: frozenset[str], *, once: bool = False) -> Iterator[Planning]:
        """A statement's view of the catalogue, in force while it is planned and started; ``once`` as ``Planning`` has it."""
        planning = self.new_planning(words, once=once)
        try:
            with planning.in_force():
                yield planning
        finally:
            planning.finish()
            planning.release()

    def translator(self, planning: Planning, fragment: statements.Fragment) -> Callable[[BaseException], BaseException]:
        """Makes the error to raise out of one that came through DataFusion."""

        def to_error(error: BaseException) -> BaseException:
            if isinstance(error, Error):
                return error
            if "KeyboardInterrupt" in str(error):  # it struck inside of a relation, which DataFusion asked
                return KeyboardInterrupt()
            failure = planning.failure
            if failure is not None:
                return failure if isinstance(failure, Error) else translate(failure, fragment.text, fragment.origin)
            unread = planning.file_failure(error)
            if unread is not None:
                return unread
            return translate(error, fragment.text, fragment.origin)

        return to_error

    def frame(
        self,
        planning: Planning,
        fragment: statements.Fragment,
        parameters: Parameters,
        context: SessionContext | None = None,
        *,
        reads_only: bool = False,
        whole: bool = False,
    ) -> DataFrame:
        """``fragment`` planned by DataFusion, which runs DDL on the way, and cut where it reads attached databases.

        ``whole``: not cut, for one that is only looked at.
        """
        fragment = filled(fragment, planning.markers) if planning.markers else fragment
        chosen = context or planning.context or self.context
        values = {key: _bindable(value) for key, value in parameters.items()}

        def plan() -> DataFrame:
            if reads_only:
                return self.kept(
                    planning, chosen.sql_with_options(fragment.text, _READ_ONLY, param_values=values), chosen
                )
            return self.kept(planning, chosen.sql(fragment.text, param_values=values), chosen)

        try:
            frame = plan()
            chosen = self.context_for(planning, chosen)
            if self.access is not None:
                check_output(self.access, frame.logical_plan())
            # What DataFusion runs while it plans must not be planned again.
            if whole or not (planning.once or reads_only):
                return frame
            if self.settings.pushdown and self.relations.takes_filters and self.may_be_cut(planning):
                from .federating import federated  # noqa: PLC0415 - nothing of it where nothing is attached

                planning.federated = federated(self, planning, chosen, plan if planning.scans_files else lambda: frame)
            if planning.federated is None and is_at_risk(planning.words) and planning.once:
                return with_own_names(self, planning, chosen, plan) or frame
        except Exception as error:
            raise self.translator(planning, fragment)(error) from error
        return frame if planning.federated is None else planning.federated.frame

    def kept(self, planning: Planning, frame: DataFrame, context: SessionContext) -> DataFrame:
        """``frame``, which was planned in ``context``: in one that keeps its joins as they are, where they must be kept."""
        if not planning.keeps_joins:
            planning.keeps_joins = _NULL_SAFE in frame.logical_plan().display_indent()
        return self.frame_of(planning, frame.logical_plan(), context) if planning.keeps_joins else frame

    def frame_of(self, planning: Planning, plan: LogicalPlan, context: SessionContext) -> DataFrame:
        """A plan, or a part of one, that was made for this statement, to be run in ``context``."""
        return self.context_for(planning, context).create_dataframe_from_logical_plan(plan)

    def context_for(self, planning: Planning, context: SessionContext) -> SessionContext:
        """Where a statement is optimised that was planned in ``context``."""
        return self.in_given_order(context) if planning.keeps_joins else context

    def may_be_cut(self, planning: Planning) -> bool:
        """Whether a statement reads attached databases, by name or through views, all of them as the session sees them.

        A view that was made without a tenant reads what was attached then; under a tenant the same name may be another's.
        """
        viewed = self.catalog.own_words(planning.words)
        return self.tenant is None and bool(self.relations.source_names()) if viewed else bool(planning.remote)

    def plain_frame(self, planning: Planning, fragment: statements.Fragment, parameters: Parameters) -> DataFrame:
        """A query planned by DataFusion as it stands, nothing of it cut out."""
        values = {key: _bindable(value) for key, value in parameters.items()}
        try:
            frame = self.context.sql_with_options(fragment.text, _READ_ONLY, param_values=values)
            return self.kept(planning, frame, self.context)
        except Exception as error:
            raise self.translator(planning, fragment)(error) from error

    def schema_of(self, frame: DataFrame, planning: Planning, fragment: statements.Fragment) -> pa.Schema:
        """The columns of a planned query; an error where one has a name that Arrow does not take.

        Before optimisation a plan does not know its types yet: those of UNION and CASE are coerced on the way.
        """
        try:
            known = frame
            if (
                planning.federated is None or frame is not planning.federated.frame
            ):  # which was made from an optimised one
                known = self.context.create_dataframe_from_logical_plan(frame.optimized_logical_plan())
            schema: pa.Schema = known.schema()
        except Exception as error:
            raise self.translator(planning, fragment)(error) from error
        return planning.shown(frame, schema)

    def stream(
        self,
        frame: DataFrame,
        planning: Planning,
        fragment: statements.Fragment,
        instead: DataFrame | None = None,
    ) -> BatchResult:
        """The rows of a planned query, for whoever reads them later.

        ``instead`` is another plan of it to run, whose columns may have other layouts of the same values.
        """
        result = self.run(frame, planning, fragment, instead)
        return self._read_ahead(result) if planning.reads_own_writes else result

    def run(
        self,
        frame: DataFrame,
        planning: Planning,
        fragment: statements.Fragment,
        instead: DataFrame | None = None,
    ) -> BatchResult:
        """The rows of a planned query, for a statement that reads them itself; ``instead`` as for ``stream``."""
        schema = self.schema_of(frame, planning, fragment)
        planning.retain()
        try:
            source = FrameSource(instead or frame, schema, self.translator(planning, fragment), planning.release)
            try:
                planning.check_files()
            except BaseException:
                source.close()
                planning.retain()  # closing let go of it once
                raise
        except BaseException:
            planning.release()
            raise
        return self.result(source)

    def _read_ahead(self, result: BatchResult) -> BatchResult:
        """All rows, now: what comes later in the transaction may change the tables that they are read from."""
        staged = Staged(result.schema)
        try:
            for batch in remaining(result, self.running.check):
                staged.add(batch)
        except BaseException:
            staged.close()
            raise
        return BatchResult(staged)

    def result(self, source: Any, *, bounded: bool = True, rowcount: int = -1) -> BatchResult:
        """A result that the session can cancel and that keeps the statement's time limit."""
        limited = bounded or self.settings.statement_timeout is not None  # a live one has no end to be in time for
        watched = self.running.watch(source, limited=limited, live=not bounded)
        return BatchResult(watched, bounded=bounded, rowcount=rowcount)

    def collect(self, frame: DataFrame, planning: Planning, fragment: statements.Fragment) -> pa.Table:
        """All rows of a planned query."""
        result = self.run(frame, planning, fragment)
        batches = []
        while (batch := result.next_batch()) is not None:
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=result.schema)

    def evaluate(self, fragment: statements.Fragment, parameters: Parameters, position: int | None = None) -> pa.Scalar:
        """The value of an expression without columns."""
        wrapped = statements.Fragment(
            f"SELECT ({fragment.text}\n) AS value", tuple((start + 8, source) for start, source in fragment.origins)
        )
        with self.planned(frozenset()) as planning:
            frame = self.frame(planning, wrapped, parameters, reads_only=True)
            if len(frame.schema()) != 1:
                raise StatementSyntaxError("one value is wanted here", position=position)
            table = self.collect(frame, planning, wrapped)
        if table.num_rows != 1:
            raise StatementSyntaxError("one value is wanted here", position=position)
        value: pa.Scalar = table.column(0)[0]
        return value

    # --- names ---

    def path(self, name: statements.Name) -> tuple[str, str]:
        """Schema and name within ``jammi``."""
        if len(name.parts) == 1:
            return self.current_schema, name.parts[0]
        return namespace_of(name.parts, name.position)

    def topic(self, name: statements.Name, reader: Reader | None = None) -> CatalogTopic:
        """The topic of that name that the session sees; ``UndefinedTable`` (42P01) where there is none."""
        found = self.find_topic(name, reader)
        if found is None:
            is_table = self.find_table(name, reader) is not None
            raise UndefinedTable(
                f"topic {'.'.join(name.parts)} does not exist",
                position=name.position,
                hint="there is a table of that name" if is_table else "SHOW TOPICS lists them, CREATE TOPIC makes one",
            )
        return found

    def find_table(self, name: statements.Name, reader: Reader | None = None) -> CatalogTable | None:
        """The companion table of that name that the session sees, ``None`` where there is none."""
        if len(name.parts) == 3 and name.parts[0] != CATALOG:
            return None
        namespace, local_name = self.path(name)
        return self.engine.services.tables.lookup(reader or self.reader, self.tenant, namespace, local_name)

    def find_topic(self, name: statements.Name, reader: Reader | None = None) -> CatalogTopic | None:
        """The topic of that name that the session sees, ``None`` where there is none."""
        if len(name.parts) == 3 and name.parts[0] != CATALOG:
            return None
        namespace, local_name = self.path(name)
        return self.engine.services.catalog.lookup(reader or self.reader, self.tenant, namespace, local_name)

    def find_relation(
        self, name: statements.Name, reader: Reader | None = None, *, tables_first: bool = False
    ) -> CatalogTopic | CatalogTable | None:
        """The topic or table of that name that the session sees: its tenant's own before a global one.

        Within a tenant a name is one or the other, so that the second is not asked for where the first is the session's own;
        ``tables_first`` says which is the likelier.
        """
        look_ups = (self.find_table, self.find_topic) if tables_first else (self.find_topic, self.find_table)
        found: CatalogTopic | CatalogTable | None = None
        for look_up in look_ups:
            other: CatalogTopic | CatalogTable | None = look_up(name, reader)
            if other is not None and other.definition.tenant == self.tenant:
                return other
            found = found or other
        return found

    def table(self, name: statements.Name, reader: Reader | None = None) -> CatalogTable:
        """The companion table of that name; ``UndefinedTable`` (42P01) where there is none."""
        found = self.find_relation(name, reader)
        if isinstance(found, CatalogTable):
            return found
        path = ".".join(name.parts)
        if found is None:
            from .cached_statements import refuse_cached  # noqa: PLC0415 - it refers to the session

            refuse_cached(self, name)
        if found is not None:
            raise ProgrammingError(
                f"{path} is a topic, not a table",
                sqlstate="42809",
                position=name.position,
                hint="write TOPIC in place of TABLE; a topic has no indexes",
            )
        raise UndefinedTable(
            f"table {path} does not exist",
            position=name.position,
            hint="SHOW TABLES lists them, CREATE TABLE makes one",
        )

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

        parsed = self._parse_one(text)
        with self.exclusively():
            if not self.autocommit and not self.scope.is_open:
                self.scope.begin()
            with self._executing(parsed.text):
                return insert_many(self, parsed, parameters)

    def ingest(self, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: str, *, temporary: bool = False) -> int:
        """Write all rows of ``reader`` into a topic or table. Returns the row count."""
        from .ingest import ingest  # noqa: PLC0415

        with self.exclusively():
            if not self.autocommit and not self.scope.is_open:
                self.scope.begin()
            with self._executing(f"INGEST {format_identifier_path(name)}"):
                return ingest(self, name, reader, mode, temporary=temporary)

    def result_schema(self, text: str, parameters: Parameters | None = None) -> pa.Schema | None:
        """The columns that a statement would return, without running it."""
        from .describe import result_schema  # noqa: PLC0415

        with self.exclusively():
            return result_schema(self, self._parse_one(text), dict(parameters or {}))

    def outline(self, text: str, known: Mapping[str, pa.DataType] | None = None) -> Outline:
        """The parameters of the one statement in ``text`` and its columns, as far as they are known before it has values.

        ``known``: the types of its parameters as they were found before.
        """
        from .outline import outline  # noqa: PLC0415 - servers alone ask

        with self.exclusively():
            return outline(self, self._parse_one(text), known)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """One call at a time, on an open session, that ``cancel`` ends."""
        with self._lock, calling(), checked(self.running.check):
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
        other._assignments = list(self._assignments)
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


# Settings that are DataFusion's under a shorter name. Their values are checked, so that they may stand in text.
_DATAFUSION_SETTINGS: Mapping[str, str] = {
    "batch_size": "datafusion.execution.batch_size",
    "memory_limit": "datafusion.runtime.memory_limit",
}


def _bindable(value: pa.Scalar) -> pa.Scalar:
    """The binding cannot take a NULL of a nested type."""
    return pa.scalar(None, pa.null()) if not value.is_valid and pa.types.is_nested(value.type) else value


def _set_default_schema(context: SessionContext, name: str) -> None:
    quoted = name.replace("'", "''")  # the name of a schema that exists
    context.sql(f"SET datafusion.catalog.default_schema = '{quoted}'")
