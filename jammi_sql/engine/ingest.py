"""Bulk loading of Arrow data, ADBC's ``adbc_ingest``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from datafusion import SessionContext

from ..dialect import format_identifier_path, quote_identifier
from ..dialect.statements import Name
from ..errors import AppendOnlyTopic, DuplicateObject, InvalidParameter, SerializationFailure, UndefinedTable
from ..tables.catalog import CatalogTable
from ..tables.definition import MutableTableDefinition
from ..topics.catalog import CatalogTopic
from .cached_statements import refuse_cached
from .changes import checked
from .publish import publish_rows
from .remote_changes import ingest_remote, remote_target
from .staging import staging
from .table_insert import insert_batches
from .table_statements import define_table

if TYPE_CHECKING:
    from .session import Session

__all__ = ["ingest"]


def ingest(session: Session, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: str, *, temporary: bool) -> int:
    """Write all rows of ``reader``, all or nothing; returns their number.

    ``append`` publishes to a topic, or inserts into a table. The other modes make tables: with ``temporary`` in memory.
    """
    if mode not in ("append", "create", "replace", "create_append"):
        raise InvalidParameter(f"there is no mode {mode!r}", hint="append, create, replace or create_append")
    if temporary:
        return _temporary(session, name, reader, mode)
    target = Name(name, 0)
    remote = remote_target(session, target)
    if remote is not None:
        return ingest_remote(session, remote, reader, mode)
    path = format_identifier_path(name)
    rows = (batch for batch in reader if batch.num_rows)
    found = session.names.find_relation(target)
    if isinstance(found, CatalogTopic):
        if mode == "create":
            raise DuplicateObject(f"topic {path} exists already", hint="use mode='append'")
        if mode == "replace":
            raise AppendOnlyTopic(f"topic {path} is append-only", hint="use mode='append'")
        return publish_rows(session, found, rows).rows
    if found is None and mode != "create":
        refuse_cached(session, target)
    if found is None and mode == "append":
        raise UndefinedTable(f"{path} does not exist", hint="use mode='create', or CREATE TOPIC or TABLE makes one")
    if found is not None and mode == "create":
        raise DuplicateObject(f"table {path} exists already", hint="use mode='append' or 'replace'")
    if found is not None and mode != "replace":
        count = insert_batches(session, target, found, rows)
        if count is None:
            raise SerializationFailure(f"table {path} was altered meanwhile", hint="ingest the data again")
        return count
    return _into_new(session, target, found, reader.schema, rows)


def _into_new(
    session: Session,
    target: Name,
    present: CatalogTable | None,
    schema: pa.Schema,
    rows: Iterator[pa.RecordBatch],
) -> int:
    """Make a table with the data's columns, in place of ``present``, and fill it, in one transaction."""
    services = session.engine.services
    definition = MutableTableDefinition("t", schema.remove_metadata(), (), session.tenant)
    with staging(rows, schema, target.parts[-1], "table") as staged, session.scope.writing() as transaction:
        if present is not None:
            services.tables.check_owner(present, session.tenant)
            services.tables.drop(transaction, present)
        table, _ = define_table(session, transaction, target, definition, must_be_new=True)
        count, _ = services.rows.insert(transaction, table, session.tenant, checked(session, staged.batches()))
        return count


def _temporary(session: Session, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: str) -> int:
    namespace, local_name = session.names.path(Name(name, 0))
    table = reader.read_all()
    catalog = session.world.catalog
    own = catalog.own(namespace, local_name)
    if own is not None and mode == "create":
        raise DuplicateObject(f"table {local_name} exists already", hint="use mode='append' or 'replace'")
    if own is None and mode == "append":
        raise UndefinedTable(f"table {local_name} does not exist", hint="use mode='create'")
    rows = table.num_rows
    if own is not None and mode in ("append", "create_append"):
        path = f"{quote_identifier(namespace)}.{quote_identifier(local_name)}"
        present = session.world.context.table(path).to_arrow_table()
        if not present.schema.equals(table.schema):
            raise InvalidParameter(f"table {local_name} has other columns", hint=f"they are {present.schema}")
        table = pa.concat_tables([present, table])
    scratch = SessionContext()
    scratch.register_record_batches(local_name, [table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]])
    catalog.schema(namespace).register_table(local_name, scratch.table(local_name).into_view())
    return rows
