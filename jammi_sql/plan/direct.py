"""Statements so plain that they need no planner: VALUES of literals and parameters, changes of one row by its key.

They are what programs send by the thousand. What is recognised here is a small part of SQL in which nothing depends on
coercion rules: everything else, and every value that is not plainly of its column's type, is left to DataFusion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pyarrow import types

from ..dialect import statements
from ..dialect.keywords import RESERVED, words
from ..dialect.statements import Fragment

__all__ = [
    "Addition",
    "Constant",
    "DirectChange",
    "DirectSelect",
    "Placeholder",
    "array_of",
    "arrays_of",
    "direct_delete",
    "direct_select",
    "direct_update",
    "repeated",
    "rows_of",
]


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A parameter's place."""

    key: str


Constant = int | float | str | bool | None
"""A literal as DataFusion reads it: BIGINT, DOUBLE, VARCHAR, BOOLEAN or NULL."""
Value = Constant | Placeholder


@dataclass(frozen=True, slots=True)
class Addition:
    """``column + value`` or ``column - value``."""

    column: str
    value: Value
    negative: bool


@dataclass(frozen=True, slots=True)
class DirectChange:
    """UPDATE or DELETE of the row with a key: the new values by column, the key's values by column."""

    assignments: tuple[tuple[str, Value | Addition], ...]
    key: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class DirectSelect:
    """SELECT of the row with a key: columns of a table, all of them for ``None``, and the key's values by column."""

    table: tuple[str, ...]
    columns: tuple[str, ...] | None
    key: tuple[tuple[str, Value], ...]


_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_LITERAL = (
    rf"(?P<number>{_NUMBER}(?![\w.$]))|(?P<text>'[^']*(?:''[^']*)*')|(?P<word>(?i:NULL|TRUE|FALSE)(?![\w.$]))"
    r"|\$(?P<key>\w+)"
)
_SPACE = r"[ \t\r\n]*"
_ROW_PART = re.compile(rf"{_SPACE}(?:(?P<mark>[(),])|{_LITERAL})")
_VALUES = re.compile(rf"{_SPACE}VALUES(?=[\s(])", re.IGNORECASE)
_END = re.compile(rf"{_SPACE}\Z")
_NAME = r"(?:(?P<owner>[a-z_][a-z0-9_]*)\.)?(?P<name>[a-z_][a-z0-9_]*)"
_ONE = re.compile(rf"{_SPACE}(?:{_LITERAL}){_SPACE}")
_ADDED = re.compile(rf"{_SPACE}{_NAME}{_SPACE}(?P<sign>[+-])(?={_SPACE}[\d.$'])")
_EQUAL = re.compile(rf"{_SPACE}{_NAME}{_SPACE}={_SPACE}(?:{_LITERAL}){_SPACE}")
_WORD = r"[a-z_][a-z0-9_]*"
_SELECTED = re.compile(
    rf"{_SPACE}(?i:SELECT)\s+(?P<columns>\*|{_WORD}(?:{_SPACE},{_SPACE}{_WORD})*)\s+(?i:FROM)\s+"
    rf"(?P<table>{_WORD}(?:\.{_WORD}){{0,2}})\s+(?i:WHERE)(?=\s)",
    re.ASCII,
)
_AND = re.compile(r"AND(?=[\s])", re.IGNORECASE)
_WORDS: Final[Mapping[str, bool | None]] = {"NULL": None, "TRUE": True, "FALSE": False}
_INT64 = range(-(2**63) + 1, 2**63)  # the least one is written as a minus before what is too great
_LONGEST_INTEGER = 24
_EXACT = 2**53
# Words that DataFusion does not take for a column, or not everywhere.
_KEYWORDS = {
    word.lower()
    for word in RESERVED
    | words(
        """
        COLLATE CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER
        DEFAULT EXTRACT IF ILIKE LOCALTIME LOCALTIMESTAMP MAP OVERLAY POSITION SESSION_USER SIMILAR SOME STRUCT SUBSTRING
        TRIM TRY_CAST USER
        """
    )
}


