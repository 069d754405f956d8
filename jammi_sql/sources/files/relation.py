"""Files as a relation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import DataFrame, SessionContext

from ...errors import OperationalError
from .aside import aside
from .failures import missing, reading, unreadable
from .layout import DataFile, Layout
from .places import Place
from .reading import parquet_table

__all__ = ["FilePart", "FileRelation"]

_FOOTERS: Final = 256
"""Files whose rows are counted for an estimate."""


class FileRelation:
    """A file, or files that are read as one, as they were when this was first asked for.

    What cannot be read is an error of the relation, when it is used: 58P01 where nothing is there, 42501 where it may not
    be read, 42804 where the files cannot be one relation, 58030 for all else.
    """

    def __init__(self, name: str, location: str, place: Place, layout: Callable[[Sequence[DataFile]], Layout],
                 files: Callable[[], list[DataFile]]) -> None:  # fmt: skip
        self.name = name
        self.location = location
        """The file, folder or glob, for messages."""
        self._place = place
        self._plan = layout
        self._list = files
        self._lock = threading.Lock()
        self._files: list[DataFile] | None = None
        self._layout: Layout | None = None

    @property
    def files(self) -> list[DataFile]:
        """The files, by path."""
        with self._lock:
            return self._listed()

    @property
    def schema(self) -> pa.Schema:
        """The columns; all may be NULL."""
        return self._planned().schema

    @property
    def rows(self) -> int | None:
        """How many rows the footers of local Parquet files count; ``None`` where that is not known, or not cheap."""
        return self.counted(self.files)

    def counted(self, files: Sequence[DataFile]) -> int | None:
        """As ``rows``, of some of the files."""
        known = self._place.is_local and 0 < len(files) <= _FOOTERS
        if not known or any(file.format.name != "parquet" for file in files):
            return None
        return sum(_rows_of(file) for file in files)

    def frame(self, context: SessionContext, path: tuple[str, str, str] | None = None) -> DataFrame:
        """DataFusion's own scan of the files. May be called while ``context`` plans. ``path`` is as for ``table``."""
        layout = self._planned()
        return self._made(context, lambda: layout.frame(context, path))

    def _made(self, context: SessionContext, make: Callable[[], DataFrame]) -> DataFrame:
        def made() -> DataFrame:
            with reading(self.location):
                self._place.reach(context)
                return make()

        return aside(made)

    def table(self, context: SessionContext, path: tuple[str, str, str] | None = None) -> Any:
        """The same as a table, for a catalogue; of one local Parquet file a table with the name under which it is found, so that
        plans in which it stands can be cut, through views too. With ``path``, that name, so are those of all others."""
        address = self._planned().single_parquet if self._place.is_local else None
        return self.frame(context, path).into_view() if address is None else aside(lambda: self._scanned(address))

    def part(self, digest: str) -> FilePart | None:
        """The files that one scan reads, as a plan with names has it; ``None`` where they are no longer read like that."""
        layout = self._planned()
        found = layout.part(digest)
        if found is None:
            return None
        schema, addresses = found
        files = [file for file in self.files if file.address in set(addresses)]
        return FilePart(self, digest, schema, files)

    def scan(self, context: SessionContext, digest: str) -> DataFrame:
        """The scan of a part alone."""
        layout = self._planned()
        return self._made(context, lambda: layout.scan(context, digest))

    def _scanned(self, address: str) -> Any:
        with reading(self.location):
            return parquet_table(address, self.schema)

    def check_files(self) -> None:
        """Once DataFusion has listed the local files that it scans: it passes over one that is missing without a word.

        58P01 for one that is gone, 55000 for one that is another since.
        """
        self.check(self.files)

    def check(self, files: Sequence[DataFile]) -> None:
        """As ``check_files``, of some of the files."""
        if not self._place.is_local:
            return
        for file in files:
            now = self._place.look(file.path)
            if now is None:
                raise missing(file.path)
            if now.state != file.state:
                raise OperationalError(
                    f"{file.path} was changed while it was read", sqlstate="55000", hint="run the statement again"
                )

    def single(self, file: DataFile) -> FileRelation:
        """One of the files alone."""
        return FileRelation(self.name, file.path, self._place, self._plan, lambda: [file])

    def _listed(self) -> list[DataFile]:
        if self._files is None:
            self._files = self._list()
        return self._files

    def _planned(self) -> Layout:
        def plan() -> Layout:
            with self._lock:
                if self._layout is None:
                    self._layout = self._plan(self._listed())
                return self._layout

        return self._layout or aside(plan)


@dataclass(frozen=True, slots=True)
class FilePart:
    """Files of a relation that are read by one scan, as a view's plan has it: a relation of its own."""

    whole: FileRelation
    digest: str
    schema: pa.Schema
    files: list[DataFile]

    @property
    def rows(self) -> int | None:
        """As ``FileRelation.rows``."""
        return self.whole.counted(self.files)

    def frame(self, context: SessionContext) -> DataFrame:
        """As ``FileRelation.frame``."""
        return self.whole.scan(context, self.digest)

    def table(self, context: SessionContext, path: tuple[str, str, str] | None = None) -> Any:
        """As ``FileRelation.table``."""
        return self.frame(context).into_view()

    def check_files(self) -> None:
        """As ``FileRelation.check_files``."""
        self.whole.check(self.files)


@lru_cache(maxsize=1024)
def _rows_of(file: DataFile) -> int:
    """By its footer, which is read once while the file stays as it is."""
    try:
        return int(pq.read_metadata(unquote(urlsplit(file.address).path)).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(file.path, error) from error
