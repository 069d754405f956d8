"""Rows that SQL publishes to a topic; CREATE TOPIC ... AS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ..arrow.batches import upgrade
from ..dialect import statements
from ..errors import NotNullViolation, ReservedName, TopicNotFound, UndefinedTable
from ..results import BatchResult, CommandResult, Result
from ..topics.catalog import CatalogTopic
from ..topics.relation import ENGINE_COLUMNS
from .changes import returned
from .live import bounded_relations
from .relations import inserted_relations
from .staging import ROWS_PER_BATCH, remaining, staging
from .topic_statements import define, owner

if TYPE_CHECKING:
    from .session import Session

__all__ = ["create_topic_as", "publish_known", "publish_rows", "published_rows"]

Parameters = Mapping[str, pa.Scalar]


@dataclass(frozen=True, slots=True)
class Published:
    """How many rows were published, as the batches ``[first, end)``."""

    rows: int
    first: int
    end: int


def publish_rows(
    session: Session, topic: CatalogTopic, rows: Iterator[pa.RecordBatch], *, found_inside: bool = False
) -> Published:
    """Publish a stream of rows: up to 65,536 as one batch, more as consecutive batches in one transaction.

    The whole stream is read before the write lock is taken, past 16 MB by way of a temporary file. ``found_inside``: the
    topic was found in the open transaction, with the lock held, so that nobody else changed it since.
    """
    publisher, tenant = session.engine.publisher, session.tenant
    with staging(rows, topic.codec.schema, topic.name) as staged:
        if not staged.rows:
            return Published(0, 0, 0)
        single = staged.single
        if single is not None and not session.scope.is_open:
            try:
                offset = publisher.publish(topic, tenant, single, session.running.check).value
                return Published(staged.rows, offset, offset + 1)
            except TopicNotFound:
                pass  # altered, renamed or dropped since this statement began: with the lock held it stays as it is
        if single is not None and found_inside:  # one batch is one statement of the store
            with session.scope.trying() as transaction:
                first, end = publisher.publish_all(transaction, topic, tenant, (single,))
                session.known.keep(transaction, tenant, (topic.namespace, topic.local_name), topic)
            return Published(staged.rows, first, end)
        with session.scope.writing() as transaction:
            current = session.engine.services.catalog.numbered(transaction, topic.number)  # held from here on
            if current is None:
                raise UndefinedTable(
                    f"topic {topic.name} was dropped while it was written to", hint="SHOW TOPICS lists what is there"
                )
            batches = (upgrade(batch, current.codec.schema) for batch in staged.batches())
            first, end = publisher.publish_all(transaction, current, tenant, batches)
        return Published(staged.rows, first, end)


def publish_known(session: Session, topic: CatalogTopic, rows: pa.RecordBatch) -> bool:
    """Publish rows in the open transaction, as one batch; ``False``, and nothing is done, where that does not go at once:
    ``topic`` was known before the transaction, and may have become another since."""
    if rows.num_rows > ROWS_PER_BATCH:
        return False
    try:
        session.engine.publisher.publish_all(session.scope.written(), topic, session.tenant, (rows,))
    except (TopicNotFound, NotNullViolation):
        return False
    return True


def published_rows(
    session: Session,
    topic: CatalogTopic,
    published: Published,
    statement: statements.Insert,
    parameters: Parameters,
) -> Result:
    """The select list of RETURNING over the rows that were published, read back from the log."""
    assert statement.returning is not None
    bounds = (published.first, published.end)
    table = returned(
        session,
        statement.returning,
        parameters,
        lambda planning: session.relations.topic_provider(topic, planning, bounds, partitions=1),
        statement.alias or topic.local_name,
    )
    return BatchResult.of(table)


def create_topic_as(session: Session, statement: statements.CreateTopicAs, parameters: Parameters) -> Result:
    """CREATE TOPIC ... AS: the topic and its first rows in one transaction. Columns are nullable."""
    query = statement.query
    with session.queries.planned(query.words) as planning:
        with inserted_relations(session.relations, bounded_relations(session, planning, query, parameters)):
            frame = session.queries.frame(planning, query.body, parameters, reads_only=True)
            planned = session.queries.schema_of(frame, planning, query.body)
            if ENGINE_COLUMNS.intersection(planned.names):
                raise ReservedName(
                    "the engine's own columns are not a topic's: " + ", ".join(sorted(ENGINE_COLUMNS)),
                    position=query.body.origin(0),
                    hint=f"name the columns, or SELECT * EXCEPT ({', '.join(sorted(ENGINE_COLUMNS))})",
                )
            schema = pa.schema([field.with_nullable(True).remove_metadata() for field in planned])
            existing = session.names.find_topic(statement.name)
            if existing is not None and statement.if_not_exists and _is_same(session, statement, existing, schema):
                return CommandResult(0)
            rows = session.queries.stream(frame, planning, query.body)
    with staging(remaining(rows, session.running.check), schema, statement.name.parts[-1]) as staged:
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