class _TooMuch(Exception):
    """The text is more than what is read here."""


def _value(found: re.Match[str]) -> Value:
    match found.lastgroup:
        case "text":
            return found["text"][1:-1].replace("''", "'")
        case "key":
            return Placeholder(found["key"])
        case "word":
            return _WORDS[found["word"].upper()]
        case _:
            text = found["number"]
            if text.lstrip("+-").isdigit():
                number = int(text) if len(text) <= _LONGEST_INTEGER else _INT64.stop
                if number not in _INT64:
                    raise _TooMuch
                return number
            return float(text)


# --- statements ---


def rows_of(source: Fragment, columns: int) -> list[list[Value]] | None:
    """``VALUES (...), ...`` of literals and parameters, column by column; ``None`` for any other source."""
    text = source.text
    begin = _VALUES.match(text)
    if begin is None:
        return None
    found: list[list[Value]] = [[] for _ in range(columns)]
    position, place, inside, expects = begin.end(), 0, False, "("
    matcher = _ROW_PART.match
    try:
        while (part := matcher(text, position)) is not None:
            mark = part["mark"]
            if mark is None:
                if expects != "value" or place >= columns:
                    return None
                found[place].append(_value(part))
                place, expects = place + 1, ",)"
            elif mark not in expects:
                return None
            elif mark == "(":
                inside, place, expects = True, 0, "value"
            elif mark == ")":
                if place != columns:
                    return None
                inside, expects = False, ","
            else:
                expects = "value" if inside else "("
            position = part.end()
    except _TooMuch:
        return None
    complete = not inside and expects == "," and _END.match(text, position)
    return found if complete else None


def direct_update(statement: statements.Update) -> DirectChange | None:
    """``UPDATE t SET column = value | column + value, ... WHERE column = value AND ...``; ``None`` for another one."""
    if statement.source is not None or statement.returning is not None or statement.condition is None:
        return None
    names = _names(statement.target, statement.alias)
    try:
        key = _equalities(statement.condition.text, names)
        assignments: list[tuple[str, Value | Addition]] = []
        for assignment in statement.assignments:
            if assignment.value is None:
                return None
            assignments.append((assignment.column, _assigned(assignment.value.text, names)))
    except _TooMuch:
        return None
    return DirectChange(tuple(assignments), key)


def direct_delete(statement: statements.Delete) -> DirectChange | None:
    """``DELETE FROM t WHERE column = value AND ...``; ``None`` for another one."""
    if statement.source is not None or statement.returning is not None or statement.condition is None:
        return None
    try:
        return DirectChange((), _equalities(statement.condition.text, _names(statement.target, statement.alias)))
    except _TooMuch:
        return None


def direct_select(text: str) -> DirectSelect | None:
    """``SELECT columns FROM t WHERE column = value AND ...``; ``None`` for another one."""
    found = _SELECTED.match(text)
    if found is None:
        return None
    table = tuple(found["table"].split("."))
    columns = None if found["columns"] == "*" else tuple(name.strip() for name in found["columns"].split(","))
    if columns is not None and (len(set(columns)) != len(columns) or not _KEYWORDS.isdisjoint(columns)):
        return None
    try:
        key = _equalities(text[found.end() :], (table[-1],))
    except _TooMuch:
        return None
    return None if not _KEYWORDS.isdisjoint(table) else DirectSelect(table, columns, key)


def _names(target: statements.Name, alias: str | None) -> tuple[str, ...]:
    return (alias or target.parts[-1],)


