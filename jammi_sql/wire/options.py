"""Where a server is, and what to show it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

from ..errors import FeatureNotSupported, InvalidParameter
from ..sources.credentials import resolved
from ..sources.definition import SourceDefinition

__all__ = ["WIRE_OPTIONS", "WireOptions", "refuse_local"]

_TLS: Final = "grpc+tls"

WIRE_OPTIONS: Final[Mapping[str, str]] = {
    "token": "a bearer token, or `env:NAME` or `file:path`, where it is",
    "username": "for a login with a password",
    "password": "of that user, or `env:NAME` or `file:path`, where it is",
    "tls_root_certs": "file of the certificates that are trusted; with `grpc+tls://` only, as the other three",
    "tls_override_hostname": "the name that the server's certificate must have",
    "tls_cert": "file of the client's certificate",
    "tls_key": "file of the client's key",
    "headers": "a mapping, or `header=value` pairs with `,` between them, sent with each call",
    "connect_timeout": "seconds until the server must have answered (10)",
}
"""The options of ``connect("grpc://...")``, named as those of ATTACH, and a line about each."""

_TLS_ONLY: Final = ("tls_root_certs", "tls_override_hostname", "tls_cert", "tls_key")
_REFERENCES: Final = ("token", "password", "headers")


@dataclass(frozen=True, slots=True)
class WireOptions:
    """How a server is reached. Secrets are not in its ``repr``."""

    uri: str
    address: str
    """``host:port``."""
    tls: bool
    connect_timeout: float = 10.0
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    root_certs: bytes | None = field(default=None, repr=False)
    cert: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    hostname: str | None = None

    @classmethod
    def of(cls, target: str, options: Mapping[str, Any]) -> Self:
        """``InvalidParameter`` (22023) for an option that there is not or that makes no sense, ``OperationalError`` 28000
        for a reference that leads nowhere."""
        unknown = sorted(set(options) - set(WIRE_OPTIONS))
        if unknown:
            raise InvalidParameter(
                f"a connection to a server has no option {unknown[0]}",
                hint=f"it has: {', '.join(sorted(WIRE_OPTIONS))}",
            )
        uri, address, tls = _place(target)
        if not tls and (named := [name for name in _TLS_ONLY if options.get(name) is not None]):
            raise InvalidParameter(f"{named[0]} is for servers with TLS", hint=f"connect to grpc+tls://{address}")
        given = {name: options[name] for name in _REFERENCES if isinstance(options.get(name), str)}
        followed = resolved(SourceDefinition(uri, "flight", uri, given))
        cert, key = _file(options, "tls_cert"), _file(options, "tls_key")
        if (cert is None) != (key is None):
            raise InvalidParameter("a certificate needs its key", hint="give tls_cert and tls_key")
        hostname = options.get("tls_override_hostname")
        return cls(
            uri,
            address,
            tls,
            _seconds(options.get("connect_timeout", 10.0)),
            (*_authorization(options, followed), *_headers(followed.get("headers", options.get("headers")))),
            _file(options, "tls_root_certs"),
            cert,
            key,
            None if hostname is None else str(hostname),
        )


def refuse_local(*, broker: object, read_only: bool) -> None:
    """``FeatureNotSupported`` for arguments of ``connect`` that are about an engine in this process."""
    if broker is not None:
        raise FeatureNotSupported(
            "the broker is the server's: a client brings none", hint="jammi-sql serve --broker chooses it"
        )
    if read_only:
        raise FeatureNotSupported("a session on a server cannot be read-only yet", hint="leave read_only out")


def _place(target: str) -> tuple[str, str, bool]:
    try:
        parts = urlsplit(target)
        port = parts.port
    except ValueError as error:
        raise InvalidParameter("the address of the server cannot be read", hint="grpc://host:port") from error
    if parts.username is not None or parts.password is not None:
        raise InvalidParameter("the address has a user in it", hint="give username= and password=, or token=")
    if not parts.hostname or port is None or parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidParameter("a server is grpc://host:port or grpc+tls://host:port", hint="8815 is the usual port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}", f"{host}:{port}", parts.scheme == _TLS


def _authorization(options: Mapping[str, Any], followed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    token, password, user = followed.get("token"), followed.get("password"), options.get("username")
    if token is not None and (password is not None or user is not None):
        raise InvalidParameter("a token, or a user with a password: not both", hint="leave one out")
    if token is not None:
        return (("authorization", f"Bearer {_plain('token', token)}"),)
    if user is None and password is None:
        return ()
    if password is None:
        raise InvalidParameter("a user without a password", hint="the password is the token of the server's file")
    pair = base64.b64encode(f"{user or ''}:{password}".encode()).decode()
    return (("authorization", f"Basic {pair}"),)


def _headers(given: Any) -> tuple[tuple[str, str], ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        pairs = [pair.partition("=")[::2] for pair in given.split(",") if pair.strip()]
    elif isinstance(given, Mapping):
        pairs = [(str(name), str(value)) for name, value in given.items()]
    else:
        raise InvalidParameter("headers are a mapping", hint="headers={'x-team': 'billing'}")
    return tuple((_plain("headers", name.strip().lower()), _plain("headers", value.strip())) for name, value in pairs)


def _plain(option: str, text: str) -> str:
    if not text or not text.isascii() or not text.isprintable():
        raise InvalidParameter(f"{option} has characters that no header may have, or none")
    return text


def _file(options: Mapping[str, Any], name: str) -> bytes | None:
    path = options.get(name)
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        raise InvalidParameter(f"{name} cannot be read: {why}") from error


def _seconds(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 < number <= 1e6:
        raise InvalidParameter("connect_timeout is a number of seconds above 0", hint="connect_timeout=10")
    return number
