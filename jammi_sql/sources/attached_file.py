"""An attached database that is a file: opened read-only, and apart from that for what writes."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import adbc_driver_manager

from ..adbc.driver import DRIVER_ERRORS
from ..errors import InvalidParameter, OperationalError
from .attached import AttachedDatabase
from .definition import SourceDefinition
from .link import Link
from .source import Check

__all__ = ["AttachedFile"]


class AttachedFile(AttachedDatabase):
    """The base of sources that are one file. A subclass says how its driver opens it, and what a connection begins with."""

    title: ClassVar[str]
    """The database's name, for messages."""
    local: ClassVar[bool] = True

    def __init__(self, definition: SourceDefinition) -> None:
        self._path = self._path_of(definition.uri)
        super().__init__(definition, dialect=self.kind, location=str(self._path))

    @abstractmethod
    def _open_file(self, *, writable: bool) -> adbc_driver_manager.AdbcDatabase:
        """The file, opened by the driver."""

    @abstractmethod
    def _beginning(self) -> tuple[str, ...]:
        """The statements that a connection begins with."""

    def _open_database(self, options: dict[str, str]) -> adbc_driver_manager.AdbcDatabase:
        return self._opened_file(writable=False)

    def _opened_file(self, *, writable: bool) -> adbc_driver_manager.AdbcDatabase:
        if not self._path.is_file():
            raise OperationalError(
                f"{self.definition.name}: there is no file {self._path}",
                sqlstate="58030",
                hint=f"{self.kind}:///file is relative to the working folder, {self.kind}:////file begins at the root",
            )
        return self._open_file(writable=writable)

    def _open_link(self, database: adbc_driver_manager.AdbcDatabase) -> Link:
        doing = f"opening {self.definition.name}"
        try:
            link = Link(adbc_driver_manager.AdbcConnection(database), self.translated)
        except DRIVER_ERRORS as error:
            raise self.translated(error, doing) from error
        try:
            for statement in self._beginning():
                link.update(statement, doing)
        except BaseException:
            link.close()
            raise
        return link

    def take_for_writing(self, check: Check) -> Link:
        """A connection of its own, since those of the pool are read-only."""
        self._require_open()
        try:
            database = self._opened_file(writable=True)
        except DRIVER_ERRORS as error:
            raise self.translated(error, f"opening {self.definition.name}") from error
        link = self._open_link(database)
        link.own(database)
        return link

    @classmethod
    def _path_of(cls, uri: str) -> Path:
        scheme, mark, rest = uri.partition("://")
        if not mark:
            return Path(uri)
        host, slash, path = rest.partition("/")
        if scheme.lower() != cls.kind or host or not slash or not path:
            raise InvalidParameter(
                f"the URI of a {cls.title} file cannot be read",
                hint=f"{cls.kind}:///file or {cls.kind}:////folder/file",
            )
        return Path(unquote(path.partition("?")[0]))
