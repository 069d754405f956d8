"""Folders and files as sources."""

from __future__ import annotations

from typing import Any

from ...errors import FeatureNotSupported
from ..definition import SourceDefinition

__all__ = ["open_files"]


def open_files(definition: SourceDefinition) -> Any:
    """The source of files."""
    raise FeatureNotSupported("files cannot be attached yet", hint="read them with SELECT ... FROM 'file.parquet'")
