"""The URL of a PostgreSQL server: what is added to it, and how it is shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from ..errors import InvalidParameter

__all__ = ["completed", "is_postgres_url", "shown"]

_SCHEMES: Final = ("postgresql://", "postgres://")
_SECRETS: Final = ("password", "sslpassword", "passfile", "sslkey")

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
    """The URL with limits of time for what it says nothing of, for libpq.

    Raises ``InvalidParameter`` for one that cannot be read.
    """
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise InvalidParameter(
            "the URL of the PostgreSQL server cannot be read",
            hint="postgresql://user@host:5432/database; write special characters of a password as %XX",
        ) from error
    missing = "&".join(f"{name}={quote(value)}" for name, value in _DEFAULTS.items() if name not in given)
    return f"{url}{'&' if parts.query else '?'}{missing}" if missing else url


def shown(url: str) -> str:
    """The URL without what is secret and without options: for messages."""
    without = re.sub(r"^(\w+://)(?:[^@/?]*@)?([^?]*).*", _without_password, url, flags=re.DOTALL)
    host = next((value for name, value in parse_qsl(urlsplit(url).query) if name == "host"), None)
    return f"{without} on {host}" if host is not None else without


def _without_password(match: re.Match[str]) -> str:
    scheme, rest = match.group(1), match.group(2)
    user = match.group(0)[len(scheme) :].rsplit("@", 1)[0].split(":", 1)[0] if "@" in match.group(0) else ""
    return f"{scheme}{user}@{rest}" if user else f"{scheme}{rest}"
