"""The functions of a session: those that the package ships and those of a user's folder."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, ModuleType

from datafusion import ScalarUDF, SessionContext

from ..dialect.defaults import DefaultArguments
from ..errors import DuplicateObject, InvalidParameter, ProgrammingError
from ..function import Function, SessionFacts

__all__ = ["FunctionLibrary", "shipped_functions"]

SHIPPED = "jammi_sql.udfs"

# names that the dialect takes before DataFusion sees them
_OF_THE_LANGUAGE = frozenset({"remote_query", "subscribe"})

_import_lock = threading.RLock()


class FunctionLibrary:
    """Functions by name, ready to be registered with any number of sessions.

    ``functions`` is read-only, and so is ``defaults``, what the dialect writes into calls that leave arguments out.
    ``FunctionLibrary.load(folder)`` reads a user's folder anew, so an edited file counts from the next call on.
    """

    __slots__ = ("_shared", "defaults", "functions")

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = MappingProxyType(dict(functions))
        self.defaults = MappingProxyType(
            {
                name: DefaultArguments(len(function.inputs), function.defaults)
                for name, function in functions.items()
                if function.defaults
            }
        )
        self._shared: list[ScalarUDF] | None = None  # of functions that do not ask for the session

    @classmethod
    def load(cls, folder: Path | None = None) -> FunctionLibrary:
        """The shipped functions and those in the ``.py`` files of ``folder``.

        Files whose names begin with ``_`` are helpers, which the others reach by ``from ._helper import ...``.

        Raises ``InvalidParameter`` (22023) for what is no folder, ``ProgrammingError`` (42000) for a file that cannot
        be imported or defines no function, ``DuplicateObject`` (42P07) for a name that is taken; each names the file.
        """
        functions = {function.name: function for function in shipped_functions()}
        if folder is not None:
            for path, module in _user_modules(folder):
                for function in _functions_of(module, path.name):
                    if function.name in functions or function.name in _names_of_datafusion() | _OF_THE_LANGUAGE:
                        raise DuplicateObject(
                            f"{path.name}: a function {function.name} exists already",
                            hint="give it another name with @scalar_function(name=...)",
                        )
                    functions[function.name] = function
        return cls(functions)

    def register(self, context: SessionContext, session: SessionFacts) -> None:
        """Make the functions known to ``context``, bound to ``session``, whose facts are read at each call.

        A context belongs to one session: it MUST NOT be shared between sessions.
        """
        if self._shared is None:
            self._shared = [_made(each, None) for each in self.functions.values() if not each.session]
        for shared in self._shared:
            context.register_udf(shared)
        for function in self.functions.values():
            if function.session:
                context.register_udf(_made(function, session))


def _made(function: Function, session: SessionFacts | None) -> ScalarUDF:
    made: ScalarUDF = ScalarUDF.udf(
        function.bound(session), list(function.inputs), function.returns, function.volatility, function.name
    )
    return made


@lru_cache(maxsize=1)
def shipped_functions() -> tuple[Function, ...]:
    """The functions of ``jammi_sql.udfs``, by module and in the order of their definition."""
    package = importlib.import_module(SHIPPED)
    found: list[Function] = []
    for info in pkgutil.iter_modules(package.__path__):
        found += _functions_of(importlib.import_module(f"{SHIPPED}.{info.name}"), f"{SHIPPED}.{info.name}")
    return tuple(found)


@lru_cache(maxsize=1)
def _names_of_datafusion() -> frozenset[str]:
    fresh = SessionContext()
    return frozenset([*fresh.udfs(), *fresh.udafs(), *fresh.udwfs()])


def _functions_of(module: ModuleType, shown: str) -> list[Function]:
    """The functions that ``module`` defines, not those that it imports."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, Function) and value.implementation.__module__ == module.__name__
    ]
    if not found:
        raise ProgrammingError(
            f"{shown} defines no function",
            hint="decorate functions with @scalar_function, or begin the file's name with _ if it only helps others",
        )
    return list(dict.fromkeys(found))


def _user_modules(folder: Path) -> Iterator[tuple[Path, ModuleType]]:
    if not folder.is_dir():
        raise InvalidParameter(f"{folder} is not a folder of functions", hint="udfs= takes a folder with .py files")
    # A package of its own for each folder: modules of two folders may have the same names, and relative imports work.
    package_name = f"jammi_sql_user_functions_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}"
    with _import_lock:
        for name in [name for name in sys.modules if name.partition(".")[0] == package_name]:
            del sys.modules[name]
        package = ModuleType(package_name)
        package.__path__ = [str(folder.resolve())]
        sys.modules[package_name] = package
        importlib.invalidate_caches()
        paths = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
        modules = [(path, _imported(f"{package_name}.{path.stem}", path)) for path in paths]
    yield from modules


def _imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProgrammingError(f"{path.name} cannot be imported", hint="it must be a Python source file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ProgrammingError(
            f"{path.name} cannot be imported: {type(error).__name__}: {error}",
            hint="the file must run by itself with python; the cause is in this error's __cause__",
        ) from error
    return module
