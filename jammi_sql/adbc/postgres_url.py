"""The URL of a PostgreSQL server: what is added to it, and how it is shown."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from ..errors import InvalidParameter

__all__ = ["completed", "is_address_in", "is_postgres_url", "schema_in", "shown"]

_SCHEMES: Final = ("postgresql://", "postgres://")
_SCHEMA: Final = "schema"

# What libpq waits for without an end by itself, for a connection on which nothing comes back any more.
_DEFAULTS: Final = {
    "connect_timeout": "10",  # seconds, for each address
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",  # milliseconds
    "application_name": "jammi-sql",
}


def is_postgres_url(target: str) -> bool:
    """Whether ``target`` names a PostgreSQL server."""
    return target.startswith(_SCHEMES)


def completed(url: str) -> str:
    """The URL for libpq: without what is not for it, and with limits of time for what it says nothing of.

    Raises ``InvalidParameter`` for one that cannot be read.
    """
    given = _options(url)
    given.pop(_SCHEMA, None)
    options = {**{name: value for name, value in _DEFAULTS.items() if name not in given}, **given}
    return f"{url.partition('?')[0]}?{urlencode(options, quote_via=quote)}"


def schema_in(url: str) -> str | None:
    """The schema that the URL names, as ``?schema=name``."""
    return _options(url).get(_SCHEMA)


def is_address_in(url: str, address: object) -> bool:
    """Whether a socket connected to ``address`` may be one to a server that the URL names: it has one of its ports."""
    ports = set(re.findall(r":(\d+)(?=,|$)", urlsplit(url).netloc)) | set(_options(url).get("port", "").split(","))
    ports = ports - {""} or {os.environ.get("PGPORT", "5432")}
    if isinstance(address, str):  # of a Unix socket
        return address.rpartition(".")[2] in ports
    return isinstance(address, tuple) and str(address[1]) in ports


def _options(url: str) -> dict[str, str]:
    try:
        query = urlsplit(url).query
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise InvalidParameter(
            "the URL of the PostgreSQL server cannot be read",
            hint="postgresql://user@host:5432/database; write special characters of a password as %XX",
        ) from error


def shown(url: str) -> str:
    """The URL without what is secret and without options: for messages."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user = f"{credentials.partition(':')[0]}@" if credentials else ""
    host = _options(url).get("host")
    return f"{parts.scheme}://{user}{hosts}{parts.path}{f' on {host}' if host else ''}"
