"""Attached databases: what they hold, and how it is read and written where it is."""

from .definition import SourceDefinition
from .relation import RemoteColumn, RemoteRelation
from .source import RemoteScan, Source

__all__ = ["RemoteColumn", "RemoteRelation", "RemoteScan", "Source", "SourceDefinition"]
