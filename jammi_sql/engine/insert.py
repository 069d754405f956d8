"""INSERT INTO a topic, and CREATE TOPIC ... AS."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import DataFrame, SessionContext

from ..arrow.batches import conform, join, upgrade
from ..arrow.dataset import LazyDataset
from ..arrow.filter import compile_filter
from ..dialect import Parsed, quote_identifier, statements
from ..dialect.statements import Fragment
from ..errors import (
    AppendOnlyTopic,
    FeatureNotSupported,
    ReservedName,
    StoreIOError,
    TopicNotFound,
    UndefinedTable,
)
from ..results import BatchResult, CommandResult, Result
from ..topics.catalog import CatalogTopic
from ..topics.relation import ENGINE_COLUMNS
from .live import bounded_relations
from .planning import Planning
from .relations import inserted_relations
from .topic_statements import define, owner

if TYPE_CHECKING:
    from .session import Session

__all__ = ["create_topic_as", "insert", "insert_many", "publish_rows"]

Parameters = Mapping[str, pa.Scalar]

ROWS_PER_BATCH = 65_536
_STAGED_IN_MEMORY = 16 << 20
TARGET = "__target"
PARAMETERS = "__parameters"
RETURNED = "__returned"


class _Rows(LazyDataset):
    """A relation of given rows, read once; without any, only a schema to plan with."""

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch] = iter(())) -> None:  # noqa: B008
        super().__init__(schema)
        self._batches = batches

    def produce(
        self,
        scan: None,
        partition: int,
        columns: Sequence[str] | None,
        filter: pc.Expression | None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        wanted = None if filter is None else compile_filter(filter, self._schema)
        for batch in self._batches:
            kept = batch if wanted is None else wanted.apply(batch)
            yield kept if columns is None else kept.select(list(columns))


@dataclass(frozen=True, slots=True)
class _Published:
    """How many rows were published, as the batches ``[first, end)``."""

    rows: int
    first: int
    end: int


# --- statements ---


def insert(session: Session, statement: statements.Insert, parameters: Parameters) -> Result:
    """INSERT INTO a topic, or into an in-memory table of the session's own."""
    body = _with_types(session, statement, parameters)
    return _insert(session, statement, body, statement.body, parameters, {}, session.context)


def insert_many(session: Session, parsed: Parsed, rows: pa.RecordBatchReader) -> int:
    """Run a statement for each row of ``rows``, all or nothing.

    ``INSERT ... VALUES (...)`` as one INSERT of them all.
    """
    statement = parsed.statement
    if isinstance(statement, statements.Insert) and statement.row is not None and statement.returning is None:
        body = _from_rows(statement.row)
        query = statements.Query(statement.body.keyword, body, (), statement.body.words)
        relation = _Rows(rows.schema, iter(rows))
        result = _insert(session, statement, body, query, {}, {PARAMETERS: relation}, session.ordered_context)
        return result.rowcount
    return _one_by_one(session, parsed, rows)


def _one_by_one(session: Session, parsed: Parsed, rows: pa.RecordBatchReader) -> int:
    from .statements import HANDLERS  # noqa: PLC0415 - the table of handlers names this module

    total = 0
    with _atomic(session):
        for batch in rows:
            for index in range(batch.num_rows):
                values = {name: batch.column(name)[index] for name in batch.schema.names}
                result = HANDLERS[type(parsed.statement)](session, parsed.statement, values)
                while result.next_batch() is not None:
                    pass
                result.close()
                total += max(0, result.rowcount)
    return total


@contextmanager
def _atomic(session: Session) -> Iterator[None]:
    """All of it or nothing: a transaction where none is open, a part of the open one otherwise."""
    if session.scope.is_open:
        with session.scope.writing():
            yield
        return
    session.scope.begin()
    try:
        yield
    except BaseException:
        session.scope.rollback()
        raise
    session.scope.commit()


