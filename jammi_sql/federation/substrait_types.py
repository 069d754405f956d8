"""Types and values in the JSON of Substrait plans, as DataFusion writes and reads it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from .said import NotSaid

__all__ = ["arrow_type", "emitted", "literal", "names_of", "substrait_type"]

Json = dict[str, Any]
_NULLABLE = {"nullability": "NULLABILITY_NULLABLE"}
_UNSIGNED, _LARGE, _VIEW, _DECIMAL_256 = 1, 1, 2, 1
# The name in Substrait, and the variation, of types that have no parameters.
_SIMPLE: Mapping[tuple[str, int], pa.DataType] = {
    ("bool", 0): pa.bool_(),
    ("i8", 0): pa.int8(),
    ("i16", 0): pa.int16(),
    ("i32", 0): pa.int32(),
    ("i64", 0): pa.int64(),
    ("i8", _UNSIGNED): pa.uint8(),
    ("i16", _UNSIGNED): pa.uint16(),
    ("i32", _UNSIGNED): pa.uint32(),
    ("i64", _UNSIGNED): pa.uint64(),
    ("fp32", 0): pa.float32(),
    ("fp64", 0): pa.float64(),
    ("string", 0): pa.string(),
    ("string", _LARGE): pa.large_string(),
    ("string", _VIEW): pa.string_view(),
    ("binary", 0): pa.binary(),
    ("binary", _LARGE): pa.large_binary(),
    ("binary", _VIEW): pa.binary_view(),
    ("date", 0): pa.date32(),
}
_NAMES = {data_type: key for key, data_type in _SIMPLE.items()}
_UNITS = {0: "s", 3: "ms", 6: "us", 9: "ns"}
_PRECISIONS = {unit: precision for precision, unit in _UNITS.items()}


def emitted(body: Json) -> list[int] | None:
    """Which of its columns a relation gives, in order; ``None``: all. An empty list is left out of the JSON."""
    emit = body.get("common", {}).get("emit")
    return None if emit is None else [int(place) for place in emit.get("outputMapping", ())]


def arrow_type(json: Json) -> Any:
    """The Arrow type; ``NotSaid`` for those that are not known here."""
    ((kind, details),) = json.items()
    variation = int(details.get("typeVariationReference", 0))
    simple = _SIMPLE.get((kind, variation))
    if simple is not None:
        return simple
    match kind:
        case "decimal":
            make = pa.decimal256 if variation == _DECIMAL_256 else pa.decimal128
            return make(int(details.get("precision", 0)), int(details.get("scale", 0)))
        case "precisionTimestamp":
            return pa.timestamp(_UNITS[int(details.get("precision", 0))])
        case "precisionTimestampTz":
            return pa.timestamp(_UNITS[int(details.get("precision", 0))], "UTC")
    raise NotSaid(f"values of {kind} are computed here")


def substrait_type(data_type: Any, *, nullable: bool = True) -> Json:
    """The type as DataFusion reads it; ``NotSaid`` where Substrait has none for it."""
    about = {"nullability": "NULLABILITY_NULLABLE" if nullable else "NULLABILITY_REQUIRED"}
    simple = _NAMES.get(data_type)
    if simple is not None:
        kind, variation = simple
        return {kind: {**about, **({"typeVariationReference": variation} if variation else {})}}
    types = pa.types
    if types.is_decimal(data_type):
        wide = {"typeVariationReference": _DECIMAL_256} if types.is_decimal256(data_type) else {}
        return {"decimal": {"precision": data_type.precision, "scale": data_type.scale, **wide, **about}}
    if types.is_timestamp(data_type):
        kind = "precisionTimestamp" if data_type.tz is None else "precisionTimestampTz"
        if data_type.tz in (None, "UTC"):
            return {kind: {"precision": _PRECISIONS[data_type.unit], **about}}
    if types.is_list(data_type) or types.is_large_list(data_type):
        large = {"typeVariationReference": _LARGE} if types.is_large_list(data_type) else {}
        return {"list": {"type": substrait_type(data_type.value_type), **large, **about}}
    if types.is_struct(data_type):
        return {"struct": {"types": [substrait_type(field.type) for field in data_type], **about}}
    raise NotSaid(f"a plan with {data_type} cannot be cut")


def names_of(field: pa.Field) -> list[str]:
    """The names of a column and of the fields in it, depth first."""
    names = [field.name]
    data_type: Any = field.type
    if pa.types.is_struct(data_type):
        names += [name for inner in data_type for name in names_of(inner)]
    elif pa.types.is_list(data_type) or pa.types.is_large_list(data_type):
        names += names_of(data_type.value_field)[1:]
    return names


def literal(json: Json) -> pa.Scalar:
    """The value of a literal; ``NotSaid`` for kinds that are not known here."""
    values = {key: value for key, value in json.items() if key not in ("nullable", "typeVariationReference")}
    ((kind, value),) = values.items()
    variation = int(json.get("typeVariationReference", 0))
    if kind == "null":
        return pa.scalar(None, pa.null() if "userDefined" in value else arrow_type(value))
    kind = {"boolean": "bool"}.get(kind, kind)
    simple = _SIMPLE.get((kind, variation))
    if simple is not None:
        return _simple(kind, simple, value)
    match kind:
        case "decimal":
            precision, scale = int(value.get("precision", 0)), int(value.get("scale", 0))
            number = int.from_bytes(base64.b64decode(value["value"]), "little", signed=True)
            make = pa.decimal128 if precision <= 38 else pa.decimal256
            return pa.array([number], make(precision, 0)).view(make(precision, scale))[0]
        case "precisionTimestamp" | "precisionTimestampTz":
            unit = _UNITS[int(value.get("precision", 0))]
            zone = None if kind == "precisionTimestamp" else "UTC"
            data_type: Any = pa.timestamp(unit, zone)
            return pa.scalar(int(value.get("value", 0)), pa.int64()).cast(data_type)
    raise NotSaid(f"a literal of {kind} is computed here")


def _simple(kind: str, data_type: Any, value: Any) -> pa.Scalar:
    if kind in ("fp32", "fp64"):
        return pa.scalar(float(str(value).replace("Infinity", "inf")), data_type)
    if kind == "binary":
        return pa.scalar(base64.b64decode(value), data_type)
    if kind == "date":
        return pa.scalar(int(value), pa.int32()).cast(data_type)
    if kind.startswith("i"):
        return pa.scalar(int(value), data_type)
    return pa.scalar(value, data_type)
