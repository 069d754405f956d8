"""Who calls: what a token or a certificate says of its bearer."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import InvalidParameter, OperationalError
from ..tenancy import TenantId

__all__ = ["ANYBODY", "Identities", "Identity", "basic_token", "bearer_token"]

_CERTIFICATE: Final = "cert:"
_NOBODY: Final = "-"
_ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller. ``name`` is for logs: part of a digest of the token, or what the certificate calls itself."""

    name: str
    tenant: TenantId | None = None
    is_admin: bool = False


ANYBODY: Final = Identity("anybody", None, is_admin=True)
"""The caller where there are no identities: then the server is on loopback alone, for whoever runs it."""


class Identities:
    """The identities of a token file, read again by ``reload``.

    A line is ``token tenant-uuid``, ``token -`` for no tenant, or ``token admin`` for one that may choose; ``cert:NAME`` in
    place of a token is whoever has a certificate with that common name. Empty lines and those that begin with ``#`` say
    nothing. Of tokens only digests are kept.
    """

    def __init__(self, path: Path) -> None:
        """``InvalidParameter`` for a file that cannot be read or a line that says something else."""
        self._path = path
        self._known: Mapping[str, Identity] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file again. Where it is wrong, nothing changes."""
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidParameter(f"the token file cannot be read: {type(error).__name__}") from error
        self._known = dict(_identity(number, line) for number, line in _meaningful(lines))

    def knows(self, identity: Identity) -> bool:
        """Whether somebody still is that."""
        return identity in self._known.values()

    def of_token(self, token: str) -> Identity | None:
        """Whose token that is."""
        return None if token.startswith(_CERTIFICATE) else self._known.get(_digest(token))

    def of_certificate(self, names: Iterable[str]) -> Identity | None:
        """Whose certificate that is, by its common names."""
        return next(
            (self._known[key] for name in names if (key := _digest(_CERTIFICATE + name)) in self._known),
            None,
        )


def _meaningful(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    return (
        (number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")
    )


def _identity(number: int, line: str) -> tuple[str, Identity]:
    words = line.split()
    if len(words) != 2:
        raise InvalidParameter(
            f"line {number} of the token file is no identity", hint="write: token tenant-uuid, token - or token admin"
        )
    token, who = words
    name = token.removeprefix(_CERTIFICATE) if token.startswith(_CERTIFICATE) else _digest(token)[:8]
    if who == _ADMIN:
        return _digest(token), Identity(name, is_admin=True)
    try:
        return _digest(token), Identity(name, None if who == _NOBODY else TenantId(who))
    except InvalidParameter as error:
        raise InvalidParameter(f"line {number} of the token file: {error.message}", hint=error.hint) from None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def bearer_token(values: Iterable[str]) -> str | None:
    """The token of ``authorization`` headers; ``None`` where there is none.

    ``OperationalError`` (28000) where they name several: which one a proxy checked is not known here.
    """
    found = {value for value in values if value.strip()}
    if len(found) > 1:
        raise OperationalError("the call has more than one authorization header", sqlstate="28000")
    for value in found:
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            return rest.strip()
        if scheme.lower() == "basic":
            return basic_token(rest.strip())
    return None


def basic_token(credentials: str) -> str | None:
    """The password in ``user:password``, encoded as for HTTP; clients may leave its padding out."""
    try:
        text = base64.b64decode(credentials + "=" * (-len(credentials) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return text.partition(":")[2] or None
