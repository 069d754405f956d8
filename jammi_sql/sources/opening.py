"""Which implementation a source has."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from ..errors import FeatureNotSupported, InvalidParameter
from .credentials import check_definition
from .definition import SourceDefinition
from .options import check_options
from .source import Source

__all__ = ["KINDS", "kind_of", "open_source"]

KINDS: Final = ("postgres", "sqlite", "duckdb", "flight", "adbc", "files")

_ALIASES: Final = {"postgresql": "postgres", "flightsql": "flight", "flight_sql": "flight"}
_SCHEMES: Final = {
    "postgresql": "postgres",
    "postgres": "postgres",
    "sqlite": "sqlite",
    "duckdb": "duckdb",
    "grpc": "flight",
    "grpc+tcp": "flight",
    "grpc+tls": "flight",
}
# Imported when one is opened: their drivers are extras, and take a tenth of a second.
_CLASSES: Final = {
    "postgres": (".postgres.source", "PostgresSource"),
    "sqlite": (".sqlite.source", "SqliteSource"),
    "duckdb": (".duckdb.source", "DuckdbSource"),
    "flight": (".flight", "FlightSource"),
    "adbc": (".generic", "GenericSource"),
}
_PACKAGES: Final = {
    "postgres": ("adbc_driver_postgresql", "jammi-sql[postgres]"),
    "flight": ("adbc_driver_flightsql", "jammi-sql[flight]"),
    "duckdb": ("duckdb", "jammi-sql[duckdb]"),
}


def kind_of(uri: str, type_option: str | None = None) -> str:
    """The kind of a source, by ``TYPE`` or by the URI's scheme; what has none that is known is ``files``.

    Raises ``InvalidParameter`` for a type that does not exist.
    """
    if type_option is not None:
        kind = _ALIASES.get(type_option.lower(), type_option.lower())
        if kind not in KINDS:
            raise InvalidParameter(f"there is no source of type {type_option}", hint=f"types are: {', '.join(KINDS)}")
        return kind
    scheme, mark, _ = uri.partition("://")
    return _SCHEMES.get(scheme.lower(), "files") if mark else "files"


def open_source(definition: SourceDefinition) -> Source:
    """The source, not connected yet. ``InvalidParameter`` for options that are wrong or credentials in plain text,
    ``FeatureNotSupported`` where its driver is not installed."""
    check_options(definition.kind, definition.options)
    check_definition(definition)
    if definition.kind not in _CLASSES:
        raise InvalidParameter(f"there is no source of type {definition.kind}", hint=f"types are: {', '.join(KINDS)}")
    module, name = _CLASSES[definition.kind]
    try:
        made: Source = getattr(import_module(module, __package__), name)(definition)
        return made
    except ModuleNotFoundError as error:
        package, extra = _PACKAGES.get(definition.kind, ("", ""))
        if not package or (error.name or "").partition(".")[0] != package:
            raise
        raise FeatureNotSupported(
            f"a source of type {definition.kind} needs the package {package}", hint=f"pip install '{extra}'"
        ) from error
