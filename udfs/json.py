"""Access to JSON in text columns.

A path leads from the document to a value: ``$`` is the document, ``.name``, ``."any name"`` and ``['any name']`` go
into objects, ``[0]`` into arrays (``[-1]`` is the last element). The ``$`` may be left out: ``a.b[0]``. Text that is
not JSON gives NULL, as does a path that leads nowhere. A malformed path is ``InvalidParameter`` 22023.

JSON is read as RFC 8259 says: NaN and trailing commas are malformed, of a repeated name the last value counts, an
integer beyond 64 bits is read as a double.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import orjson
import pyarrow as pa

from jammi_sql.errors import InvalidParameter
from jammi_sql.function import scalar_function

__all__ = [
    "json_array_length",
    "json_exists",
    "json_get",
    "json_get_bool",
    "json_get_float",
    "json_get_int",
    "json_get_text",
]

Json = dict[str, Any] | list[Any] | str | int | float | bool | None
Path = tuple[str | int, ...]


class _Missing:
    """The path leads nowhere. Not ``None``, which is JSON's own null."""


_INPUTS = (pa.string(), pa.string())
_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(r"-?[0-9]{1,19}")  # as many digits as 2**63 has
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SEGMENT = re.compile(
    r"""
      \.(?P<name>[^\s.\[\]'"*?(),]+)             # .name
    | \."(?P<dotted>(?:[^"\\]|\\.)*)"            # ."any name"
    | \['(?P<single>(?:[^'\\]|\\.)*)'\]          # ['any name']
    | \["(?P<double>(?:[^"\\]|\\.)*)"\]          # ["any name"]
    | \[(?P<index>-?[0-9]{1,9})\]                # [0]
    """,
    re.VERBOSE | re.DOTALL,
)


@scalar_function(
    inputs=_INPUTS, returns=pa.string(), example="json_get('{\"a\": [1, {\"b\": 2}]}', '$.a[1]') = '{\"b\":2}'"
)
def json_get(json: pa.StringArray, path: pa.StringArray) -> pa.StringArray:
    """The value at a path, as JSON text without spaces; JSON's null is the text ``null``."""
    return _map(json, path, pa.string(), _as_json)


@scalar_function(inputs=_INPUTS, returns=pa.string(), example="json_get_text('{\"a\": \"x\"}', '$.a') = 'x'")
def json_get_text(json: pa.StringArray, path: pa.StringArray) -> pa.StringArray:
    """The value at a path as text: a string without its quotes, anything else as JSON text, JSON's null as NULL."""

    def text(value: Json) -> str | None:
        return value if isinstance(value, str) else None if value is None else _as_json(value)

    return _map(json, path, pa.string(), text)


@scalar_function(inputs=_INPUTS, returns=pa.int64(), example="json_get_int('{\"a\": {\"b\": 7}}', '$.a.b') = 7")
def json_get_int(json: pa.StringArray, path: pa.StringArray) -> pa.Int64Array:
    """The value at a path as BIGINT: an integer, a number without a fraction, or a string that holds an integer.

    NULL for anything else, and for what does not fit.
    """

    def integer(value: Json) -> int | None:
        if isinstance(value, str):
            value = int(value) if _INTEGER.fullmatch(value) else None
        elif isinstance(value, float):
            value = int(value) if value.is_integer() else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value in _INT64 else None

    return _map(json, path, pa.int64(), integer)


@scalar_function(inputs=_INPUTS, returns=pa.float64(), example="json_get_float('{\"a\": 1.5}', '$.a') = 1.5")
def json_get_float(json: pa.StringArray, path: pa.StringArray) -> pa.DoubleArray:
    """The value at a path as DOUBLE: a number, or a string that holds one. NULL for anything else."""

    def number(value: Json) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            return None
        found = float(value)
        return found if math.isfinite(found) else None

    return _map(json, path, pa.float64(), number)


@scalar_function(inputs=_INPUTS, returns=pa.bool_(), example="json_get_bool('{\"a\": true}', '$.a')")
def json_get_bool(json: pa.StringArray, path: pa.StringArray) -> pa.BooleanArray:
    """The value at a path as BOOLEAN: true, false, or a string that holds one of the two. NULL for anything else."""

    def boolean(value: Json) -> bool | None:
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value)
        return value if isinstance(value, bool) else None

    return _map(json, path, pa.bool_(), boolean)


@scalar_function(inputs=_INPUTS, returns=pa.bool_(), example="json_exists('{\"a\": null}', '$.a')")
def json_exists(json: pa.StringArray, path: pa.StringArray) -> pa.BooleanArray:
    """Whether the path leads to a value, JSON's null included. NULL when the text is not JSON."""
    return _map(json, path, pa.bool_(), lambda _value: True, missing=False)


@scalar_function(
    inputs=_INPUTS, returns=pa.int64(), defaults=["'$'"], example="json_array_length('{\"a\": [1, 2]}', '$.a') = 2"
)
def json_array_length(json: pa.StringArray, path: pa.StringArray) -> pa.Int64Array:
    """How many elements the array at a path has (default: the document itself). NULL for what is not an array."""
    return _map(json, path, pa.int64(), lambda value: len(value) if isinstance(value, list) else None)


def _as_json(value: Json) -> str:
    return orjson.dumps(value).decode()


def _map(
    json: pa.StringArray,
    path: pa.StringArray,
    returns: pa.DataType,
    convert: Callable[[Json], Any],
    *,
    missing: bool | None = None,
) -> Any:
    """``convert`` of the value at each row's path; ``missing`` where it leads nowhere."""

    def values() -> Iterator[Any]:
        for text, steps in zip(json.to_pylist(), _paths(path), strict=True):
            if text is None or steps is None:
                yield None
                continue
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError:
                yield None
                continue
            value = _at(value, steps)
            yield missing if value is _Missing else convert(value)

    return pa.array(values(), returns, size=len(json))


def _at(value: Any, steps: Path) -> Any:
    for step in steps:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step, _Missing)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return _Missing
    return value


def _paths(path: pa.StringArray) -> Iterable[Path | None]:
    """The steps of each row's path. A constant arrives as equal rows, so each distinct text is read once."""
    encoded = path.dictionary_encode()
    compiled = [_compile(text) for text in encoded.dictionary.to_pylist()]
    return (None if index is None else compiled[index] for index in encoded.indices.to_pylist())


@lru_cache(maxsize=1024)
def _compile(path: str) -> Path:
    """The steps of a path; raises ``InvalidParameter`` that says at which character it goes wrong."""
    # without the $ a path begins with its first step, a name without its dot
    prefix = "" if path.startswith(("$", "[")) else "."
    text = prefix + path
    place = 1 if path.startswith("$") else 0
    steps: list[str | int] = []
    while place < len(text):
        found = _SEGMENT.match(text, place)
        if found is None:
            raise InvalidParameter(
                f"JSON path {path!r} is malformed at character {max(place - len(prefix), 0) + 1}",
                hint="write a path such as $.a.b[0], and names with other characters as $['odd name']",
            )
        kind = found.lastgroup or ""
        step = found[kind]
        steps.append(int(step) if kind == "index" else step if kind == "name" else re.sub(r"\\(.)", r"\1", step))
        place = found.end()
    return tuple(steps)
