"""A ``pyarrow.compute.Expression`` as a tree that can be walked.

DataFusion hands filters to a Dataset provider in this form, and pyarrow offers no way to look inside. Of the two
serialised forms, Substrait (``Expression.to_substrait``) is the documented one, but it needs a Protobuf decoder and
refuses what DataFusion sends: comparisons of half floats, lists and structs, timestamps in nanoseconds, durations. So
the form is read that pickling uses: an Arrow IPC file whose one row holds the literals and whose schema metadata lists
the calls in prefix order. The metadata repeats its keys, which pyarrow's own accessor folds into a dict, hence the C
data interface. Whatever does not look as expected is an error, so a change of the form cannot change rows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InternalError
from .order import Kind, Orderable, order_key, order_keys, order_kind

__all__ = [
    "MIRRORED",
    "Call",
    "Field",
    "Literal",
    "Membership",
    "Node",
    "Pushed",
    "UnreadableExpression",
    "chain",
    "columns_of",
    "comparison",
    "read_expression",
    "renamed",
]

Pushed: TypeAlias = "pc.Expression | pa.Scalar[Any] | bool | Node | None"
"""What DataFusion passes as a filter: where it folds to a constant, a scalar instead of an expression. A tree is one that was
read already."""


class UnreadableExpression(InternalError):
    """An expression that this package does not understand. A pushed filter MUST NOT be ignored: wrong rows."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value; ``kind`` is ``None`` for types without ``int`` or ``bytes`` keys, ``key`` for NULL."""

    value: pa.Scalar[Any]
    kind: Kind | None = field(init=False, compare=False)
    key: Orderable | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", order_kind(self.value.type))
        object.__setattr__(self, "key", order_key(self.value))


