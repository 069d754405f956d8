"""A SQL function written in Python: what it takes, what it gives, and how its errors come back.

A module of such functions looks like this::

    import pyarrow as pa
    import pyarrow.compute as pc
    from jammi_sql.function import scalar_function

    @scalar_function(inputs=[pa.string()], returns=pa.string(), example="reverse('abc') = 'cba'")
    def reverse(text: pa.StringArray) -> pa.StringArray:
        \"\"\"The characters of a text in reverse order.\"\"\"
        return pc.utf8_reverse(text)

Each argument arrives as an array with one value per row, literals included, cast to the declared type. The
result is an array of the declared type with one value per row.
"""

from __future__ import annotations

import re
import secrets
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa

from .errors import DataError, Error, OperationalError

if TYPE_CHECKING:
    from .tenancy import TenantId

__all__ = ["Function", "SessionFacts", "Volatility", "error_of_function", "scalar_function"]

Volatility = Literal["immutable", "stable", "volatile"]
"""``immutable``: the same arguments give the same result for ever. ``stable``: within one statement, so that it is
computed once for constant arguments. ``volatile``: computed anew for each row."""

_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class SessionFacts(Protocol):
    """What a function may know of the session that calls it; read at each call."""

    @property
    def tenant(self) -> TenantId | None:
        """The tenant in force, or ``None``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A scalar function. Calling it calls ``implementation``, for other Python code and for tests.

    ``inputs`` are the types that arguments are cast to: text, number and list types widen to the declared one
    (every text type to ``string``, every list of numbers to ``list_(float64())``). ``defaults`` are SQL expressions
    that stand for missing arguments at the end. With ``session`` the implementation gets the session's facts
    before the arguments. ``example`` is a condition in SQL that is true.
    """

    name: str
    inputs: tuple[pa.DataType, ...]
    returns: pa.DataType
    implementation: Callable[..., Any]
    volatility: Volatility
    defaults: tuple[str, ...]
    session: bool
    example: str | None

    @property
    def summary(self) -> str:
        """The first sentence of the docstring, '' without one."""
        return (self.implementation.__doc__ or "").strip().partition("\n")[0]

    def __call__(self, *arguments: Any) -> Any:
        return self.implementation(*arguments)

    def bound(self, session: SessionFacts | None) -> Callable[..., pa.Array[Any]]:
        """What DataFusion calls: the implementation for one session, its result checked, its errors kept.

        ``session`` may be ``None`` for one that does not get it.
        """

        def call(*columns: pa.Array[Any]) -> pa.Array[Any]:
            try:
                leading = (session,) if self.session else ()
                return self._checked(self.implementation(*leading, *columns), columns)
            except Exception as error:
                raise _Carrier(_failures.keep(self._as_error(error))) from None

        return call

    def _checked(self, result: Any, columns: Sequence[pa.Array[Any]]) -> pa.Array[Any]:
        # DataFusion reports both mistakes as a bug of its own, without the function's name
        if not isinstance(result, pa.Array) or result.type != self.returns:
            found = result.type if isinstance(result, pa.Array) else type(result).__name__
            raise TypeError(f"it must return an array of {self.returns}, this is {found}")
        rows = len(columns[0]) if columns else 1
        if len(result) != rows:
            raise TypeError(f"it must return {rows} values, one per row, not {len(result)}")
        return result

    def _as_error(self, error: Exception) -> Error:
        if isinstance(error, Error):
            made = error.with_traceback(None)
        else:
            message = f"function {self.name}: {str(error) or type(error).__name__}"
            if isinstance(error, (ValueError, ArithmeticError)):
                made = DataError(message)
            else:
                made = OperationalError(message, sqlstate="38000")
            # as text: the frames of a traceback would keep whole columns alive
            made.add_note("".join(traceback.format_exception(error)).rstrip())
        made.__context__ = None
        return made


def scalar_function(
    *,
    inputs: Sequence[pa.DataType],
    returns: pa.DataType,
    name: str | None = None,
    volatility: Volatility = "immutable",
    defaults: Sequence[str] = (),
    session: bool = False,
    example: str | None = None,
) -> Callable[[Callable[..., Any]], Function]:
    """Make a ``Function`` of the decorated Python function; its name in SQL is ``name``, else its own.

    Raises ``ValueError`` for what cannot work: a name that SQL would have to quote, more defaults than inputs, a
    function without inputs that is volatile (DataFusion does not say for how many rows; give it an input with
    the default ``random()``), an immutable one that depends on the session.
    """

    def decorate(implementation: Callable[..., Any]) -> Function:
        chosen = name or implementation.__name__
        if not _NAME.fullmatch(chosen):
            raise ValueError(f"{chosen!r} cannot name a function: use lower-case letters, digits and _")
        if len(defaults) > len(inputs):
            raise ValueError(f"{chosen} has {len(defaults)} defaults for {len(inputs)} inputs")
        if not inputs and volatility == "volatile":
            raise ValueError(f"{chosen} is volatile without inputs: give it inputs=[float64()], defaults=['random()']")
        if session and volatility == "immutable":
            raise ValueError(f"{chosen} depends on the session, so it is stable or volatile, not immutable")
        return Function(
            name=chosen,
            inputs=tuple(inputs),
            returns=returns,
            implementation=implementation,
            volatility=volatility,
            defaults=tuple(defaults),
            session=session,
            example=example,
        )

    return decorate


class _Carrier(Exception):
    """Takes an error's key through DataFusion, which turns exceptions into their ``repr``."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __repr__(self) -> str:
        return f"jammi-function-error:{self.key}"


_CARRIED = re.compile(r"jammi-function-error:([0-9a-f]{16})")


class _Failures:
    """Errors on their way through DataFusion. Few: what an abandoned query raised is never asked for."""

    limit = 64

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: OrderedDict[str, Error] = OrderedDict()

    def keep(self, error: Error) -> str:
        key = secrets.token_hex(8)
        with self._lock:
            self._errors[key] = error
            while len(self._errors) > self.limit:
                self._errors.popitem(last=False)
        return key

    def take(self, key: str) -> Error | None:
        with self._lock:
            return self._errors.pop(key, None)


_failures = _Failures()


def error_of_function(error: BaseException) -> Error | None:
    """The error that a function raised, when ``error`` is what DataFusion made of it; else ``None``.

    ``ValueError`` and ``ArithmeticError`` become ``DataError`` (22000), an error of this package stays as it is, any
    other becomes ``OperationalError`` (38000). The text names the function, its traceback is a note on the error.
    """
    found = _CARRIED.search(str(error))
    if found is None:
        return None
    return _failures.take(found[1]) or OperationalError("a function failed", sqlstate="38000")
