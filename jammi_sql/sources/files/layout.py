"""What the files of a relation have in common, and how they are read as one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
from datafusion import DataFrame, Expr, SessionContext, col, functions, lit

from ...dialect import quote_identifier
from ...errors import ProgrammingError
from .failures import missing, reading
from .formats import FileFormat
from .guessing import guessed_type
from .merging import merged_schema
from .options import FileOptions
from .partitions import Partitions, partition_types
from .places import Place
from .reading import BY_NAME, GUESSED, named, read_files, scratch_context, union

__all__ = ["DataFile", "Layout", "Schemas", "Types"]

Types = Callable[[FileFormat, pa.Field], pa.DataType]
"""As what a column of a text file is to be read, of which the field is a guess."""

_READERS = 8
_REMEMBERED = 16_384


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a relation."""

    path: str
    """As messages name it."""
    address: str
    state: str
    size: int
    format: FileFormat
    partitions: Partitions


class Schemas:
    """The columns of files, as DataFusion finds them; looked at once, while a file stays as it is."""

    def __init__(self, place: Place, options: FileOptions) -> None:
        self._place = place
        self._options = options
        self._context: SessionContext = scratch_context()
        self._known: dict[tuple[str, str, int, FileFormat, bool], pa.Schema] = {}

    def of(self, files: Sequence[DataFile], *, guess: bool = True) -> list[pa.Schema]:
        """One for each file; without ``guess`` the columns of CSV are text. Raises what ``unreadable`` gives."""
        self._place.reach(self._context)
        if len(files) == 1:
            return [self._schema(files[0], guess)]
        with ThreadPoolExecutor(_READERS, thread_name_prefix="jammi-files") as pool:
            return list(pool.map(lambda file: self._schema(file, guess), files))

    def _schema(self, file: DataFile, guess: bool) -> pa.Schema:
        key = (file.address, file.state, file.size, file.format, guess)
        known = self._known.get(key)
        if known is None:
            with reading(file.path):
                known = self._looked_at(file, guess)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known

    def _looked_at(self, file: DataFile, guess: bool) -> pa.Schema:
        found = read_files(self._context, [file.address], file.format, self._options).schema().remove_metadata()
        if not guess or file.format.name not in ("csv", "tsv"):
            return found
        texts = read_files(self._context, [file.address], file.format, self._options, found)
        rows = texts.limit(self._options.schema_infer_rows).to_arrow_table()
        return pa.schema([pa.field(name, guessed_type(rows.column(name), self._options.null)) for name in found.names])


