"""The options of attached files, and of COPY ... FROM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ...errors import InvalidParameter
from .formats import COMPRESSIONS, FORMATS

__all__ = ["OPTIONS", "TEXT_OPTIONS", "FileOptions", "read_bool"]

TEXT_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "format": "`parquet`, `csv`, `tsv`, `json` (one object per line), `arrow` or `avro`; default: by the file's ending",
        "header": "whether the first line of a CSV file names the columns; default: true",
        "delimiter": "the character between two values of a CSV file; default: a comma, in `.tsv` a tab",
        "quote": 'the character around a value of a CSV file that has other signs; default: `"`',
        "escape": "the character before a quote within a quoted value; default: the quote is doubled",
        "null": "the text of a CSV file that means NULL; default: nothing between two delimiters, or an empty text in quotes",
        "compression": "`gzip`, `bzip2`, `xz`, `zstd` or `none`, of CSV and JSON; default: by the file's ending",
        "newlines_in_values": "whether a quoted value of a CSV file may hold line ends; false lets one large file be read "
        "in parallel; default: true",
    }
)
"""How a file's text is read, with a line on each."""

OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **TEXT_OPTIONS,
        "hive_partitioning": "whether folders named `key=value` make a column; default: true",
        "schema_infer_rows": "rows of each CSV and JSON file that its types are guessed from; default: 1000",
        "region": "of the bucket; default: `AWS_REGION`, else it is asked for",
        "endpoint": "of an object store that speaks S3, as `https://host:port`; default: the one of the cloud",
        "access_key_id": "a reference, `env:NAME` or `file:path`; default: what the environment says, as for its own tools",
        "secret_access_key": "a reference, as above",
        "session_token": "a reference, as above",
        "allow_http": "whether an endpoint may be reached without TLS; default: false",
        "anonymous": "whether an object store is asked without credentials; default: false",
    }
)
"""Every option of ``ATTACH ... (TYPE files, ...)`` with a line on each."""

_TRUE: Final = frozenset({"true", "on", "yes", "1"})
_FALSE: Final = frozenset({"false", "off", "no", "0"})
_REFERENCES: Final = ("access_key_id", "secret_access_key", "session_token")


@dataclass(frozen=True, slots=True)
class FileOptions:
    """The options, read."""

    format: str | None = None
    header: bool = True
    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    null: str | None = None
    compression: str | None = None
    newlines_in_values: bool = True
    hive_partitioning: bool = True
    schema_infer_rows: int = 1000
    region: str | None = None
    endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    allow_http: bool = False
    anonymous: bool = False

    @classmethod
    def of(cls, options: Mapping[str, str]) -> FileOptions:
        """Those of an attachment. ``InvalidParameter`` for one that is not there, and for a value that it does not take."""
        values: dict[str, object] = {}
        for name, text in options.items():
            if name not in OPTIONS:
                raise InvalidParameter(f"files have no option {name}", hint=f"there are {', '.join(OPTIONS)}")
            values[name] = _READERS.get(name, _text)(name, text)
        return cls(**values)  # type: ignore[arg-type] # each reader gives its field's type


def read_bool(name: str, text: str) -> bool:
    """``InvalidParameter`` for a word that says neither."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise InvalidParameter(f"{name} cannot be {text!r}", hint="write true or false")


def _text(name: str, text: str) -> str:
    return text


def _character(name: str, text: str) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(text) != 1 or not text.isascii():
        raise InvalidParameter(f"{name} cannot be {text!r}", hint="give one ASCII character; E'\\t' is a tab")
    return text


def _format(name: str, text: str) -> str:
    word = {"ndjson": "json", "jsonl": "json", "feather": "arrow", "ipc": "arrow"}.get(text.lower(), text.lower())
    if word not in FORMATS:
        raise InvalidParameter(f"there is no format {text!r}", hint=f"there are {', '.join(FORMATS)}")
    return word


def _compression(name: str, text: str) -> str:
    word = {"gz": "gzip", "bz2": "bzip2", "zst": "zstd", "uncompressed": "none"}.get(text.lower(), text.lower())
    if word not in COMPRESSIONS:
        raise InvalidParameter(f"there is no compression {text!r}", hint=f"there are {', '.join(COMPRESSIONS)}")
    return word


def _count(name: str, text: str) -> int:
    if not text.isdigit() or not int(text):
        raise InvalidParameter(f"{name} cannot be {text!r}", hint="give a number of rows, 1 or more")
    return int(text)


def _reference(name: str, text: str) -> str:
    kind, _, rest = text.partition(":")
    if kind not in ("env", "file") or not rest:
        # Without the text: whoever wrote a secret here should not find it in a log as well.
        raise InvalidParameter(f"{name} takes a reference, not a value", hint="write 'env:NAME' or 'file:path'")
    return text


_READERS: Final = MappingProxyType(
    {
        "format": _format,
        "header": read_bool,
        "delimiter": _character,
        "quote": _character,
        "escape": _character,
        "compression": _compression,
        "newlines_in_values": read_bool,
        "hive_partitioning": read_bool,
        "schema_infer_rows": _count,
        "allow_http": read_bool,
        "anonymous": read_bool,
        **dict.fromkeys(_REFERENCES, _reference),
    }
)
