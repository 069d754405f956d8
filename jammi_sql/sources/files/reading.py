"""DataFusion's own scans of files of one format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa
from datafusion import CsvReadOptions, DataFrame, LogicalPlan, SessionContext

from .formats import FileFormat
from .options import FileOptions
from .paths import with_name, with_paths

__all__ = ["BY_NAME", "GUESSED", "named", "parquet_table", "read_files", "scratch_context"]

BY_NAME: Final = frozenset({"parquet", "json"})
"""Formats whose scan finds the columns of each file by name, and gives NULL for those that it lacks."""
GUESSED: Final = frozenset({"csv", "tsv", "json"})
"""Formats whose types are guessed."""

_TABLE: Final = "file"
_ANY_FILE: Final = "file:///any"
_COMPRESSIONS: Final = {"none": "", "gzip": "gzip", "bzip2": "bz2", "xz": "xz", "zstd": "zst"}


def scratch_context() -> SessionContext:
    """A context for looking at files, with the settings of those that statements have."""
    from datafusion import SessionConfig  # noqa: PLC0415 - for here alone

    return SessionContext(
        SessionConfig(
            {
                "datafusion.sql_parser.map_string_types_to_utf8view": "false",
                "datafusion.execution.parquet.schema_force_view_types": "false",
                "datafusion.execution.time_zone": "UTC",
            }
        )
    )


def read_files(
    context: SessionContext,
    addresses: Sequence[str],
    file_format: FileFormat,
    options: FileOptions,
    schema: pa.Schema | None = None,
) -> DataFrame:
    """The rows of the files, which have ``schema``. They need not be of one ending.

    Without ``schema`` it is that of the first; of CSV the names are, and all is text.
    """
    if file_format.name in ("csv", "tsv"):
        return context.read_csv(list(addresses), options=_csv(file_format, options, schema))
    read = _reader(file_format, options, schema)
    if len(addresses) == 1:
        return read(context, addresses[0])
    planned = _planned(read)
    if planned is not None:
        return context.create_dataframe_from_logical_plan(
            LogicalPlan.from_bytes(context, with_paths(planned, addresses))
        )
    return union([read(context, address) for address in addresses])


def parquet_table(address: str, schema: pa.Schema) -> Any:
    """One local file as a table of DataFusion's for a catalogue, which has the name that it is found under."""
    scratch = scratch_context()
    scratch.register_parquet(_TABLE, address, file_extension="", schema=schema)
    return scratch.catalog("datafusion").schema("public").table(_TABLE)


def named(context: SessionContext, scan: DataFrame, name: tuple[str, str, str]) -> DataFrame:
    """A scan of files as that of a table with a name; as it is, where its protobuf form would not be the same scan."""
    try:
        plan = with_name(scan.logical_plan().to_bytes(context), name)
        found = context.create_dataframe_from_logical_plan(LogicalPlan.from_bytes(context, plan))
        same = found.schema().equals(scan.schema())
    except Exception:  # a type, or an option, that its protobuf form lacks
        return scan
    return found if same else scan


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of frames with the same columns; as a flat tree, since plans are walked in depth."""
    while len(frames) > 1:
        pairs = [frames[place].union(frames[place + 1]) for place in range(0, len(frames) - 1, 2)]
        frames = pairs + list(frames[len(pairs) * 2 :])
    return frames[0]


def _csv(file_format: FileFormat, options: FileOptions, schema: pa.Schema | None) -> CsvReadOptions:
    return CsvReadOptions(
        has_header=options.header,
        delimiter=options.delimiter or ("\t" if file_format.name == "tsv" else ","),
        quote=options.quote,
        escape=options.escape,
        newlines_in_values=options.newlines_in_values,
        schema=schema,
        schema_infer_max_records=0,  # names alone
        file_extension="",
        file_compression_type=_COMPRESSIONS[file_format.compression],
    )


def _reader(
    file_format: FileFormat, options: FileOptions, schema: pa.Schema | None
) -> Callable[[SessionContext, str], DataFrame]:
    if file_format.name == "parquet":
        return lambda context, path: context.read_parquet(path, file_extension="", schema=schema)
    if file_format.name == "arrow":
        return lambda context, path: context.read_arrow(path, schema, "")
    if file_format.name == "avro":
        return lambda context, path: context.read_avro(path, schema, None, "")
    return lambda context, path: context.read_json(
        path,
        schema,
        options.schema_infer_rows,
        "",
        None,
        _COMPRESSIONS[file_format.compression] or None,
    )


def _planned(read: Callable[[SessionContext, str], DataFrame]) -> bytes | None:
    """The bytes of a scan of one file; ``None`` where they would not be the same scan."""
    scratch = scratch_context()
    try:
        frame = read(scratch, _ANY_FILE)
        plan = frame.logical_plan().to_bytes(scratch)
        again = scratch.create_dataframe_from_logical_plan(LogicalPlan.from_bytes(scratch, plan)).schema()
    except Exception:  # a type, or an option, that its protobuf form lacks
        return None
    return plan if again.equals(frame.schema()) else None
