"""What attached sources hold, for those who list the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .attached_catalog import listed

if TYPE_CHECKING:
    from .session import Session

__all__ = ["attached_relations", "attached_schemas"]

Wanted = Callable[[str], bool]


def attached_schemas(session: Session, catalog: str | None) -> list[tuple[str, str]]:
    """Catalog and schema of the attached sources, or of one of them; a source that cannot be reached has none."""
    return [
        (name, schema)
        for name, source in _sources(session, catalog)
        for schema in sorted(listed(name, source.schemas, source))
    ]


def attached_relations(
    session: Session, catalog: str | None, in_schema: Wanted, called: Wanted
) -> Iterator[tuple[str, str, str, str, pa.Schema]]:
    """Catalog, schema, name, type and columns of the relations of attached sources, or of one of them.

    Only those whose schema and name are wanted are looked at; those that cannot be are left out, with a word in the log.
    """
    for name, source in _sources(session, catalog):
        for schema in sorted(filter(in_schema, listed(name, source.schemas, source))):
            names = listed(name, lambda source=source, schema=schema: source.relation_names(schema), source)  # type: ignore[misc]
            for relation in sorted(filter(called, names)):
                for found in _looked_at(name, source, schema, relation):
                    columns = found.arrow_schema if hasattr(found, "arrow_schema") else found.schema
                    yield name, schema, relation, getattr(found, "kind", "table"), columns


def _looked_at(catalog: str, source: Any, schema: str, relation: str) -> list[Any]:
    def look() -> list[Any]:
        found = source.relation(schema, relation)
        if found is None:
            return []
        if not hasattr(found, "arrow_schema"):
            found.schema  # noqa: B018 - of files it is read now, and may fail
        return [found]

    return listed(catalog, look, source)


def _sources(session: Session, catalog: str | None) -> Iterator[tuple[str, Any]]:
    for name in sorted(session.relations.source_names()):
        if catalog in (None, name):
            for source in listed(name, lambda name=name: [session.relations.source(name)]):  # type: ignore[misc]
                if source is not None:
                    yield name, source
