"""Attached files: a folder, a glob or a file, here or in an object store, as relations that DataFusion scans itself."""

from .options import OPTIONS
from .relation import FileRelation
from .source import FileSource, open_files

__all__ = ["OPTIONS", "FileRelation", "FileSource", "open_files"]
