"""Sources attached by a guest: somebody who may use this process, and is not who runs it."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ..adbc.postgres_url import is_postgres_url
from ..errors import PermissionDenied
from .definition import SourceDefinition

__all__ = ["AMBIENT", "for_guest"]

AMBIENT: Final = "ambient"
"""The option that says whether a source may use passwords, certificates and tickets of the process that reads it."""

_HARMLESS: Final = frozenset(
    {"application_name", "connect_timeout", "dbname", "options", "port", "sslmode", "target_session_attrs", "user"}
)


def for_guest(definition: SourceDefinition) -> SourceDefinition:
    """The source as a guest may attach it; ``PermissionDenied`` (42501) for one that takes what is the process's own.

    A PostgreSQL server lets processes of its machine in without a password, and libpq finds passwords that nobody named:
    so a guest of a server could read, as the server's own user, the very store that it guards.
    """
    if definition.kind != "postgres":
        return definition
    _check_address(definition.uri)
    if definition.options.get(AMBIENT, "false") != "false":
        raise PermissionDenied(
            "passwords and certificates of the server's own are not open to clients",
            hint="name the password: password 'file:path', of a file that is open to clients",
        )
    return replace(definition, options=MappingProxyType({**definition.options, AMBIENT: "false"}))


def _check_address(uri: str) -> None:
    """An allow-list: libpq reads some addresses otherwise than Python does."""
    parts = urlsplit(uri)
    hosts = [unquote(host) for host in parts.netloc.rpartition("@")[2].split(",")]
    if (
        not is_postgres_url(uri)
        or any(character <= " " or character == "#" for character in uri)
        or any(host.startswith(("/", "@", ":")) or not host for host in hosts)
    ):
        raise PermissionDenied(
            "sockets of the server's machine are not open to clients", hint="write postgresql://user@host:5432/database"
        )
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _HARMLESS:
            raise PermissionDenied(
                f"{name} in the URI of a source is not open to clients",
                hint=f"what may be there is {', '.join(sorted(_HARMLESS))}",
            )
