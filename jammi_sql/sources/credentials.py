"""Credentials of attached sources: references in what is stored, values only where a connection is made.

``env:NAME`` and ``file:path`` are followed when the source is opened. What they stand for is never stored and never shown:
``Secrets.hidden`` takes it out of every message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from ..errors import InvalidParameter, OperationalError
from .definition import SourceDefinition
from .options import OPTIONS

__all__ = ["Secrets", "check_definition", "is_secret", "resolved", "without_credentials"]

_SECRET: Final = re.compile(
    r"passw(or)?d|passphrase|(^|[_.])pwd$|secret|token|credential|authorization|api_?key|private_?key|access_?key", re.I
)
_PAIR: Final = re.compile(r"(?:^|[\s;,?&])([\w.]+)\s*=")
_PATHS: Final = re.compile(r"(cert|certs|file|path)$", re.I)
_REFERENCES: Final = ("env:", "file:")
_SHORTEST: Final = 3  # characters: what is shorter stands in too many words by chance


def is_secret(name: str) -> bool:
    """Whether the value of an option with that name must be a reference."""
    if any(option.name == name and option.secret for options in OPTIONS.values() for option in options):
        return True
    return _SECRET.search(name) is not None and _PATHS.search(name) is None


def check_definition(definition: SourceDefinition) -> None:
    """Refuse a definition with a secret in it: ``InvalidParameter``, whose message has no value."""
    for name, value in definition.options.items():
        if is_secret(name) and not value.startswith(_REFERENCES):
            raise InvalidParameter(
                f"the option {name} of {definition.name} has its value in plain text",
                hint=f"write {name} 'env:NAME' or {name} 'file:path': the value itself is not kept",
            )
    parts = _split(definition)
    if ":" in parts.netloc.rpartition("@")[0]:
        raise InvalidParameter(
            f"the URI of {definition.name} has a password in it",
            hint="leave it out and write password 'env:NAME' or password 'file:path' among the options",
        )
    given = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    for name in (*given, *_PAIR.findall(definition.uri)):  # of a list of words, too: host=... password=...
        if is_secret(name):
            raise InvalidParameter(
                f"the URI of {definition.name} has {name} in it",
                hint=f"leave it out and write {name} 'env:NAME' or {name} 'file:path' among the options",
            )


def _split(definition: SourceDefinition) -> SplitResult:
    try:
        return urlsplit(definition.uri)
    except ValueError:
        raise InvalidParameter(
            f"the URI of {definition.name} cannot be read", hint="write special characters as %XX"
        ) from None


_NAMES_OF_USERS: Final = frozenset({"user", "username"})


def resolved(definition: SourceDefinition) -> dict[str, str]:
    """The options, with the references of users' names and secrets followed: of others they are texts like any other, for
    who may attach must not read files and variables of this process by it.

    Raises ``OperationalError`` 28000 that names the variable or file which is not there.
    """
    return {
        name: _followed(definition.name, name, value) if is_secret(name) or name in _NAMES_OF_USERS else value
        for name, value in definition.options.items()
    }


def _followed(source: str, option: str, value: str) -> str:
    kind, _, place = value.partition(":")
    if kind == "env":
        found = os.environ.get(place)
        if found is None:
            raise _missing(source, option, f"the environment variable {place} is not set")
        return found
    if kind == "file":
        try:
            return Path(place).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise _missing(source, option, f"the file {place} cannot be read ({why})") from None
    return value


def _missing(source: str, option: str, what: str) -> OperationalError:
    return OperationalError(
        f"{source}: {what}, which the option {option} names",
        sqlstate="28000",
        hint="it is looked up in the process that reads the source",
    )


class Secrets:
    """Values that no message may have."""

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in (value, quote(value, safe=""), quote(value)) if value}
        self._values = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Secrets:
        """Of options whose references were followed."""
        return cls(value for name, value in options.items() if is_secret(name))

    def hidden(self, text: str) -> str:
        """``text`` with stars in their place."""
        for value in self._values:
            text = text.replace(value, "***")
        return text

    def within(self, text: str) -> bool:
        """Whether one of them stands in ``text``."""
        return any(value in text for value in self._values)


def without_credentials(uri: str) -> str:
    """The URI without user, password and query: for messages."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "(a URI that cannot be read)"
    if not parts.scheme or not parts.netloc:
        return unquote(uri.partition("?")[0])
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
