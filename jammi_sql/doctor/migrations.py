"""What was applied to a store, against what this package knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..errors import StoreVersionError
from ..stores.migrations import Migration, pending_migrations
from .finding import Finding, ok, problem, warning

__all__ = ["compared"]


def compared(known: Sequence[Migration], applied: Mapping[int, str], location: str) -> Iterator[Finding]:
    """``applied``: number to checksum."""
    try:
        pending = pending_migrations(known, applied, location)
    except StoreVersionError as error:
        yield problem(error.message, error.hint or "use the version of jammi-sql that made the store")
        return
    if not applied:
        yield warning("the store has no schema yet", "connect to it once without read_only, which makes it")
    elif pending:
        names = ", ".join(f"{migration.number:04d}_{migration.name}" for migration in pending)
        yield warning(
            f"the schema has version {max(applied)}; pending: {names}",
            "make a backup, then connect once without read_only, which brings it up to date; older versions of "
            "jammi-sql cannot open it then",
        )
    else:
        yield ok(f"the schema has version {max(applied)}, the newest")