def create_topic_as(session: Session, statement: statements.CreateTopicAs, parameters: Parameters) -> Result:
    """CREATE TOPIC ... AS: the topic and its first rows in one transaction. Columns are nullable."""
    query = statement.query
    with session.planned(query.words) as planning:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            frame = session.frame(planning, query.body, parameters, reads_only=True)
            planned = session.schema_of(frame, planning, query.body)
            if ENGINE_COLUMNS.intersection(planned.names):
                raise ReservedName(
                    "the engine's own columns are not a topic's: " + ", ".join(sorted(ENGINE_COLUMNS)),
                    position=query.body.origin(0),
                    hint=f"name the columns, or SELECT * EXCEPT ({', '.join(sorted(ENGINE_COLUMNS))})",
                )
            schema = pa.schema([field.with_nullable(True).remove_metadata() for field in planned])
            existing = session.find_topic(statement.name)
            if existing is not None and statement.if_not_exists and _is_same(session, statement, existing, schema):
                return CommandResult(0)
            rows = session.stream(frame, planning, query.body)
    with _staged(_batches(session, rows), schema, statement.name.parts[-1]) as staged:
        with session.scope.writing() as transaction:
            topic, is_new = define(
                session, transaction, statement.name, schema, statement.options,
                is_global=statement.is_global, must_be_new=not statement.if_not_exists,
            )  # fmt: skip
            if not is_new:  # somebody was quicker: IF NOT EXISTS leaves theirs alone
                return CommandResult(0)
            if staged.rows:
                session.engine.publisher.publish_all(transaction, topic, session.tenant, staged.batches())
            return CommandResult(staged.rows)


def _is_same(session: Session, statement: statements.CreateTopicAs, existing: CatalogTopic, schema: pa.Schema) -> bool:
    return existing.definition.tenant == owner(session, statement.is_global) and existing.codec.schema.equals(schema)


# --- planning ---


def _insert(
    session: Session,
    statement: statements.Insert,
    body: Fragment,
    query: statements.Query,
    parameters: Parameters,
    relations: Mapping[str, Any],
    context: SessionContext,
) -> Result:
    own = session.catalog.own(*session.path(statement.target))
    topic = None if own is not None else _target(session, statement.target)
    prefix = f"INSERT INTO {quote_identifier(TARGET)} "
    text = Fragment(prefix + body.text, tuple((start + len(prefix), source) for start, source in body.origins))
    with session.planned(query.words) as planning:
        inserted = {
            TARGET: own if topic is None else _target_relation(topic),
            **relations,
            **bounded_relations(session, planning, query, parameters),
        }
        with inserted_relations(session.relations, inserted):
            frame = session.frame(planning, text, parameters, context)
            if topic is None:
                return _into_own(session, statement, frame, planning, text)
            source = context.create_dataframe_from_logical_plan(frame.logical_plan().inputs()[0])
            rows = session.stream(source, planning, text)
    if statement.returning is None:
        return CommandResult(publish_rows(session, topic, _batches(session, rows)).rows)
    with _atomic(session):  # what RETURNING cannot compute was never published
        published = publish_rows(session, topic, _batches(session, rows))
        return _returning(session, topic, published, statement.returning, parameters)


def _target_relation(topic: CatalogTopic) -> _Rows:
    # Without NOT NULL, which DataFusion checks for VALUES alone and by names of its own: publishing names the column.
    return _Rows(pa.schema([field.with_nullable(True) for field in topic.codec.schema]))


def _target(session: Session, name: statements.Name) -> CatalogTopic:
    namespace, local_name = session.path(name)
    if namespace in ("system", "information_schema"):
        raise AppendOnlyTopic(
            f"{namespace}.{local_name} is a system view", position=name.position, hint="it shows what the engine knows"
        )
    return session.topic(name)


def _into_own(
    session: Session, statement: statements.Insert, frame: DataFrame, planning: Planning, text: Fragment
) -> Result:
    if statement.returning is not None:
        raise FeatureNotSupported(
            "RETURNING from an in-memory table",
            position=statement.returning.origin(0),
            hint="select from it afterwards",
        )
    counted = session.collect(frame, planning, text)
    return CommandResult(int(counted.column(0)[0].as_py()))


