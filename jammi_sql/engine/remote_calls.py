"""``remote_query('source', 'text')`` as a relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..dialect.statements import Fragment, Query
from ..errors import Error, FeatureNotSupported, InvalidParameter, PermissionDenied
from .remote_provider import TextProvider
from .source_kinds import FILES

if TYPE_CHECKING:
    from .planning import Planning
    from .session import Session

__all__ = ["remote_relations"]


def remote_relations(
    session: Session, planning: Planning, query: Query, parameters: Mapping[str, pa.Scalar]
) -> dict[str, Any]:
    """The relations of the ``remote_query`` calls of a query."""
    found: dict[str, Any] = {}
    for call in query.remotes:
        name = _text(session, call.source, parameters, "the name of the source")
        text = _text(session, call.text, parameters, "the query")
        source = session.engine.attachments.source(session.reader, session.tenant, name, call.source.origin(0))
        if session.access is not None and source.kind == "duckdb":
            raise PermissionDenied(
                "remote_query of a DuckDB file is not open to clients: such a query reads any file of the server",
                position=call.position,
                hint="read its tables by name",
            )
        if source.kind == FILES:
            raise FeatureNotSupported(
                f"source {name} is made of files, which take no queries",
                position=call.position,
                hint=f"SELECT ... FROM {name}.public.file",
            )
        try:
            columns = source.describe(text, session.running.check)
        except Error as error:
            if error.position is None:  # that of the source is a place in its own text
                error.position = call.text.origin(0)
            raise
        provider = found[call.relation] = TextProvider(source, text, columns, planning)
        planning.providers.append((name, provider))
    return found


def _text(session: Session, fragment: Fragment, parameters: Mapping[str, pa.Scalar], what: str) -> str:
    value = session.queries.evaluate(fragment, parameters, fragment.origin(0)).as_py()
    if not isinstance(value, str):
        raise InvalidParameter(
            f"remote_query takes {what} as text",
            position=fragment.origin(0),
            hint="write remote_query('source', 'SELECT ...')",
        )
    return value
