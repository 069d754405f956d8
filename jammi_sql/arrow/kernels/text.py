"""Text: what does not depend on a table of Unicode's, and upper and lower case of ASCII."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..expression import UnreadableExpression
from .entry import TEXTS, Build, Entry, by_kernel
from .operand import Operand, Undecided, called, constant, kernel_of

__all__ = ["TEXT"]

_LENGTH: dict[pa.DataType, pa.DataType] = {pa.string(): pa.int32(), pa.large_string(): pa.int64()}
_EMPTY = {type_: pa.scalar("", type_) for type_ in TEXTS}


def _ascii(function: str) -> Build:
    """Beyond ASCII the two libraries differ: one letter may become two, and a final sigma is another one."""

    def build(operands: Sequence[Operand]) -> Operand:
        evaluate = operands[0].evaluate
        kernel, is_ascii = kernel_of(function), kernel_of("string_is_ascii")

        def step(batch: pa.RecordBatch) -> Any:
            texts = evaluate(batch)
            if is_ascii([texts]).false_count:
                raise Undecided(f"{function} beyond ASCII")
            return kernel([texts])

        return Operand(operands[0].type, step)

    return build


def _joined(operands: Sequence[Operand]) -> Operand:
    type_ = operands[0].type
    if type_ not in TEXTS or any(operand.type != type_ for operand in operands):
        raise UnreadableExpression(f"no texts of one type: {[str(operand.type) for operand in operands]}")
    return called("binary_join_element_wise", type_, [*operands, constant(_EMPTY[type_])])


def _concat(operands: Sequence[Operand]) -> Operand:
    """NULL as nothing. The kernel's own way to skip it loses rows where all of a row is NULL."""
    joined = _joined(operands)
    empty = constant(_EMPTY[joined.type])
    return _joined([called("coalesce", joined.type, [operand, empty]) for operand in operands])


def _matching(function: str, options: Any) -> Build:
    """A kernel that looks for a literal, the second operand, in the first."""

    def build(operands: Sequence[Operand]) -> Operand:
        return called(function, pa.bool_(), operands[:1], options(_literal(operands[1])))

    return build


def _literal(operand: Operand) -> str:
    text = None if operand.literal is None else operand.literal.as_py()
    if not isinstance(text, str):
        raise UnreadableExpression("the text to look for is not a literal")
    return text


def _like(operands: Sequence[Operand]) -> Operand:
    text, pattern = operands[0], _literal(operands[1])
    function, options = _like_kernel(pattern, operands[1])
    if function == "equal":
        return called(function, pa.bool_(), [text, operands[1]])
    return called(function, pa.bool_(), [text], options)


def _like_kernel(pattern: str, operand: Operand) -> tuple[str, Any]:
    inner = pattern.strip("%")
    if not re.search(r"[%_\\]", inner):
        begins, ends = pattern.startswith("%"), pattern.endswith("%")
        if not (begins or ends):
            return "equal", None
        if begins and ends:
            return "match_substring", pc.MatchSubstringOptions(inner)
        return "ends_with" if begins else "starts_with", pc.MatchSubstringOptions(inner)
    return "match_substring_regex", pc.MatchSubstringOptions(_regex(pattern))


def _regex(pattern: str) -> str:
    """LIKE as a regular expression. A backslash stands for the character behind it, at the end for itself."""
    parts = []
    for token in re.findall(r"\\.|.", pattern, re.DOTALL):
        parts.append({"%": ".*", "_": "."}.get(token) or _quoted(token[-1]))
    return rf"(?s)\A{''.join(parts)}\z"


def _quoted(character: str) -> str:
    return character if character.isalnum() or ord(character) > 127 else rf"\x{ord(character):02x}"


TEXT = (
    Entry("like", (TEXTS, TEXTS), _like),
    Entry("contains", (TEXTS, TEXTS), _matching("match_substring", pc.MatchSubstringOptions), alike=False),
    Entry("ends_with", (TEXTS, TEXTS), _matching("ends_with", pc.MatchSubstringOptions), alike=False),
    Entry("lower", (TEXTS,), _ascii("ascii_lower")),
    Entry("upper", (TEXTS,), _ascii("ascii_upper")),
    Entry("character_length", (TEXTS,), by_kernel("utf8_length", _LENGTH)),
    Entry("octet_length", (TEXTS,), by_kernel("binary_length", _LENGTH)),
    Entry("btrim", (TEXTS,), by_kernel("utf8_trim", options=pc.TrimOptions(" "))),
    Entry("ltrim", (TEXTS,), by_kernel("utf8_ltrim", options=pc.TrimOptions(" "))),
    Entry("rtrim", (TEXTS,), by_kernel("utf8_rtrim", options=pc.TrimOptions(" "))),
    Entry("string_concat", None, _joined),
    Entry("concat", None, _concat),
)
