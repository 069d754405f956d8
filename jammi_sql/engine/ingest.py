"""Bulk loading of Arrow data, ADBC's ``adbc_ingest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import format_identifier_path
from ..dialect.statements import Name
from ..errors import AppendOnlyTopic, DuplicateObject, FeatureNotSupported, InvalidParameter, UndefinedTable
from .insert import publish_rows

if TYPE_CHECKING:
    from .session import Session

__all__ = ["ingest"]


def ingest(session: Session, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: str, *, temporary: bool) -> int:
    """Write all rows of ``reader``, all or nothing; returns their number.

    ``append`` publishes to a topic. The other modes make tables: with ``temporary`` in memory.
    """
    if mode not in ("append", "create", "replace", "create_append"):
        raise InvalidParameter(f"there is no mode {mode!r}", hint="append, create, replace or create_append")
    if temporary:
        return _temporary(session, name, reader, mode)
    topic = session.find_topic(Name(name, 0))
    path = format_identifier_path(name)
    if topic is None:
        if mode == "append":
            raise UndefinedTable(f"topic {path} does not exist", hint="CREATE TOPIC makes one")
        raise FeatureNotSupported(
            "durable tables are not built yet", hint="CREATE TOPIC and use mode='append', or give temporary=True"
        )
    if mode == "create":
        raise DuplicateObject(f"topic {path} exists already", hint="use mode='append'")
    if mode == "replace":
        raise AppendOnlyTopic(f"topic {path} is append-only", hint="use mode='append'")
    return publish_rows(session, topic, (batch for batch in reader if batch.num_rows)).rows


def _temporary(session: Session, name: tuple[str, ...], reader: pa.RecordBatchReader, mode: str) -> int:
    namespace, local_name = session.path(Name(name, 0))
    table = reader.read_all()
    own = session.catalog.own(namespace, local_name)
    if own is not None and mode == "create":
        raise DuplicateObject(f"table {local_name} exists already", hint="use mode='append' or 'replace'")
    if own is None and mode == "append":
        raise UndefinedTable(f"table {local_name} does not exist", hint="use mode='create'")
    rows = table.num_rows
    if own is not None and mode in ("append", "create_append"):
        present = session.read_own(namespace, local_name)
        if not present.schema.equals(table.schema):
            raise InvalidParameter(f"table {local_name} has other columns", hint=f"they are {present.schema}")
        table = pa.concat_tables([present, table])
    session.keep_own(namespace, local_name, table)
    return rows
