"""Which code opens which kind of source."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from ..errors import PermissionDenied
from ..sources.definition import SourceDefinition

__all__ = ["FILES", "check_local", "checked_definition", "open_attached"]

FILES = "files"


def checked_definition(definition: SourceDefinition) -> SourceDefinition:
    """``definition`` with its kind worked out and its options checked; nothing is connected to.

    ``InvalidParameter`` for a kind or option that is not there, and for a password that is written out.
    """
    from ..sources.credentials import check_definition  # noqa: PLC0415 - nothing of it where nothing is attached
    from ..sources.opening import kind_of  # noqa: PLC0415 - as above
    from ..sources.options import check_options  # noqa: PLC0415 - as above

    checked = replace(definition, kind=kind_of(definition.uri, definition.kind or None))
    check_options(checked.kind, checked.options)
    check_definition(checked)
    if checked.kind == FILES:
        if "://" not in checked.uri:  # who reads it later is elsewhere
            checked = replace(checked, uri=os.path.abspath(checked.uri))
        open_attached(checked)
    return checked


def open_attached(definition: SourceDefinition, files: Callable[[str], None] | None = None) -> Any:
    """The source, which does not connect before it is asked something.

    ``files`` raises for a path or location of files that is not to be reached.
    """
    if definition.kind == FILES:
        from ..sources.files import open_files  # noqa: PLC0415 - as above

        return open_files(definition) if files is None else open_files(definition, files)
    if files is not None:
        check_local(definition, files)
    from ..sources.opening import open_source  # noqa: PLC0415 - as above

    return open_source(definition)


def check_local(definition: SourceDefinition, files: Callable[[str], None]) -> None:
    """Raise for a database in a file that ``files`` raises for, and for drivers of any kind: they are code."""
    if definition.kind == "adbc":
        raise PermissionDenied(
            "sources of TYPE adbc are not open to clients: a driver is code", hint="attach it where the store is opened"
        )
    if definition.kind in ("sqlite", "duckdb"):
        path = unquote(definition.uri.partition("://")[2]) if "://" in definition.uri else definition.uri
        files(os.path.realpath(path.partition("?")[0]))
