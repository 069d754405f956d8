"""An attached folder, glob or file."""

from __future__ import annotations

import posixpath
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from ...errors import InvalidParameter
from ..definition import SourceDefinition
from .aside import aside
from .failures import missing
from .formats import FORMATS, FileFormat, compression_of, format_of
from .globs import is_glob, matcher, split_glob
from .layout import DataFile, Layout, Schemas, Types
from .opening import place_of
from .options import FileOptions
from .partitions import partitions_of
from .places import Allowed, Found, Place
from .relation import FileRelation

__all__ = ["FileSource", "open_files"]

_SCHEMA: Final = "public"
_FRESH: Final = 2.0
"""Seconds that a listing of a remote place is used again: each costs a request."""


def _everything(path: str) -> None:
    """Any path may be read."""


def open_files(definition: SourceDefinition, allowed: Allowed = _everything) -> FileSource:
    """The files that an attachment means; nothing is looked up yet.

    ``allowed`` is called with each path of this machine, its symbolic links resolved, and with the location of each remote
    one, before it is listed or read; it raises where that may not be. ``InvalidParameter`` (22023) and
    ``FeatureNotSupported`` (0A000) for options and URIs that cannot be.
    """
    return FileSource(definition, allowed)


class FileSource:
    """Files as relations of the schema ``public``.

    Of a folder every file ``x.parquet`` and every sub-folder ``x`` is ``x``. Where several have one name, it is that of the
    folder, else of the first by ``FORMATS``; each is reached by its whole name, ``"x.csv"``, as well. A file, a glob, and a
    folder that has partitions (``key=value``) itself, is one relation with the attachment's name.
    """

    kind = "files"

    def __init__(self, definition: SourceDefinition, allowed: Allowed = _everything) -> None:
        self._options = FileOptions.of(definition.options)
        self._name = definition.name
        self._place: Place = place_of(definition.uri, self._options, allowed)
        self.location = self._place.location
        self._schemas = Schemas(self._place, self._options)
        self._listings: dict[tuple[str, str], tuple[float, list[Found]]] = {}
        self._lock = threading.Lock()

    def schemas(self) -> list[str]:
        """``public`` alone."""
        return [_SCHEMA]

    def relation_names(self, schema: str) -> list[str]:
        """The relations of a schema, sorted. Raises where the folder cannot be listed."""
        if schema != _SCHEMA:
            return []
        inside = aside(self._inside)
        return [self._name] if inside is None else sorted(self._named(inside))

    def relation(self, schema: str, name: str) -> FileRelation | None:
        """The relation as it is now; ``None`` where there is none."""
        if schema != _SCHEMA:
            return None
        inside = aside(self._inside)
        if inside is None:
            return self.whole() if name == self._name else None
        found = self._named(inside).get(name) or next((each for each in inside if each.name == name), None)
        return None if found is None else self._of(name, found)

    def refresh(self) -> bool:
        """Forget what was found, and what the files have; whether there was something that may be otherwise now."""
        with self._lock:
            found = bool(self._listings)
            self._listings.clear()
            self._schemas = Schemas(self._place, self._options)
        return found

    def close(self) -> None:
        """Nothing stays open."""

    # --- names ---

    def _inside(self) -> list[Found] | None:
        """What the attached folder has; ``None`` where what is attached is one relation."""
        path = self._place.path
        root = self._looked(path)
        if root is None and is_glob(path):
            return None
        if root is None:
            raise missing(self.location)
        if not root.is_folder:
            return None
        children = self._listed("children", path)
        if self._options.hive_partitioning and any(each.is_folder and "=" in each.name for each in children):
            return None
        return [each for each in children if each.is_folder or self._format(each) is not None]

    def _named(self, children: Sequence[Found]) -> dict[str, Found]:
        """Of several with one name the first by precedence has it, the others their whole names."""
        named: dict[str, Found] = {}
        for found in sorted(children, key=_precedence):
            stem, known = format_of(found.name)
            stem = found.name if found.is_folder and known is None else stem
            named[stem if stem not in named else found.name] = found
        return named

    def _format(self, found: Found) -> FileFormat | None:
        """How a file is read, ``None`` where neither its ending nor an option says so."""
        by_name = format_of(found.name)[1]
        name = self._options.format or (by_name and by_name.name)
        if name is None:
            return None
        return FileFormat(
            name, self._options.compression or (by_name.compression if by_name else compression_of(found.name))
        )

    # --- relations ---

    def whole(self, types: Types | None = None) -> FileRelation:
        """All that is attached as one relation; ``types`` says how the columns of text files are read, in place of a guess."""
        path = self._place.path

        def files() -> list[DataFile]:
            root = self._looked(path)
            if root is None and is_glob(path):
                folder, pattern = split_glob(path)
                wanted = matcher(pattern)
                start = len(folder.rstrip("/")) + 1
                found = self._listed("below" if len(pattern) > 1 else "children", folder)
                kept = [each for each in found if not each.is_folder and wanted.fullmatch(each.path[start:])]
                return self._data(kept, folder, must_know=True)
            if root is None:
                raise missing(self.location)
            if root.is_folder:
                return self._data(self._listed("below", path), path)
            return self._data([root], posixpath.dirname(path), must_know=True)

        return self._relation(self._name, self.location, files, types)

    def _of(self, name: str, found: Found) -> FileRelation:
        def files() -> list[DataFile]:
            if found.is_folder:
                return self._data(self._listed("below", found.path), found.path)
            return self._data([found], posixpath.dirname(found.path))

        return self._relation(name, self._place.display(found.path), files)

    def _relation(
        self, name: str, location: str, files: Callable[[], list[DataFile]], types: Types | None = None
    ) -> FileRelation:
        def layout(listed: Sequence[DataFile]) -> Layout:
            return Layout.of(listed, self._schemas, self._options, location, types)

        return FileRelation(name, location, self._place, layout, files)

    def _data(self, found: Sequence[Found], root: str, *, must_know: bool = False) -> list[DataFile]:
        """Those that have a format. ``must_know``: ``InvalidParameter`` for another, since it was asked for by name."""
        data: list[DataFile] = []
        start = len(root.rstrip("/")) + 1
        for each in found:
            file_format = self._format(each)
            if file_format is None:
                if must_know:
                    raise InvalidParameter(
                        f"the ending of {self._place.display(each.path)} says no format",
                        hint=f"give the option format: {', '.join(FORMATS)}",
                    )
                continue
            folders = each.path[start:].split("/")[:-1]
            partitions = partitions_of(folders) if self._options.hive_partitioning else ()
            path = self._place.display(each.path)
            data.append(DataFile(path, each.address, each.state, each.size, file_format, partitions))
        return data

    # --- listings ---

    def _looked(self, path: str) -> Found | None:
        known = self._kept("look", path)
        if known is not None:
            return known[0]
        found = self._place.look(path)
        if found is not None:
            self._keep("look", path, [found])
        return found

    def _listed(self, how: str, folder: str) -> list[Found]:
        known = self._kept(how, folder)
        if known is None:
            known = self._place.children(folder) if how == "children" else self._place.below(folder)
            self._keep(how, folder, known)
        return known

    def _kept(self, how: str, path: str) -> list[Found] | None:
        with self._lock:
            moment, found = self._listings.get((how, path), (0.0, []))
        return found if found and time.monotonic() - moment < _FRESH else None

    def _keep(self, how: str, path: str, found: list[Found]) -> None:
        if not self._place.is_local:
            with self._lock:
                self._listings[how, path] = (time.monotonic(), found)


def _precedence(found: Found) -> tuple[int, str]:
    known = format_of(found.name)[1]
    return (-1 if found.is_folder else FORMATS.index(known.name) if known else len(FORMATS), found.path)