@dataclass(frozen=True, slots=True)
class _Group:
    """Files that are read by one scan."""

    partitions: Partitions
    format: FileFormat
    schema: pa.Schema
    addresses: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The same for a scan that reads the same files in the same way."""
        told = "\0".join((repr(self.format), str(self.schema), *self.addresses))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a relation, and the scans that give them."""

    schema: pa.Schema
    _partitions: dict[str, pa.DataType]
    _groups: tuple[_Group, ...]
    _options: FileOptions

    @classmethod
    def of(
        cls,
        files: Sequence[DataFile],
        schemas: Schemas,
        options: FileOptions,
        location: str,
        types: Types | None = None,
    ) -> Layout:
        """That of ``files``, which are all that is at ``location``.

        58P01 where there is none, 42804 where they cannot be read as one.
        """
        if not files:
            raise missing(location, "there are no files at")
        formats = {file.format.name: file for file in files}
        if len(formats) > 1:
            one, other = list(formats.values())[:2]
            raise ProgrammingError(
                f"{location} has files of several formats: {one.path} and {other.path}",
                sqlstate="42804",
                hint="attach one format with a glob, or say which it is with the option format",
            )
        (name,) = formats
        found = schemas.of(files, guess=types is None)
        if types is not None and name in GUESSED:
            found = [
                pa.schema([field.with_type(types(file.format, field)) for field in schema])
                for file, schema in zip(files, found, strict=True)
            ]
        partitions = partition_types({file.path: file.partitions for file in files})
        own = [
            pa.schema([field for field in schema if field.name not in partitions]) if partitions else schema
            for schema in found
        ]
        merged = merged_schema(
            ((file.path, schema) for file, schema in zip(files, own, strict=True)), guessed=name in GUESSED
        )
        groups: dict[tuple[Any, ...], tuple[pa.Schema, list[str]]] = {}
        for file, schema in zip(files, found, strict=True):
            read = merged if name in BY_NAME else _as_read(schema, merged, name, options)
            key = (file.partitions, file.format, () if name in BY_NAME else tuple((f.name, str(f.type)) for f in read))
            groups.setdefault(key, (read, []))[1].append(file.address)
        fields = [*merged, *(pa.field(key, data_type) for key, data_type in partitions.items())]
        return cls(
            pa.schema(fields),
            partitions,
            tuple(_Group(key[0], key[1], read, tuple(found)) for key, (read, found) in groups.items()),
            options,
        )

    @property
    def single_parquet(self) -> str | None:
        """The address of the one file, where that is one of Parquet and is read as it is."""
        if len(self._groups) != 1 or self._partitions:
            return None
        (group,) = self._groups
        plain = group.format.name == "parquet" and len(group.addresses) == 1 and group.schema.equals(self.schema)
        return group.addresses[0] if plain else None

    def frame(self, context: SessionContext, name: tuple[str, str, str] | None = None) -> DataFrame:
        """The rows of all files. With ``name``, each scan has that name with its ``digest``, so that plans in which it stands
        can be said in Substrait."""
        return union([self._read(context, group, name) for group in self._groups])

    def part(self, digest: str) -> tuple[pa.Schema, tuple[str, ...]] | None:
        """Columns and addresses of the files that are read by the scan with that digest; ``None``: no scan has it any more."""
        group = next((each for each in self._groups if each.digest == digest), None)
        return None if group is None else (group.schema, group.addresses)

    def scan(self, context: SessionContext, digest: str) -> DataFrame:
        """That scan alone, its columns as they are in the files. ``digest`` MUST be one of a part."""
        (group,) = (each for each in self._groups if each.digest == digest)
        return read_files(context, group.addresses, group.format, self._options, group.schema)

    def _read(self, context: SessionContext, group: _Group, name: tuple[str, str, str] | None) -> DataFrame:
        frame = read_files(context, group.addresses, group.format, self._options, group.schema)
        if name is not None:
            frame = named(context, frame, (name[0], name[1], f"{name[2]}#{group.digest}"))
        marked = _marks_null(group.format.name, self._options)
        if not marked and frame.schema().equals(self.schema):
            return frame
        values = dict(group.partitions)
        present = {field.name: field.type for field in group.schema}
        columns: list[Expr] = []
        for field in self.schema:
            quoted = col(quote_identifier(field.name))
            if marked:
                quoted = _unmarked(quoted, self._options.null or "", is_text=pa.types.is_string(field.type))
            if field.name in self._partitions:
                columns.append(_literal(values[field.name], field.type).alias(field.name))
            elif field.name not in present:
                columns.append(lit(None).cast(field.type).alias(field.name))
            elif present[field.name].equals(field.type):
                columns.append(quoted.alias(field.name) if marked else quoted)
            else:
                columns.append(quoted.cast(field.type).alias(field.name))
        return frame.select(*columns)


def _as_read(schema: pa.Schema, merged: pa.Schema, name: str, options: FileOptions) -> pa.Schema:
    """The columns of one file, in its order; text is read as the types that all files have."""
    if name not in GUESSED:
        return schema
    if _marks_null(name, options):
        return pa.schema([pa.field(field.name, pa.string()) for field in schema])
    return pa.schema(
        [merged.field(field.name) if field.name in merged.names else field.with_nullable(True) for field in schema]
    )


def _marks_null(name: str, options: FileOptions) -> bool:
    """Whether NULL is a text, which DataFusion does not heed where it reads."""
    return name in ("csv", "tsv") and bool(options.null)


def _unmarked(column: Expr, mark: str, *, is_text: bool) -> Expr:
    """A column that was read as text, with NULL in place of the mark. DataFusion gives NULL for nothing, which is a text."""
    value = functions.nullif(column, lit(mark))
    return functions.case(column.is_null()).when(lit(True), lit("")).otherwise(value) if is_text else value


def _literal(text: str | None, data_type: pa.DataType) -> Expr:
    value: Any = text
    if text is not None and pa.types.is_integer(data_type):
        value = int(text)
    elif text is not None and pa.types.is_date(data_type):
        value = date.fromisoformat(text)
    return lit(pa.scalar(value, data_type))