def _with_types(session: Session, statement: statements.Insert, parameters: Parameters) -> Fragment:
    """The body with each placeholder in ``arrow_cast``: bare ones in VALUES would keep the type of their values."""
    body = statement.body.body
    text, origins, done = [], [], 0
    length = 0
    for start, end, key in statement.parameters:
        value = parameters[key]
        placeholder = body.text[start:end]
        wrapped = "NULL" if not value.is_valid else f"arrow_cast({placeholder}, '{_type_name(session, value)}')"
        text += [body.text[done:start], wrapped]
        origins += [(length, body.origin(done)), (length + start - done, body.origin(start))]
        length += start - done + len(wrapped)
        done = end
    text.append(body.text[done:])
    origins.append((length, body.origin(done)))
    return Fragment("".join(text), tuple(origins)) if statement.parameters else body


_type_names: dict[pa.DataType, str] = {}
_type_lock = threading.Lock()


def _type_name(session: Session, value: pa.Scalar) -> str:
    """What ``arrow_cast`` calls the type of ``value``."""
    known = _type_names.get(value.type)
    if known is None:
        fragment = Fragment("arrow_typeof($1)", ((0, 0),))
        known = str(session.evaluate(fragment, {"1": value}).as_py())
        with _type_lock:
            _type_names[value.type] = known
    return known.replace("'", "''")


def _from_rows(row: statements.InsertRow) -> Fragment:
    """``(columns) VALUES (a, $1)`` as a query over the relation of the parameters' rows."""
    text, origins, length = [row.head.text, " SELECT "], list(row.head.origins), len(row.head.text) + len(" SELECT ")
    for number, (value, parameters) in enumerate(row.values):
        done = 0
        pieces = ["" if number == 0 else ", "]
        origins.append((length + len(pieces[0]), value.origin(0)))
        for start, end, key in parameters:
            pieces += [value.text[done:start], f"{quote_identifier(PARAMETERS)}.{quote_identifier(key)}"]
            done = end
        # A name for each, since DataFusion refuses two columns of one name; the line ends a comment.
        pieces.append(f"{value.text[done:]}\n AS {quote_identifier(f'__value_{number}')}")
        text += pieces
        length += sum(map(len, pieces))
    text.append(f" FROM {quote_identifier(PARAMETERS)}")
    return Fragment("".join(text), tuple(origins))


# --- rows ---


def _batches(session: Session, result: BatchResult) -> Iterator[pa.RecordBatch]:
    try:
        while (batch := result.next_batch()) is not None:
            session.running.check()
            if batch.num_rows:
                yield batch
    finally:
        result.close()


def publish_rows(session: Session, topic: CatalogTopic, rows: Iterator[pa.RecordBatch]) -> _Published:
    """Publish a stream of rows: up to 65,536 as one batch, more as consecutive batches in one transaction.

    The whole stream is read before the write lock is taken, past 16 MB by way of a temporary file.
    """
    publisher, tenant = session.engine.publisher, session.tenant
    with _staged(rows, topic.codec.schema, topic.name) as staged:
        if not staged.rows:
            return _Published(0, 0, 0)
        single = staged.single
        if single is not None and not session.scope.is_open:
            try:
                offset = publisher.publish(topic, tenant, single, session.running.check).value
                return _Published(staged.rows, offset, offset + 1)
            except TopicNotFound:
                pass  # altered, renamed or dropped since this statement began: with the lock held it stays as it is
        with session.scope.writing() as transaction:
            current = session.engine.services.catalog.by_id(transaction, topic.definition.id)
            if current is None:
                raise UndefinedTable(
                    f"topic {topic.name} was dropped while it was written to", hint="SHOW TOPICS lists what is there"
                )
            batches = (upgrade(batch, current.codec.schema) for batch in staged.batches())
            first, end = publisher.publish_all(transaction, current, tenant, batches)
        return _Published(staged.rows, first, end)


