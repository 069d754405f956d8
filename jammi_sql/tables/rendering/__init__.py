"""The SQL of companion tables for each kind of store."""

from __future__ import annotations

from ...errors import InternalError
from .postgres import PostgresTables
from .renderer import TableRenderer
from .sqlite import SqliteTables

__all__ = ["PostgresTables", "SqliteTables", "TableRenderer", "renderer_of"]

_RENDERERS: dict[str, TableRenderer] = {each.kind: each for each in (SqliteTables(), PostgresTables())}


def renderer_of(kind: str) -> TableRenderer:
    """The one for stores of that kind."""
    if kind not in _RENDERERS:
        raise InternalError(f"no companion tables on a store of kind {kind}")
    return _RENDERERS[kind]
