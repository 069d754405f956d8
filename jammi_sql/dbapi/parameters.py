"""Parameters of a statement: what the user gave, matched with the keys that the statement asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from ..arrow.batches import as_reader, is_arrow, reading
from ..errors import ProgrammingError
from .scalars import column, scalar

__all__ = ["bind", "bind_many"]

_WRONG_NUMBER = "07001"  # of SQL:2023, "using clause does not match dynamic parameter specifications"
_BATCH_ROWS = 65_536


def bind(keys: Sequence[str], parameters: object) -> dict[str, Any]:
    """One set of parameters as a ``pyarrow.Scalar`` per key.

    ``parameters`` is a sequence for ``?`` and ``$1``, a mapping for ``:name`` and ``$name`` (which may hold more than
    is asked for), Arrow data of one row for either, or ``None`` for a statement without any.
    Raises ``ProgrammingError`` 07001 when number or style are wrong, and what ``scalars.scalar`` raises.
    """
    if parameters is None and not keys:
        return {}
    if is_arrow(parameters):
        with reading():
            table = as_reader(parameters).read_all()
        if table.num_rows != 1:
            raise ProgrammingError(
                f"one row of parameters is expected, {table.num_rows} are given",
                sqlstate=_WRONG_NUMBER,
                hint="use executemany() to run the statement once per row",
            )
        return {key: table.column(index)[0] for key, index in _columns(keys, table.column_names).items()}
    values = _one_set(keys, parameters)
    return {key: scalar(value, _label(key)) for key, value in zip(keys, values, strict=True)}


def bind_many(keys: Sequence[str], parameters: object) -> pa.RecordBatchReader:
    """Many sets of parameters as batches whose columns are named by ``keys``.

    ``parameters`` is Arrow data, which is read as it is needed, or an iterable of what ``bind`` takes. The columns of
    Arrow data are taken by place for ``?`` and ``$1``, by name for ``:name``.
    """
    if not keys:
        raise ProgrammingError(
            "the statement takes no parameters, so it cannot run once per set of them",
            sqlstate=_WRONG_NUMBER,
            hint="use execute()",
        )
    if is_arrow(parameters):
        return _renamed(keys, as_reader(parameters))
    if isinstance(parameters, (str, bytes, Mapping)) or not isinstance(parameters, Iterable):
        raise _no_parameters(parameters, "an iterable of sequences or mappings, or Arrow data")
    with reading():
        sets = [_one_set(keys, item) for item in parameters]
    by_key = zip(*sets, strict=True) if sets else ([] for _ in keys)
    columns = [column(list(values), _label(key)) for key, values in zip(keys, by_key, strict=True)]
    table = pa.Table.from_arrays(columns, names=list(keys))
    return table.to_reader(max_chunksize=_BATCH_ROWS)


def _one_set(keys: Sequence[str], parameters: object) -> list[object]:
    if parameters is None:
        parameters = ()
    if not isinstance(parameters, (tuple, list)):  # asked first: to ask an abstract class takes ten times as long
        if isinstance(parameters, Mapping):
            if keys and _positional(keys):
                raise _wrong(keys, "a mapping is given")
            if missing := [key for key in keys if key not in parameters]:
                raise _wrong(keys, f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
            return [parameters[key] for key in keys]
        if isinstance(parameters, (str, bytes, bytearray, memoryview)) or not isinstance(
            parameters, (Sequence, np.ndarray)
        ):
            raise _no_parameters(parameters, "a sequence or a mapping")
    if keys and not _positional(keys):
        raise _wrong(keys, "a sequence is given")
    if len(parameters) != _count(keys):
        raise _wrong(keys, f"{len(parameters)} {'is' if len(parameters) == 1 else 'are'} given")
    return [parameters[int(key) - 1] for key in keys]


def _columns(keys: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Where in Arrow data with columns ``names`` each key is found."""
    if _positional(keys):
        if len(names) != _count(keys):
            raise _wrong(keys, f"the data has {len(names)} column{'' if len(names) == 1 else 's'}")
        return {key: int(key) - 1 for key in keys}
    if missing := [key for key in keys if list(names).count(key) != 1]:
        raise _wrong(keys, f"the data has {', '.join(names) or 'no columns'}, so not one column each for {missing}")
    return {key: list(names).index(key) for key in keys}


def _renamed(keys: Sequence[str], reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    places = _columns(keys, reader.schema.names)
    schema = pa.schema([reader.schema.field(index).with_name(key) for key, index in places.items()])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield pa.RecordBatch.from_arrays([batch.column(index) for index in places.values()], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


@lru_cache(maxsize=512)
def _positional(keys: Sequence[str]) -> bool:
    return all(key.isdecimal() for key in keys)


@lru_cache(maxsize=512)
def _count(keys: Sequence[str]) -> int:
    return max((int(key) for key in keys), default=0)


def _label(key: str) -> str:
    return f"parameter {key}" if key.isdecimal() else f"parameter :{key}"


def _wrong(keys: Sequence[str], given: str) -> ProgrammingError:
    if not keys:
        return ProgrammingError(f"the statement takes no parameters, {given}", sqlstate=_WRONG_NUMBER)
    if _positional(keys):
        count = _count(keys)
        return ProgrammingError(
            f"the statement takes {count} parameter{'' if count == 1 else 's'}, {given}",
            sqlstate=_WRONG_NUMBER,
            hint=f"give a sequence of {count}",
        )
    names = ", ".join(f":{key}" for key in keys)
    return ProgrammingError(
        f"the statement takes the parameters {names}; {given}", sqlstate=_WRONG_NUMBER, hint="give a mapping by name"
    )


def _no_parameters(parameters: object, expected: str) -> ProgrammingError:
    return ProgrammingError(
        f"parameters are {expected}, not {type(parameters).__name__}",
        sqlstate=_WRONG_NUMBER,
        hint="a single value is written (value,)",
    )