@dataclass(frozen=True, slots=True)
class Membership:
    """``operand IN (values)``, by identity of the values: -0.0 is not 0.0 here. ``keys`` are sorted, without NULL."""

    operand: Node
    values: pa.Array[Any]
    kind: Kind | None = field(init=False, compare=False)
    keys: tuple[Orderable, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", order_kind(self.values.type))
        object.__setattr__(self, "keys", tuple(sorted(key for key in order_keys(self.values) if key is not None)))


@dataclass(frozen=True, slots=True)
class Call:
    """A function of ``arrow.kernels``' list, such as ``equal`` or ``and_kleene``, of arguments.

    In comparisons of a literal with something else the literal stands on the right. A cast has a NULL of the type to
    cast to as its second argument.
    """

    function: str
    arguments: tuple[Node, ...]


Node = Field | Literal | Membership | Call


def columns_of(node: Node) -> frozenset[str]:
    """The columns that an expression reads."""
    match node:
        case Field(name):
            return frozenset((name,))
        case Membership(operand):
            return columns_of(operand)
        case Call(_, arguments):
            return frozenset[str]().union(*map(columns_of, arguments))
        case Literal():
            return frozenset()


def renamed(node: Node, names: Mapping[str, str]) -> Node:
    """The same over columns that are called otherwise."""
    match node:
        case Field(name):
            return Field(names[name])
        case Membership(operand, values):
            return Membership(renamed(operand, names), values)
        case Call(function, arguments):
            return Call(function, tuple(renamed(argument, names) for argument in arguments))
        case Literal():
            return node


MIRRORED = {
    "equal": "equal",
    "not_equal": "not_equal",
    "less": "greater",
    "less_equal": "greater_equal",
    "greater": "less",
    "greater_equal": "less_equal",
}
"""The comparison that means the same with its sides exchanged."""
_CHAINS = frozenset({"and_kleene", "or_kleene"})
"""Functions of two arguments that mean the same however a chain of them is nested."""
_FUNCTIONS = {
    **dict.fromkeys(MIRRORED, 2),
    **dict.fromkeys(("and_kleene", "or_kleene"), 2),
    **dict.fromkeys(("invert", "is_null", "is_valid"), 1),
}


def read_expression(expression: Pushed) -> Node:
    """The tree of a pushed filter; ``None`` (no filter) and ``True`` read as the literal TRUE.

    Raises ``UnreadableExpression``, for nested field references and functions that DataFusion does not push today.
    """
    if expression is None:
        return Literal(pa.scalar(True))
    if isinstance(expression, bool):
        return Literal(pa.scalar(expression))
    if isinstance(expression, pa.Scalar):
        return Literal(expression)
    if isinstance(expression, Field | Literal | Membership | Call):
        return expression
    try:
        serialised: Any = expression.__reduce__()[1][0]
        reader = pa.ipc.open_file(serialised)
        literals = reader.get_batch(0)
        entries = iter(_metadata(reader.schema))
        return _read(entries, literals)
    except (pa.ArrowException, ValueError, TypeError, KeyError, IndexError, StopIteration) as error:
        raise UnreadableExpression(f"cannot read the pushed filter {expression}: {error}") from error


@dataclass(slots=True)
class _OpenCall:
    """A call whose end is still to come. ``arguments`` has those of calls within of the same chain in their places."""

    function: str
    arguments: list[Node] = field(default_factory=list)
    own_arguments: int = 0
    options: pa.StructScalar | None = None


def _read(entries: Iterator[tuple[str, str]], literals: pa.RecordBatch) -> Node:
    # Not recursive: DataFusion nests `a AND b AND c ...` as deep as it is long.
    whole = _OpenCall("")
    open_calls = [whole]
    while not whole.own_arguments:
        key, value = next(entries)
        call = open_calls[-1]
        match key:
            case "field_ref":
                _append(call, Field(value))
            case "literal":
                _append(call, Literal(_plain(literals.column(int(value))[0])))
            case "options":
                scalar = literals.column(int(value))[0]
                assert isinstance(scalar, pa.StructScalar)
                call.options = scalar
            case "call":
                open_calls.append(_OpenCall(value))
            case "end":
                open_calls.pop()
                outer = open_calls[-1]
                if call.function == outer.function and call.function in _CHAINS and call.own_arguments == 2:
                    _join(outer, call)
                else:
                    _append(outer, _closed(call))
            case _:
                raise UnreadableExpression(f"a pushed filter holds {key} {value}")
    return whole.arguments[0]


def _append(call: _OpenCall, argument: Node) -> None:
    call.arguments.append(argument)
    call.own_arguments += 1


def _join(outer: _OpenCall, inner: _OpenCall) -> None:
    outer.own_arguments += 1
    if outer.arguments:
        outer.arguments += inner.arguments
    else:
        outer.arguments = inner.arguments  # not copied: a chain has many of these


def _closed(call: _OpenCall) -> Node:
    function, arguments, options = call.function, call.arguments, call.options
    if function == "is_in" and options is not None and call.own_arguments == 1:
        values: Any = options["value_set"]
        return Membership(arguments[0], values.values)
    if _FUNCTIONS.get(function) != call.own_arguments:
        raise UnreadableExpression(f"a pushed filter calls {function} with {call.own_arguments} arguments")
    if function == "is_null" and options is not None and options["nan_is_null"].as_py():
        raise UnreadableExpression("a pushed filter takes NaN for NULL")
    if function in MIRRORED:
        return comparison(function, *arguments)
    return chain(function, arguments) if function in _CHAINS else Call(function, tuple(arguments))


def comparison(function: str, left: Node, right: Node) -> Node:
    """A comparison, with a literal on the right."""
    if isinstance(left, Literal) and not isinstance(right, Literal):
        return Call(MIRRORED[function], (right, left))
    return Call(function, (left, right))


def chain(function: str, arguments: Sequence[Node]) -> Node:
    """A chain of many arguments as calls of two, nested as little as can be: whoever walks the tree recurses."""
    if len(arguments) == 1:
        return arguments[0]
    middle = (len(arguments) + 1) // 2
    return Call(function, (chain(function, arguments[:middle]), chain(function, arguments[middle:])))


def _plain(scalar: pa.Scalar[Any]) -> pa.Scalar[Any]:
    """A dictionary-encoded literal is its value."""
    return scalar.value if isinstance(scalar, pa.DictionaryScalar) else scalar


class _ArrowSchema(ctypes.Structure):
    """The head of the C data interface's ArrowSchema, as far as it is read."""

    _fields_ = (("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_void_p))


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


def _metadata(schema: pa.Schema) -> list[tuple[str, str]]:
    """All key-value pairs in order: an int32 count, then per pair two texts, each after its int32 length."""
    capsule = schema.__arrow_c_schema__()  # owns the memory, so it must outlive the reads
    address = _ArrowSchema.from_address(_capsule_pointer(capsule, b"arrow_schema")).metadata
    if not address:
        raise ValueError("no metadata")

    def integer() -> int:
        nonlocal address
        value = ctypes.c_int32.from_address(address).value
        address += 4
        return value

    def text() -> str:
        nonlocal address
        length = integer()
        value = ctypes.string_at(address, length).decode()
        address += length
        return value

    return [(text(), text()) for _ in range(integer())]
