"""Python values on their way in: parameters as Arrow scalars and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from ..errors import DataError, NumericValueOutOfRange, ProgrammingError
from ..tenancy import TenantId

__all__ = ["column", "scalar"]

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)
_MICROSECONDS = pa.timestamp("us")
_INSTANT = pa.timestamp("us", "UTC")
_DECIMAL_DIGITS = 76  # of decimal256, the widest that Arrow has

_PLAIN_TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
    bytearray: pa.binary(),
    memoryview: pa.binary(),
    date: pa.date32(),
    timedelta: pa.duration("us"),
}


def scalar(value: object, label: str) -> Any:
    """One parameter as the ``pyarrow.Scalar`` that it stands for; ``label`` names it in errors.

    ``None`` is null, ``int`` is ``int64``, above that ``uint64``, above that a decimal; ``datetime`` is
    ``timestamp[us]``, an aware one ``timestamp[us, UTC]``; ``UUID`` and ``TenantId`` are text, an ``Enum`` is its
    value; numpy and pandas values keep their width; ``list``, ``tuple`` and arrays are lists, mappings are structs.

    Raises ``ProgrammingError`` (07006) for a type that has no place in a statement, ``NumericValueOutOfRange``
    (22003) and ``DataError`` (22000) for a value that no Arrow type holds.
    """
    try:
        return _scalar(value)
    except _Unknown as unknown:
        raise ProgrammingError(
            f"{label} is of type {unknown}, which is no SQL value", sqlstate="07006", hint="convert it to str or bytes"
        ) from None
    except (OverflowError, _OutOfRange) as error:
        raise NumericValueOutOfRange(f"{label} is out of range: {error}") from error
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"{label} cannot be converted: {error}") from error


def column(values: Sequence[object], label: str) -> Any:
    """The values of one parameter over many rows as a ``pyarrow.Array``, in the narrowest type that holds them all.

    ``int`` beside ``float`` is ``float64``, ``None`` fits everything; types without a common one are ``DataError``.
    """
    if (plain := _plain_type(values)) is not None:
        try:
            return pa.array(values, type=plain)
        except (pa.ArrowException, ValueError, OverflowError):
            pass  # one value is out of range: the way below names it, or finds a wider type
    scalars = [scalar(value, f"{label} of row {row}") for row, value in enumerate(values)]
    types = {item.type for item in scalars if item.is_valid}
    try:
        if len(types) > 1 and all(pa.types.is_integer(kind) or pa.types.is_decimal(kind) for kind in types):
            # Arrow's promotion makes int64 of int64 and uint64, and a decimal of too few digits of int64 and decimal.
            return pa.array([Decimal(item.as_py()) if item.is_valid else None for item in scalars])
        target = _common_type(scalars, label)
        if pa.types.is_nested(target):  # pa.array takes no scalars of these
            parts = [pa.repeat(item.cast(target), 1) if item.is_valid else pa.nulls(1, target) for item in scalars]
            return pa.concat_arrays(parts)
        return pa.array([item.cast(target) if item.is_valid else pa.scalar(None, target) for item in scalars], target)
    except pa.ArrowException as error:
        raise DataError(f"{label} has values that no one type holds: {error}") from error


def _plain_type(values: Sequence[object]) -> pa.DataType | None:
    """The type of values that pyarrow converts by itself as ``scalar`` would, a hundred times faster."""
    kinds = {type(value) for value in values}
    kinds.discard(type(None))
    if kinds == {datetime}:
        naive = {value.tzinfo is None for value in values if isinstance(value, datetime)}
        return None if len(naive) > 1 else _MICROSECONDS if naive == {True} else _INSTANT
    if kinds == {int, float}:
        return pa.float64()
    return _PLAIN_TYPES.get(kinds.pop()) if len(kinds) == 1 else None


class _Unknown(Exception):
    """A type without a counterpart in SQL."""


class _OutOfRange(Exception):
    """A number that no Arrow type holds."""


def _scalar(value: Any) -> Any:
    if isinstance(value, pa.Scalar):
        return value
    plain = _PLAIN_TYPES.get(type(value))
    if plain is not None and not (plain == pa.int64() and value not in _INT64):
        return pa.scalar(value, type=plain)
    value = _simplified(value)
    if value is None or isinstance(value, pa.Scalar):
        return pa.scalar(None, pa.null()) if value is None else value
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return pa.scalar(value, type=_MICROSECONDS if value.tzinfo is None else _INSTANT)
    if isinstance(value, (str, bool, float, bytes, date, time, timedelta, np.generic)):
        return pa.scalar(value)  # type: ignore[arg-type]
    if isinstance(value, np.ndarray):
        return pa.scalar(value) if value.ndim == 1 else pa.scalar(_nested(value.tolist()))
    if isinstance(value, (list, tuple, Mapping)):
        return pa.scalar(_nested(value))
    raise _Unknown(f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins."))


def _simplified(value: Any) -> Any:
    """Classes of our own, of the standard library and of pandas as what they stand for."""
    if isinstance(value, Enum):
        return _simplified(value.value)
    if isinstance(value, (UUID, TenantId)):
        return str(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, time) and value.tzinfo is not None:
        raise ValueError("a time with a zone has no SQL type; give a datetime, or a time without one")
    if type(value).__module__.partition(".")[0] == "pandas":
        return _from_pandas(value)
    return value


def _from_pandas(value: Any) -> Any:
    # Not imported: whoever passes such a value has pandas. NaT is a datetime to isinstance, and Timestamp and Timedelta
    # hold nanoseconds, which Arrow would drop when it takes them for their base classes.
    name = type(value).__name__
    if name in {"NaTType", "NAType"}:
        return None
    if name == "Timestamp":
        return pa.scalar(value.value if value.unit == "ns" else value.as_unit("ns").value, pa.int64()).cast(
            pa.timestamp("ns", "UTC" if value.tzinfo is not None else None)
        )
    if name == "Timedelta":
        return value.to_timedelta64()
    return value


def _integer(value: int) -> pa.Scalar[Any]:
    if value in _INT64:
        return pa.scalar(value, type=pa.int64())
    if value in _UINT64:
        return pa.scalar(value, type=pa.uint64())
    return _decimal(Decimal(value))


def _decimal(value: Decimal) -> pa.Scalar[Any]:
    if not value.is_finite():
        raise _OutOfRange(f"a decimal cannot be {value}")
    digits, exponent = value.as_tuple().digits, int(value.as_tuple().exponent)
    if max(len(digits) + max(exponent, 0), -exponent) > _DECIMAL_DIGITS:
        raise _OutOfRange(f"{value:.6g} has more than {_DECIMAL_DIGITS} digits")
    return pa.scalar(value)


def _nested(value: Any) -> Any:
    """A list or mapping whose leaves are what pyarrow can infer a type for."""
    if isinstance(value, (list, tuple)):
        return [_nested(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _nested(item) for key, item in value.items()}
    value = _simplified(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)  # else the whole list would take the zone of its first item
    return value


def _common_type(scalars: Sequence[Any], label: str) -> Any:
    common: Any = pa.null()
    for row, item in enumerate(scalars):
        kinds = (common, item.type)
        try:
            if set(kinds) == {pa.string(), pa.binary()}:
                raise pa.ArrowTypeError("Arrow would call both bytes")
            schemas = [pa.schema([pa.field("value", kind)]) for kind in kinds]
            common = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        except pa.ArrowException:
            raise DataError(
                f"{label} is {item.type} in row {row} and {common} before it", hint="give every row the same type"
            ) from None
    return common