def _equalities(text: str, names: Sequence[str]) -> tuple[tuple[str, Value], ...]:
    found: dict[str, Value] = {}
    position = 0
    while True:
        equal = _EQUAL.match(text, position)
        if equal is None or equal["name"] in _KEYWORDS or equal["name"] in found:
            raise _TooMuch
        if equal["owner"] not in (None, *names):
            raise _TooMuch
        found[equal["name"]] = _value(equal)
        position = equal.end()
        if position == len(text):
            return tuple(found.items())
        conjunction = _AND.match(text, position)
        if conjunction is None:
            raise _TooMuch
        position = conjunction.end()


def _assigned(text: str, names: Sequence[str]) -> Value | Addition:
    one = _ONE.fullmatch(text)
    if one is not None:
        return _value(one)
    added = _ADDED.match(text)
    if added is None or added["name"] in _KEYWORDS or added["owner"] not in (None, *names):
        raise _TooMuch
    value = _ONE.fullmatch(text, added.end())
    if value is None:
        raise _TooMuch
    return Addition(added["name"], _value(value), added["sign"] == "-")


# --- values ---


def arrays_of(
    values: Sequence[Sequence[Value]], fields: Sequence[pa.Field], parameters: Mapping[str, pa.Scalar]
) -> list[pa.Array] | None:
    """The values of each column as an array of its type; ``None`` where one is not plainly of that type.

    The types of VALUES depend on all of its rows: a column of numbers and texts is one of texts. So all values of a
    column must be of the kind that its type is.
    """
    arrays: list[pa.Array] = []
    for column, field in zip(values, fields, strict=True):
        array = array_of(column, field.type, parameters)
        if array is None:
            return None
        arrays.append(array)
    return arrays


def array_of(values: Sequence[Value], data_type: pa.DataType, parameters: Mapping[str, pa.Scalar]) -> pa.Array | None:
    """As ``arrays_of``, of one column."""
    if len(values) == 1 and isinstance(values[0], Placeholder):
        scalar = parameters[values[0].key]
        if scalar.type.equals(data_type):
            one: pa.Array = pa.repeat(scalar, 1)  # type: ignore[call-overload] # the stubs list each class of scalar
            return one
    plain: list[Any] = []
    for value in values:
        if isinstance(value, Placeholder):
            scalar = parameters[value.key]
            if scalar.type not in _PARAMETERS:
                return None
            value = scalar.as_py()  # noqa: PLW2901
        plain.append(value)
    kinds = {type(value) for value in plain} - {type(None)}
    try:
        if types.is_signed_integer(data_type) or types.is_unsigned_integer(data_type):
            return pa.array(plain, data_type) if kinds <= {int} else None
        if types.is_float64(data_type) and kinds <= {int, float}:
            if int in kinds and any(isinstance(value, int) and abs(value) > _EXACT for value in plain):
                return None
            return pa.array([None if value is None else float(value) for value in plain], data_type)
        if types.is_string(data_type) or types.is_large_string(data_type):
            return pa.array(plain, data_type) if kinds <= {str} else None
        if types.is_boolean(data_type):
            return pa.array(plain, data_type) if kinds <= {bool} else None
        nothing: pa.Array = pa.nulls(len(plain), data_type)  # type: ignore[call-overload] # as above
        return None if kinds else nothing
    except (pa.ArrowInvalid, OverflowError):
        return None


def repeated(value: Value, field: pa.Field, rows: pa.RecordBatch) -> pa.Array | None:
    """As ``arrays_of``, for a value that is a parameter's column in ``rows``, or the same in each of them."""
    if not isinstance(value, Placeholder):
        one = array_of([value], field.type, {})
        return None if one is None else pa.repeat(one[0], rows.num_rows)
    array: pa.Array = rows.column(value.key)
    if array.type.equals(field.type):
        return array
    if not types.is_int64(array.type):
        return None
    if types.is_float64(field.type) or types.is_integer(field.type):
        try:
            return array.cast(field.type)  # safe: a number that does not fit exactly is an error
        except pa.ArrowInvalid:
            return None
    return None


_PARAMETERS = frozenset({pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.null()})
