"""What the user of a session may do besides working with data."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from ..dialect.tokens import tokenize
from ..errors import PermissionDenied
from ..sources.definition import SourceDefinition

__all__ = ["Access", "check_external", "check_output", "checked_source", "place_of_text"]

_PLAIN: Final = re.compile(r"'([^'\\]*)'")
_GLOB: Final = re.compile(r"[*?\[{]")
_PATHS: Final = frozenset({"sslrootcert", "sslcert", "sslkey", "tls_root_certs"})


@dataclass(frozen=True, slots=True)
class Access:
    """The rights of a session whose user is not who runs the process.

    ``files`` raises for a path, its symbolic links resolved, or a location that is not to be looked at; ``covered`` for one
    that is not to be read or written, folders on the way to others included. ``tenants`` is whether the session may choose
    the tenant that it speaks for. ``secrets`` is whether it may name credentials of the process's environment.
    ``statement_timeout`` in seconds and ``memory_limit`` in bytes are the most that its settings may allow, ``None`` for no
    limit.
    """

    files: Callable[[str], None]
    covered: Callable[[str], None]
    tenants: bool = False
    secrets: bool = False
    statement_timeout: float | None = None
    memory_limit: int | None = None


def place_of_text(text: str) -> str:
    """What a path or location in a statement leads to: a path without symbolic links, or a location as it stands."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return os.path.realpath(text)
    return os.path.realpath(unquote("/" + rest.partition("/")[2])) if scheme.lower() == "file" else text


def checked_source(access: Access, definition: SourceDefinition) -> SourceDefinition:
    """The source as the session may attach it.

    Raises for one that it may not: files that are not open to it, drivers, what is the process's own, other people's secrets.
    """
    from ..sources.guests import for_guest  # noqa: PLC0415 - nothing of it where nothing is attached
    from .source_kinds import FILES, check_local  # noqa: PLC0415 - as above

    if definition.kind == FILES:
        star = _GLOB.search(definition.uri)
        folder = definition.uri if star is None else os.path.dirname(definition.uri[: star.start()]) or "."
        access.files(place_of_text(folder) if "://" not in definition.uri else place_of_text(definition.uri))
    check_local(definition, access.files)
    _check_options(access, definition.options)
    return definition if access.secrets else for_guest(definition)


def _check_options(access: Access, options: Mapping[str, str]) -> None:
    for name, value in options.items():
        if value.startswith("env:") and not access.secrets:
            raise PermissionDenied(
                f"{name}: the environment of the server is not open to clients",
                hint="attach the source where the store is opened, or with an admin's token",
            )
        if value.startswith("file:"):
            access.covered(os.path.realpath(value.removeprefix("file:")))
        elif name in _PATHS:
            access.covered(os.path.realpath(value))


def check_external(access: Access, text: str) -> None:
    """Raise for a statement, a prepared one included, that makes a table of a file that the session may not read."""
    if "external" not in text.lower():
        return
    tokens = tokenize(text)
    for place, token in enumerate(tokens[:-1]):
        if token.keyword == "EXTERNAL" and tokens[place + 1].keyword == "TABLE":
            after = [tokens[at + 1].text for at in range(place, len(tokens) - 1) if tokens[at].keyword == "LOCATION"]
            plain = [_PLAIN.fullmatch(location) for location in after]
            if not plain:
                access.covered("")
            for found in plain:
                access.covered("" if found is None else _one_file(found[1]))


def _one_file(text: str) -> str:
    """The place of a single file: what is in a folder, or fits a pattern, may lead anywhere."""
    place = place_of_text(text)
    return "" if _GLOB.search(text) or ("://" not in place and not os.path.isfile(place)) else place


def check_output(access: Access, plan: Any) -> None:
    """Raise for a plan that writes files where the session may not."""
    variant = plan.to_variant()
    kind = type(variant).__name__
    if kind == "CopyTo":
        place = place_of_text(variant.output_url())
        access.covered(place)
        if "://" not in place and (os.path.isdir(place) or not os.path.splitext(place)[1]):
            access.covered(f"{place}/any")
    elif kind in ("Explain", "Analyze"):
        for below in plan.inputs():
            check_output(access, below)
