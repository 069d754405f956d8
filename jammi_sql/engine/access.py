"""What the user of a session may do besides working with data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Access"]


@dataclass(frozen=True, slots=True)
class Access:
    """The rights of a session whose user is not who runs the process.

    ``files`` raises for a path, its symbolic links resolved, or a location that the session may neither read nor write.
    ``tenants`` is whether it may choose the tenant that it speaks for. ``secrets`` is whether it may name credentials of
    the process's environment. ``statement_timeout`` in seconds and ``memory_limit`` in bytes are the most that its
    settings may allow, ``None`` for no limit.
    """

    files: Callable[[str], None]
    tenants: bool = False
    secrets: bool = False
    statement_timeout: float | None = None
    memory_limit: int | None = None
