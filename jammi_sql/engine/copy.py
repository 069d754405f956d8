"""COPY ... FROM: files into a topic, a companion table or a table of an attached database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ..dialect import quote_identifier, statements
from ..dialect.statements import Fragment, Query
from ..errors import (
    DataError,
    Error,
    FeatureNotSupported,
    InvalidParameter,
    OperationalError,
    ProgrammingError,
    UndefinedColumn,
)
from ..results import Result
from ..sources.definition import SourceDefinition
from ..sources.files import FileRelation, open_files
from ..sources.files.formats import FileFormat
from ..sources.files.options import FileOptions
from .file_access import readable
from .insert import insert_from, insert_target, target_schema
from .insert_source import InsertSource, planned
from .remote_changes import copy_remote, remote_columns, remote_target
from .staging import RowsRelation

if TYPE_CHECKING:
    from .session import Session

__all__ = ["copy_from"]

Parameters = Mapping[str, pa.Scalar]
_COPIED = "__copied"
_MALFORMED = re.compile(r"(?:Csv|Json) error: [^\n]*")
_NOTHING = Query("SELECT", Fragment("", ((0, 0),)), (), frozenset())


def copy_from(session: Session, statement: statements.CopyFrom, parameters: Parameters) -> Result:
    """Run it: all rows of the files or none."""
    remote = remote_target(session, statement.target)
    if remote is None and session.names.is_own(statement.target):
        raise FeatureNotSupported(
            "COPY ... FROM into an in-memory table, or another catalog",
            position=statement.target.position,
            hint="use INSERT INTO name SELECT ... FROM 'file'",
        )
    if remote is not None:
        schema = remote_columns(remote)

        def write(rows: InsertSource) -> Result:
            return copy_remote(session, remote, rows)

    else:
        insert = _insert(statement)
        target = insert_target(session, insert)
        schema = target_schema(target)

        def write(rows: InsertSource) -> Result:
            return insert_from(session, insert, target, rows, {})

    shown = "standard input"
    try:
        options = FileOptions.of(statement.options)
        uri, shown = _location(session, statement, options, parameters)
        definition = SourceDefinition("copy", "files", uri, statement.options)
        # What came by stdin is the caller's own, wherever it was put down.
        source = open_files(definition) if statement.source is None else open_files(definition, readable(session))
        relation = source.whole(lambda file_format, field: _read_as(file_format, field, schema))
        copy = _Copy(session, relation, _pairs(statement, schema, relation, shown, options), schema, shown, options)
        rows = copy.source(relation)
    except Error as error:
        malformed = _malformed(error, shown)
        if malformed is not None:
            raise malformed from error
        _hide_spool(session, error)
        if error.position is None and isinstance(error, (InvalidParameter, ProgrammingError)):
            error.position = statement.position
        raise
    try:
        return write(rows)
    except _OF_A_VALUE as error:
        _hide_spool(session, error)
        raise copy.blamed(error) from error


_OF_A_VALUE = (DataError, OperationalError, ProgrammingError)
"""What DataFusion says of a value that is not of its column's type, or of a line that is no line."""


def _insert(statement: statements.CopyFrom) -> statements.Insert:
    return statements.Insert(
        statement.target, _NOTHING, (), None, None, None, statement.columns, statement.column_positions, None, (), (),
        False, None,
    )  # fmt: skip


def _location(
    session: Session, statement: statements.CopyFrom, options: FileOptions, parameters: Parameters
) -> tuple[str, str]:
    """Where the files are, and how messages name that."""
    if statement.source is not None:
        value = session.queries.evaluate(statement.source, parameters).as_py()
        if not isinstance(value, str) or not value:
            raise InvalidParameter("a file is named by a text", position=statement.position, hint="write 'file.csv'")
        return value, value
    if session.stdin is None:
        raise FeatureNotSupported(
            "there is no standard input here",
            position=statement.position,
            hint='pass it: cursor.execute("COPY ... FROM stdin (...)", stdin=file), or use adbc_ingest',
        )
    if options.format is None:
        raise InvalidParameter(
            "standard input has no name that would say its format", position=statement.position, hint="add (FORMAT csv)"
        )
    return session.stdin.path(f".{options.format}"), "stdin"


# --- columns -------------------------------------------------------------------------------------


def _read_as(file_format: FileFormat, field: pa.Field, schema: pa.Schema) -> pa.DataType:
    """CSV as text, which is then cast as an INSERT casts it; JSON as the column's type, where a reader knows it."""
    if file_format.name != "json":
        return pa.string()
    name = _match(field.name, schema.names)
    wanted: pa.DataType | None = None if name is None else schema.field(name).type
    return wanted if wanted is not None and _from_json(wanted) else field.type


def _from_json(data_type: pa.DataType) -> bool:
    types = pa.types
    if types.is_list(data_type):
        return _from_json(data_type.value_type)
    if types.is_struct(data_type):
        return all(_from_json(field.type) or types.is_string(field.type) for field in data_type)
    if types.is_decimal(data_type) or types.is_temporal(data_type):
        return not (types.is_duration(data_type) or types.is_interval(data_type))
    return types.is_integer(data_type) or types.is_floating(data_type) or types.is_boolean(data_type)


