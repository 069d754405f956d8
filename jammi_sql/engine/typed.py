"""Parameters with their types written into the text.

DataFusion puts values into a plan after it has chosen the casts of an INSERT: a bare placeholder among the values, or
an expression of one, would keep the type of its value.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ..dialect import placeholders, spliced
from ..dialect.statements import Fragment

if TYPE_CHECKING:
    from .session import Session

__all__ = ["cast_of", "type_name", "typed"]

_names: dict[pa.DataType, str] = {}
_lock = threading.Lock()


def typed(session: Session, fragment: Fragment, parameters: Mapping[str, pa.Scalar]) -> Fragment:
    """``fragment`` with each placeholder in ``arrow_cast``."""
    if not parameters:
        return fragment
    return spliced(
        fragment,
        [
            (start, end, cast_of(session, fragment.text[start:end], parameters[key]))
            for start, end, key in placeholders(fragment.text)
        ],
    )


def cast_of(session: Session, placeholder: str, value: pa.Scalar) -> str:
    """The placeholder of ``value`` as an expression of its type."""
    return f"arrow_cast({placeholder}, '{_type_name(session, value)}')" if value.is_valid else "NULL"


def type_name(session: Session, data_type: pa.DataType) -> str:
    """What ``arrow_cast`` calls a type, ready to stand between quotes."""
    return _type_name(session, pa.scalar(None, data_type))


def _type_name(session: Session, value: pa.Scalar) -> str:
    known = _names.get(value.type)
    if known is None:
        fragment = Fragment("arrow_typeof($1)", ((0, 0),))
        known = str(session.queries.evaluate(fragment, {"1": value}).as_py())
        with _lock:
            _names[value.type] = known
    return known.replace("'", "''")
