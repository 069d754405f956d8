"""Which code opens which kind of source."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from ..sources.definition import SourceDefinition

__all__ = ["FILES", "checked_definition", "open_attached"]

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


def open_attached(definition: SourceDefinition) -> Any:
    """The source, which does not connect before it is asked something."""
    if definition.kind == FILES:
        from ..sources.files import open_files  # noqa: PLC0415 - as above

        return open_files(definition)
    from ..sources.opening import open_source  # noqa: PLC0415 - as above

    return open_source(definition)
