"""Expressions of DataFusion's, computed by pyarrow's kernels: a list of those for which both mean the same."""

from .listed import LISTED, compile_condition, compile_value
from .operand import Operand, Undecided

__all__ = ["LISTED", "Operand", "Undecided", "compile_condition", "compile_value"]
