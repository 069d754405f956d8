"""All checks of a target and of a broker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..adbc.postgres_url import schema_in
from ..errors import Error, InvalidParameter
from . import nats, postgres, sqlite
from .finding import Finding, Level, examine
from .secrets import Address
from .versions import installed_versions

__all__ = ["SCHEMA", "diagnose"]

SCHEMA: Final = "jammi"
"""Where a store is in a PostgreSQL database, unless said otherwise."""

_POSTGRES: Final = ("postgresql", "postgres")
_NATS: Final = ("nats", "tls", "ws", "wss")


def diagnose(
    target: str | os.PathLike[str], broker: str | None = None, *, schema: str | None = None
) -> Iterator[Finding]:
    """What is found, one by one. Nothing is changed, neither in the target nor at the broker.

    ``target`` is a folder or a ``postgresql://`` URL, of which ``schema`` is looked at (without it, that of the URL), ``broker``
    a ``nats://`` URL. Raises ``InvalidParameter`` for what is neither.
    """
    text = os.fspath(target)
    place = _address(text, _POSTGRES, "a target is a folder or a postgresql:// URL")
    server = None if broker is None else _address(broker, _NATS, "a broker is a nats:// URL", required=True)
    needed = [
        *(() if place is None else ("adbc-driver-postgresql",)),
        *(() if server is None else ("nats-py",)),
    ]
    yield from _named("versions", installed_versions(needed))
    if place is None:
        yield from examine(sqlite.Folder(Path(os.path.abspath(text))), sqlite.CHECKS)
    else:
        yield from _postgres(place, schema or schema_in(text) or SCHEMA)
    if server is not None:
        yield from _broker(server)


def _address(text: str, schemes: tuple[str, ...], what: str, *, required: bool = False) -> Address | None:
    """``None`` for a folder."""
    scheme, separator, _ = text.partition("://")
    if not separator and not required:
        return None
    if not separator or scheme not in schemes:
        raise InvalidParameter(what, hint="give jammi-sql doctor FOLDER, or postgresql://user@host/database")
    return Address.of(text)


def _named(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield Finding(finding.level, finding.message, finding.advice, check)


def _postgres(address: Address, schema: str) -> Iterator[Finding]:
    try:
        with postgres.connected(address, schema) as database:
            yield from examine(database, postgres.CHECKS)
    except Error as error:
        advice = error.hint or "see that host, port, user, password and database are right, and that the server runs"
        yield Finding(Level.PROBLEM, f"{address.shown}: {error.message}", advice, "connection")


def _broker(address: Address) -> Iterator[Finding]:
    try:
        server = nats.asked(address)
    except Error as error:
        advice = error.hint or "see that host, port and credentials are right, and that the server runs"
        yield Finding(Level.PROBLEM, error.message, advice, "broker connection")
        return
    yield from examine(server, nats.CHECKS)
