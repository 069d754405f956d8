"""The plain values under an extension, a dictionary or a view."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import types

from .operand import Operand, called

__all__ = ["stored", "widened"]


def stored(operand: Operand) -> Operand:
    """``operand`` without an extension or a dictionary around it."""
    type_: Any = operand.type
    evaluate = operand.evaluate
    if isinstance(type_, pa.BaseExtensionType):
        return Operand(type_.storage_type, lambda batch: evaluate(batch).storage)
    if types.is_dictionary(type_) and operand.literal is None:
        return Operand(type_.value_type, lambda batch: evaluate(batch).dictionary_decode())
    return operand


def widened(operand: Operand) -> Operand:
    """Text and binary in views, which have no kernels, as large ones."""
    if types.is_string_view(operand.type):
        return called("cast", pa.large_string(), [operand], pa.compute.CastOptions.safe(pa.large_string()))
    if types.is_binary_view(operand.type):
        return called("cast", pa.large_binary(), [operand], pa.compute.CastOptions.safe(pa.large_binary()))
    return operand
