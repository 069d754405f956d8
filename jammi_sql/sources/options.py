"""The options that each kind of source takes in ATTACH."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import InvalidParameter

__all__ = ["OPTIONS", "SourceOption", "check_options", "choice", "seconds", "whole"]


@dataclass(frozen=True, slots=True)
class SourceOption:
    """An option of ``ATTACH ... (option value)``."""

    name: str
    summary: str
    default: str | None = None
    secret: bool = False
    """Whether its value is to be ``env:NAME`` or ``file:path``."""


_POOL: Final = SourceOption("pool_size", "connections at once, 1 to 1000", "8")
_QUOTE: Final = SourceOption("quote", "the character around identifiers", '"')
_DIALECTS: Final = "datafusion, postgres, sqlite, duckdb or none"
_CONNECT: Final = SourceOption("connect_timeout", "seconds until a connection must be made", "10")

OPTIONS: Final[Mapping[str, tuple[SourceOption, ...]]] = {
    "postgres": (
        SourceOption("user", "the role, where the URI has none"),
        SourceOption("password", "the role's password", secret=True),
        SourceOption("sslmode", "disable, prefer, require, verify-ca or verify-full", "prefer"),
        SourceOption("sslrootcert", "file of the certificates that are trusted"),
        SourceOption("sslcert", "file of the client's certificate"),
        SourceOption("sslkey", "file of the client's key"),
        SourceOption("sslpassword", "password of the client's key", secret=True),
        SourceOption("ambient", "false: passwords, certificates and tickets of the process are not used", "true"),
        SourceOption("application_name", "what pg_stat_activity shows", "jammi-sql"),
        SourceOption("search_path", "where remote_query finds names without a schema", "none"),
        SourceOption("numeric", "numeric without precision is decimal(38,9), text or double", "decimal(38,9)"),
        SourceOption("statement_timeout", "seconds that the server gives each statement", "none"),
        _CONNECT,
        _POOL,
    ),
    "sqlite": (
        SourceOption("busy_timeout", "seconds to wait for another one's lock", "10"),
        _POOL,
    ),
    "duckdb": (
        SourceOption("memory_limit", "memory for DuckDB, such as 1GB"),
        SourceOption("threads", "threads of DuckDB's own", "2"),
        _POOL,
    ),
    "flight": (
        SourceOption("username", "for a login with a password"),
        SourceOption("password", "of that user", secret=True),
        SourceOption("token", "a bearer token", secret=True),
        SourceOption("tls_root_certs", "file of the certificates that are trusted"),
        SourceOption("tls_skip_verify", "true: the server's certificate is not looked at", "false"),
        SourceOption("tls_override_hostname", "the name that the certificate must have"),
        SourceOption("headers", "header=value pairs with , between them, sent with each call", secret=True),
        SourceOption("dialect", f"{_DIALECTS}: in which queries are pushed; as the server says, where it is not given"),
        _QUOTE,
        _CONNECT,
        _POOL,
    ),
    "adbc": (
        SourceOption("driver", "name or path of the driver, or of its Python package"),
        SourceOption("entrypoint", "the function of the shared library that makes the driver"),
        SourceOption("dialect", f"{_DIALECTS}: in which queries are pushed", "none"),
        _QUOTE,
        SourceOption("password", "the driver's password", secret=True),
        _POOL,
    ),
}
"""By kind. ``adbc`` takes others too: they are the driver's, given to it as they are."""


def check_options(kind: str, options: Mapping[str, str]) -> None:
    """Refuse an option that the kind does not take, with ``InvalidParameter`` and a hint that lists them."""
    if kind == "adbc" or kind not in OPTIONS:
        return
    known = [option.name for option in OPTIONS[kind]]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InvalidParameter(
            f"a source of type {kind} has no option {unknown[0]}", hint=f"it has: {', '.join(sorted(known))}"
        )


def _given(kind: str, options: Mapping[str, str], name: str) -> str | None:
    default = next(option.default for option in OPTIONS[kind] if option.name == name)
    value = options.get(name, default)
    return None if value is None or value == "none" else value


def seconds(kind: str, options: Mapping[str, str], name: str) -> float | None:
    """An option that is a number of seconds above 0; ``None`` where it is ``none``."""
    value = _given(kind, options, name)
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number <= 1e6:
        raise InvalidParameter(f"{name} is a number of seconds above 0", hint=f"{name} 10, or {name} 0.5")
    return number


def whole(kind: str, options: Mapping[str, str], name: str, least: int, most: int) -> int:
    """An option that is a whole number."""
    value = _given(kind, options, name) or ""
    if not value.isdecimal() or not least <= int(value) <= most:
        raise InvalidParameter(f"{name} is a whole number, {least} to {most}")
    return int(value)


def choice(kind: str, options: Mapping[str, str], name: str, values: tuple[str, ...]) -> str | None:
    """An option that is one of ``values``; spaces and case do not count."""
    value = _given(kind, options, name)
    if value is None:
        return None
    plain = "".join(value.split()).lower()
    if plain not in values:
        raise InvalidParameter(f"{name} cannot be {value!r}", hint=f"it is one of: {', '.join(values)}")
    return plain