def _match(name: str, names: Sequence[str]) -> str | None:
    """The same name, else the only one that differs in capitals alone."""
    if name in names:
        return name
    alike = [each for each in names if each.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def _pairs(
    statement: statements.CopyFrom, schema: pa.Schema, relation: FileRelation, shown: str, options: FileOptions
) -> list[tuple[str, str]]:
    """Columns of the target and of the file: by name where the file names them, else by position."""
    path = ".".join(statement.target.parts)
    for column, position in zip(statement.columns or (), statement.column_positions, strict=True):
        if column not in schema.names:
            raise UndefinedColumn(
                f"{path} has no column {column}", position=position, hint=f"its columns are {', '.join(schema.names)}"
            )
    there = relation.schema.names
    if relation.files[0].format.name in ("csv", "tsv") and not options.header:
        wanted = list(statement.columns or schema.names)
        if len(there) != len(wanted):
            raise ProgrammingError(
                f"{shown} has {len(there)} columns, and there are {len(wanted)} to fill",
                sqlstate="42601",
                position=statement.target.position,
                hint="name the columns that the file has: COPY name (a, b) FROM ...",
            )
        return list(zip(wanted, there, strict=True))
    pairs: list[tuple[str, str]] = []
    if statement.columns is not None:
        for column, position in zip(statement.columns, statement.column_positions, strict=True):
            found = _match(column, there)
            if found is None:
                raise UndefinedColumn(
                    f"{shown} has no column {column}", position=position, hint=f"it has {', '.join(there)}"
                )
            pairs.append((column, found))
        return pairs
    for name in there:
        column_of = _match(name, schema.names)
        if column_of is None:
            raise UndefinedColumn(
                f"{path} has no column {name}, which {shown} has",
                position=statement.target.position,
                hint="name the columns that are wanted: COPY name (a, b) FROM ...; header false where the first line is data",
            )
        pairs.append((column_of, name))
    return pairs


# --- rows ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Copy:
    """The rows of files as those of an INSERT."""

    session: Session
    relation: FileRelation
    pairs: Sequence[tuple[str, str]]
    schema: pa.Schema
    shown: str
    options: FileOptions

    def source(self, relation: FileRelation) -> InsertSource:
        """The rows of the files, in their order."""
        context = self.session.world.ordered_context
        return self._selected(relation.frame(context).into_view())

    def _selected(self, rows: object, pairs: Sequence[tuple[str, str]] | None = None) -> InsertSource:
        pairs = self.pairs if pairs is None else pairs
        columns = ", ".join(f"{quote_identifier(name)} AS {quote_identifier(column)}" for column, name in pairs)
        text = Fragment(f"SELECT {columns} FROM {quote_identifier(_COPIED)}", ((0, 0),))
        query = Query("SELECT", text, (), frozenset())
        names = tuple(column for column, _ in pairs)
        return InsertSource(text, names, query, self.session.world.ordered_context, {}, relations={_COPIED: rows})

    # --- errors ---

    def blamed(self, error: Error) -> Error:
        """``error`` with the file and the line that it is about, where that can be found out."""
        malformed = _malformed(error, self.shown)
        if malformed is not None:
            return malformed
        if not isinstance(error, DataError):
            return error
        for file in self.relation.files:
            if file.format.name not in ("csv", "tsv"):
                break
            found = self._first_wrong(self.relation.single(file))
            if found is not None:
                line, cause = found
                shown = self.shown if self.shown == "stdin" else file.path
                return type(error)(
                    f"{shown}, line {line}: {cause.message.removeprefix('Cast error: ')}",
                    sqlstate=cause.sqlstate,
                    hint=cause.hint,
                )
        return error

    def _first_wrong(self, file: FileRelation) -> tuple[int, Error] | None:
        """The first line that cannot be cast, and why."""
        pairs = [(column, name) for column, name in self.pairs if name in file.schema.names]
        line = 2 if self.options.header else 1
        for batch in self._batches(file):
            self.session.running.check()
            if (cause := self._cast(batch, pairs)) is None:
                line += batch.num_rows + _line_ends(batch)
                continue
            good, bad = 0, batch.num_rows  # the first `good` rows can be cast, the first `bad` cannot
            while bad - good > 1:
                middle = (good + bad) // 2
                found = self._cast(batch.slice(0, middle), pairs)
                good, bad, cause = (middle, bad, cause) if found is None else (good, middle, found)
            return line + good + _line_ends(batch.slice(0, good)), cause
        return None

    def _batches(self, file: FileRelation) -> Iterator[pa.RecordBatch]:
        for batch in file.frame(self.session.world.ordered_context).execute_stream():
            yield batch.to_pyarrow()

    def _cast(self, batch: pa.RecordBatch, pairs: Sequence[tuple[str, str]]) -> Error | None:
        source = self._selected(RowsRelation(batch.schema, lambda: iter((batch,))), pairs)
        wanted = pa.schema([self.schema.field(column).with_nullable(True) for column, _ in pairs])
        try:
            with self.session.queries.planned(frozenset()) as planning:
                frame, text = planned(self.session, planning, source, wanted)
                self.session.queries.collect(frame, planning, text)
        except DataError as error:
            return error
        return None


def _hide_spool(session: Session, error: Error) -> None:
    """Of standard input nobody knows the file that it was put down in, which is the server's where there is one."""
    place = None if session.stdin is None else session.stdin.place
    if place is not None:
        error.message = error.message.replace(place, "stdin").replace(place.lstrip("/"), "stdin")


def _malformed(error: Error, shown: str) -> DataError | None:
    """The error for text that is not of its format; ``None`` for an error about something else."""
    found = _MALFORMED.search(error.message)
    if found is None:
        return None
    return DataError(f"{shown}: {found[0]}", sqlstate="22P04", hint="see the line, and the options of COPY")


def _line_ends(batch: pa.RecordBatch) -> int:
    """Within quoted values."""
    total = 0
    for column in batch.columns:
        if pa.types.is_string(column.type):
            total += pc.sum(pc.count_substring(column, "\n")).as_py() or 0  # type: ignore[call-overload] # an array of text
    return total
