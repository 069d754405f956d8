"""The catalogue of a server."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ..flight.protocol import session
from .link import Link
from .reply import result_of, schema_of

__all__ = ["WireMetadata"]


class WireMetadata:
    """The ``MetadataPort`` over gRPC."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def objects(self, depth: int, catalog: str | None, schema: str | None, table: str | None) -> pa.Table:
        """The catalogue as ``port.OBJECTS_SCHEMA``."""
        asked = session.Objects(depth=depth, **_given(catalog=catalog, schema=schema, table=table))
        return result_of(self._link.ask(session.Request(objects=asked)), self._link).reader().read_all()

    def table_schema(self, catalog: str | None, schema: str | None, table: str) -> pa.Schema:
        """The columns of a relation; ``UndefinedTable`` (42P01) when there is none."""
        asked = session.TableSchema(table=table, **_given(catalog=catalog, schema=schema))
        found = schema_of(self._link.ask(session.Request(table_schema=asked)))
        assert found is not None
        return found


def _given(**names: str | None) -> dict[str, Any]:
    return {name: value for name, value in names.items() if value is not None}
