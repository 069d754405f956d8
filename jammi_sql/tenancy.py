"""Tenants: who a session speaks for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from .errors import InvalidParameter

__all__ = ["TenantBinding", "TenantId"]


@dataclass(frozen=True, slots=True, init=False)
class TenantId:
    """A tenant: a UUID other than the nil one.

    ``TenantId(text)`` accepts what ``uuid.UUID`` accepts, a ``uuid.UUID`` or a ``TenantId``;
    anything else is ``InvalidParameter`` (22023). ``str()`` is the canonical lower-case form.
    """

    value: uuid.UUID

    def __init__(self, value: str | uuid.UUID | TenantId) -> None:
        if isinstance(value, TenantId):
            parsed = value.value
        elif isinstance(value, uuid.UUID):
            parsed = value
        else:
            try:
                parsed = uuid.UUID(value)
            except (ValueError, AttributeError, TypeError):
                raise InvalidParameter(
                    "a tenant is a UUID", hint="write it as 01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a"
                ) from None
        if parsed.int == 0:
            raise InvalidParameter("the nil UUID is not a tenant", hint="use no tenant at all instead")
        object.__setattr__(self, "value", parsed)

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def optional(cls, value: str | uuid.UUID | TenantId | None) -> TenantId | None:
        """``None`` stays ``None``; everything else becomes a ``TenantId``."""
        return None if value is None else cls(value)


class TenantBinding:
    """The tenant that a session is bound to, which may change during its life."""

    __slots__ = ("_tenant",)

    def __init__(self, tenant: str | uuid.UUID | TenantId | None = None) -> None:
        self._tenant = TenantId.optional(tenant)

    @property
    def tenant(self) -> TenantId | None:
        """The tenant in force, or ``None``."""
        return self._tenant

    def bind(self, tenant: str | uuid.UUID | TenantId | None) -> None:
        """Speak for ``tenant`` from now on; ``None`` for nobody."""
        self._tenant = TenantId.optional(tenant)