class _Staged:
    """Rows that wait for their transaction, in batches of 65,536."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._file: Any = None
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._complete = False
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        if self._writer is not None:
            self._writer.write_batch(batch)
            return
        self._held.append(batch)
        self._held_bytes += batch.nbytes
        if self._held_bytes > _STAGED_IN_MEMORY and len(self._held) > 1:
            try:
                self._file = tempfile.TemporaryFile(prefix="jammi-")  # noqa: SIM115 - closed by close
            except OSError as error:
                raise StoreIOError(
                    f"no temporary file for the rows of an INSERT: {error.strerror}",
                    hint="set TMPDIR to a folder with room",
                ) from error
            self._writer = pa.ipc.new_stream(self._file, self._schema)
            for held in self._held:
                self._writer.write_batch(held)
            self._held.clear()

    @property
    def single(self) -> pa.RecordBatch | None:
        return self._held[0] if len(self._held) == 1 else None

    def batches(self) -> Iterator[pa.RecordBatch]:
        if self._writer is None:
            yield from self._held
            return
        if not self._complete:
            self._writer.close()
            self._complete = True
        self._file.seek(0)
        with pa.ipc.open_stream(self._file) as reader:
            yield from reader

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@contextmanager
def _staged(rows: Iterator[pa.RecordBatch], schema: pa.Schema, topic: str) -> Iterator[_Staged]:
    staged = _Staged(schema)
    try:
        pending: list[pa.RecordBatch] = []
        count = 0
        for batch in rows:
            left = conform(batch, schema, topic)
            while count + left.num_rows >= ROWS_PER_BATCH:
                taken = ROWS_PER_BATCH - count
                staged.add(join([*pending, left.slice(0, taken)]))
                left = left.slice(taken)
                pending, count = [], 0
            if left.num_rows:
                pending.append(left)
                count += left.num_rows
        if pending:
            staged.add(join(pending))
        yield staged
    finally:
        staged.close()


def _returning(
    session: Session, topic: CatalogTopic, published: _Published, columns: Fragment, parameters: Parameters
) -> Result:
    """The select list over the rows that were published, read back from the log."""
    prefix = "SELECT "
    suffix = f" FROM {quote_identifier(RETURNED)} AS {quote_identifier(topic.local_name)}"
    text = Fragment(
        f"{prefix}{columns.text}\n{suffix}", tuple((start + len(prefix), source) for start, source in columns.origins)
    )
    with session.planned(frozenset()) as planning:
        rows = session.relations.topic_provider(topic, planning, (published.first, published.end), partitions=1)
        with inserted_relations(session.relations, {RETURNED: rows}):
            frame = session.frame(planning, text, parameters, session.ordered_context, reads_only=True)
            table = session.collect(frame, planning, text)
    result = BatchResult.of(table)
    return result


def describe_insert(session: Session, statement: statements.Insert, parameters: Parameters) -> list[tuple[str, str]]:
    """The steps of an INSERT, for EXPLAIN: the source's plans and where its rows go."""
    own = session.catalog.own(*session.path(statement.target))
    topic = None if own is not None else _target(session, statement.target)
    body = _with_types(session, statement, parameters)
    prefix = f"INSERT INTO {quote_identifier(TARGET)} "
    text = Fragment(prefix + body.text, tuple((start + len(prefix), source) for start, source in body.origins))
    with session.planned(statement.body.words) as planning:
        inserted = {
            TARGET: own if topic is None else _target_relation(topic),
            **bounded_relations(session, planning, statement.body, parameters),
        }
        with inserted_relations(session.relations, inserted):
            frame = session.frame(planning, text, parameters)
            source = session.context.create_dataframe_from_logical_plan(frame.logical_plan().inputs()[0])
            where = "an in-memory table" if topic is None else f"topic {topic.name}"
            step = f"Publish: {where}, one batch per {ROWS_PER_BATCH} rows, one transaction"
            try:
                return [
                    ("jammi_plan", step),
                    ("logical_plan", source.optimized_logical_plan().display_indent()),
                    ("physical_plan", source.execution_plan().display_indent()),
                ]
            except Exception as error:
                raise session.translator(planning, text)(error) from error
