"""Folders of files for tests of attached files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import SessionContext

from jammi_sql.sources import SourceDefinition
from jammi_sql.sources.files import FileRelation, FileSource, open_files
from jammi_sql.sources.files.reading import scratch_context

__all__ = ["attached", "rows_of", "the", "write"]


def write(path: Path, rows: list[dict[str, Any]] | pa.Table) -> Path:
    """A Parquet file, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows), path)
    return path


def attached(uri: object, **options: str) -> FileSource:
    """What ``ATTACH 'uri' AS lake (TYPE files, option value, ...)`` opens."""
    return open_files(SourceDefinition("lake", "files", str(uri), options))


def the(source: FileSource, name: str = "lake") -> FileRelation:
    """The relation of that name, which must be there."""
    relation = source.relation("public", name)
    assert relation is not None
    return relation


def rows_of(source: FileSource, name: str = "lake", order: str | None = None) -> list[tuple[Any, ...]]:
    """All rows, sorted."""
    context: SessionContext = scratch_context()
    table = the(source, name).frame(context).to_arrow_table()
    found = [tuple(row.values()) for row in table.to_pylist()]
    return sorted(found, key=repr)
