"""An attachment as the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..tenancy import TenantId

__all__ = ["SourceDefinition"]


@dataclass(frozen=True, slots=True)
class SourceDefinition:
    """``ATTACH 'uri' AS name (TYPE type, option value, ...)``.

    ``uri`` and ``options`` are as written: a credential in an option is a reference, ``env:NAME`` or ``file:path``, which
    is followed when the source is opened. A password MUST NOT be in them: ``credentials.check_definition`` refuses it.
    """

    name: str
    kind: str
    """``postgres``, ``sqlite``, ``duckdb``, ``flight``, ``adbc`` or ``files``."""
    uri: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tenant: TenantId | None = None
