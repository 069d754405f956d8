"""Which format a file has, by its ending."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["COMPRESSIONS", "FORMATS", "FileFormat", "compression_of", "format_of"]

FORMATS: Final = ("parquet", "arrow", "avro", "csv", "tsv", "json")
"""By precedence: of several files ``x`` the first one has that name."""
COMPRESSIONS: Final = ("none", "gzip", "bzip2", "xz", "zstd")
_ENDINGS: Final = {
    ".parquet": "parquet", ".parq": "parquet", ".pq": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
    ".avro": "avro",
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
}  # fmt: skip
_COMPRESSED: Final = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
_TEXT: Final = frozenset({"csv", "tsv", "json"})


class FileFormat(NamedTuple):
    """How a file is read: its format, and the compression of its text."""

    name: str
    compression: str = "none"


def format_of(file_name: str) -> tuple[str, FileFormat | None]:
    """The name without its ending, and what the ending says; ``None`` where it says nothing."""
    lower = file_name.lower()
    compression = "none"
    for ending, word in _COMPRESSED.items():
        if lower.endswith(ending):
            lower, compression = lower[: -len(ending)], word
    for ending, name in _ENDINGS.items():
        if lower.endswith(ending) and len(lower) > len(ending):
            if compression != "none" and name not in _TEXT:
                break  # the other formats compress inside
            return file_name[: len(lower) - len(ending)], FileFormat(name, compression)
    stem, dot, _ = file_name.rpartition(".")
    return (stem if dot and stem else file_name), None


def compression_of(file_name: str) -> str:
    """What the ending says of the compression alone: ``data.txt.gz``."""
    return next((name for ending, name in _COMPRESSED.items() if file_name.lower().endswith(ending)), "none")
