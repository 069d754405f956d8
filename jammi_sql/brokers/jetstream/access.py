"""Where the server is and how to get in."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ...errors import InvalidParameter

__all__ = ["Access"]

_SCHEMES: Final = ("nats", "tls")
_PORT: Final = 4222
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_INBOX: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_IN_URL: Final = (
    "credentials",
    "nkey",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "tls_hostname",
    "tls_first",
    "prefix",
    "inbox_prefix",
)
_HINT: Final = "write nats://user:password@host:4222, or tls:// to insist on TLS"


@dataclass(frozen=True, slots=True)
class Access:
    """Servers, credentials and TLS; ``of`` makes one. Its text has no credentials in it.

    ``servers`` are URLs without them. ``prefix`` begins the names of streams and subjects, ``inbox_prefix`` the
    subjects that answers and deliveries come to.
    """

    servers: tuple[str, ...]
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: str | None = None
    nkey: str | None = None
    tls: ssl.SSLContext | None = None
    tls_hostname: str | None = None
    tls_first: bool = False
    prefix: str = "jammi"
    inbox_prefix: str = "_INBOX"

    @classmethod
    def of(cls, servers: str | Sequence[str], options: Mapping[str, Any]) -> Self:
        """What URLs, separated by commas or in a list, and ``options`` say together; an option wins.

        A URL may carry ``user:password@`` or ``token@``, percent-encoded, and behind ``?`` the options ``credentials``,
        ``nkey``, ``tls_ca``, ``tls_cert``, ``tls_key``, ``tls_hostname``, ``tls_first``, ``prefix``, ``inbox_prefix``.
        ``InvalidParameter`` (22023) for what is wrong; it never quotes a URL.
        """
        texts: list[Any] = servers.split(",") if isinstance(servers, str) else list(servers)
        found: dict[str, Any] = {}
        hosts: list[str] = []
        secure = False
        for text in texts:
            url = _split(text.strip() if isinstance(text, str) else text)
            hosts.append(f"nats://{_host(url)}")
            secure = secure or url.scheme == "tls"
            found = {**_login(url), **_query(url), **found}
        if not hosts:
            raise InvalidParameter("a NATS broker needs a server", hint=_HINT)
        chosen = {**found, **{name: value for name, value in options.items() if value is not None}}
        for name in ("prefix", "inbox_prefix"):
            pattern = _NAME if name == "prefix" else _INBOX
            if name in chosen and not pattern.fullmatch(str(chosen[name])):
                raise InvalidParameter(
                    f"{name} cannot be {chosen[name]!r}", hint="use letters, digits, - and _, at least one"
                )
        files = {name: chosen.pop(name, None) for name in ("tls_ca", "tls_cert", "tls_key")}
        context = chosen.pop("tls", None)
        if context is None and (secure or any(files.values()) or chosen.get("tls_first") or chosen.get("tls_hostname")):
            context = _context(**files)
        access = cls(tuple(hosts), tls=context, **chosen)
        if (access.user is None) != (access.password is None):
            raise InvalidParameter("user and password belong together", hint="give both, or a token")
        return access

    @property
    def location(self) -> str:
        """The servers, for messages."""
        return ", ".join(server.removeprefix("nats://") for server in self.servers)


def _split(text: object) -> SplitResult:
    if not isinstance(text, str):
        raise InvalidParameter("a NATS server is given as a URL", hint=_HINT)
    try:
        url = urlsplit(text if "://" in text else f"nats://{text}")
        _ = url.port
    except ValueError:
        raise InvalidParameter("the URL of the NATS server is malformed", hint=_HINT) from None
    if url.scheme not in _SCHEMES:
        raise InvalidParameter(f"there is no NATS server at {url.scheme}://", hint=_HINT)
    if not url.hostname or url.path not in ("", "/") or url.fragment:
        raise InvalidParameter("the URL of the NATS server is malformed", hint=_HINT)
    return url


def _host(url: SplitResult) -> str:
    host = url.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{url.port or _PORT}"


def _login(url: SplitResult) -> dict[str, str]:
    if url.username is None:
        return {}
    if url.password is None:
        return {"token": unquote(url.username)}
    return {"user": unquote(url.username), "password": unquote(url.password)}


def _query(url: SplitResult) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        if name not in _IN_URL:
            raise InvalidParameter(
                f"the URL of a NATS server has no option {name}", hint=f"there are {', '.join(_IN_URL)}"
            )
        if name == "tls_first":
            if value not in ("true", "false"):
                raise InvalidParameter(f"tls_first cannot be {value!r}", hint="write true or false")
            found[name] = value == "true"
        else:
            found[name] = value
    return found


def _context(tls_ca: str | None, tls_cert: str | None, tls_key: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls_ca)
        if tls_cert is not None:
            context.load_cert_chain(tls_cert, tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidParameter(
            f"the TLS files cannot be used: {error}", hint="tls_ca, tls_cert and tls_key are files in PEM format"
        ) from None
    return context
