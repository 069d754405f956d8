"""Checks of a store in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..finding import Check, Finding
from ..sizes import free_space
from .clock import clock
from .log import events, log_size
from .place import file_system, presence, privileges
from .schema import schema_version
from .segments import segment_files
from .subject import Folder

__all__ = ["CHECKS", "Folder"]


def _space(folder: Folder) -> Iterator[Finding]:
    return free_space(folder.path, "the store")


CHECKS: Final = (
    Check("connection", presence, vital=True),
    Check("privileges", privileges),
    Check("file system", file_system),
    Check("free space", _space),
    Check("log", log_size),
    Check("events", events),
    Check("schema", schema_version, vital=True),
    Check("clock", clock),
    Check("segments", segment_files),
)
