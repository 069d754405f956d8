"""Hive partitions: folders named ``key=value`` between an attached folder and its files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final
from urllib.parse import unquote

import pyarrow as pa

from ...errors import ProgrammingError

__all__ = ["partition_types", "partitions_of"]

Partitions = tuple[tuple[str, str | None], ...]
"""Keys and values as the path has them, ``None`` for NULL."""

_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
_WHOLE: Final = re.compile(r"-?\d{1,18}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def partitions_of(folders: Sequence[str]) -> Partitions:
    """Those in the folders that lead to a file."""
    found: list[tuple[str, str | None]] = []
    for folder in folders:
        key, sign, value = folder.partition("=")
        if sign and key:
            text = unquote(value)
            found.append((unquote(key), None if text == _NULL else text))
    return tuple(found)


def partition_types(files: Mapping[str, Partitions]) -> dict[str, pa.DataType]:
    """The columns that the partitions of all files (by path) make: ``int64``, ``date32`` or text.

    ``ProgrammingError`` (42804) where one file has other keys than the others.
    """
    paths = iter(files.items())
    first_path, first = next(paths)
    keys = [key for key, _ in first]
    if len(set(keys)) != len(keys):
        raise ProgrammingError(
            f"{first_path} has a partition key twice", sqlstate="42804", hint="attach it with hive_partitioning false"
        )
    for path, partitions in paths:
        if [key for key, _ in partitions] != keys:
            raise ProgrammingError(
                f"{path} has the partition keys ({', '.join(key for key, _ in partitions)}), "
                f"{first_path} has ({', '.join(keys)})",
                sqlstate="42804",
                hint="keep one folder with one order of keys, or attach with hive_partitioning false",
            )
    values = [{value for each in files.values() if (value := each[place][1]) is not None} for place in range(len(keys))]
    return {key: _type_of(found) for key, found in zip(keys, values, strict=True)}


def _type_of(values: set[str]) -> pa.DataType:
    if values and all(_WHOLE.fullmatch(value) for value in values):
        return pa.int64()
    if values and all(_is_date(value) for value in values):
        return pa.date32()
    return pa.string()


def _is_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
