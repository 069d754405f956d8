"""Attached sources as catalogs of DataFusion's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from datafusion.catalog import CatalogProvider, CatalogProviderList, SchemaProvider, Table

from ..arrow.dataset import LazyDataset, failure_report
from ..errors import Error, FeatureNotSupported, OperationalError, QueryCanceled
from ..logs import about, reason
from ..sources.waiting import asked_once
from ..topics.definition import CATALOG
from .catalog_provider import JammiCatalog

__all__ = ["AttachedRelations", "Catalogs", "list_again", "listed"]

_T = TypeVar("_T")

_LEFT_OUT: Final = 30.0  # seconds

_logger = logging.getLogger("jammi_sql.sources")
_unreachable: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
"""Sources that could not be listed, and when."""


class AttachedRelations(Protocol):
    """Where the session finds what is attached."""

    def source_names(self) -> list[str]:
        """The attached names."""
        ...

    def source(self, name: str) -> Any:
        """The source of that name, ``None`` where there is none."""
        ...

    def attached(self, name: str, source: Any, schema: str, relation: str) -> Any:
        """A relation of a source, a Python dataset or a table of DataFusion's, ``None`` where there is none."""
        ...


class Catalogs(CatalogProviderList):
    """The engine's own catalog, and one for each attached source that the session sees at that moment."""

    def __init__(self, own: JammiCatalog, relations: AttachedRelations) -> None:
        self._own = own
        self._relations = relations

    def catalog_names(self) -> set[str]:
        """All of them, for ``information_schema``."""
        return {CATALOG, *self._relations.source_names()}

    def catalog(self, name: str) -> Any:
        """One catalog, ``None`` where there is none."""
        if name == CATALOG:
            return self._own
        source = _reported(lambda: self._relations.source(name))
        return None if source is None else AttachedCatalog(name, source, self._relations)


class AttachedCatalog(CatalogProvider):
    """A source; its schemas and relations are asked for when they are named."""

    def __init__(self, name: str, source: Any, relations: AttachedRelations) -> None:
        self._name = name
        self._source = source
        self._relations = relations

    def schema_names(self) -> set[str]:
        """All schemas; none of a source that cannot be reached, whose absence must not fail a list of all catalogs."""
        return set(listed(self._name, self._source.schemas, self._source))

    def schema(self, name: str) -> Any:
        """One schema. A name that has nothing is given too: then the error is about the table."""
        return None if name == "information_schema" else AttachedSchema(self._name, self._source, name, self._relations)


class AttachedSchema(SchemaProvider):
    """A schema of a source."""

    def __init__(self, catalog: str, source: Any, name: str, relations: AttachedRelations) -> None:
        self._catalog = catalog
        self._source = source
        self._name = name
        self._relations = relations

    @property
    def owner_name(self) -> str | None:  # type: ignore[override] # DataFusion reads an attribute
        """Nobody."""
        return None

    @property
    def table_names(self) -> list[str]:  # type: ignore[override] # DataFusion takes a list and no set
        """All relations; must be a list."""
        return listed(self._catalog, lambda: self._source.relation_names(self._name), self._source)

    def table(self, name: str) -> Any:
        """The relation, as DataFusion's ``Table`` over a Python dataset."""
        found = _reported(lambda: self._relations.attached(self._catalog, self._source, self._name, name))
        return Table(found) if isinstance(found, LazyDataset) else found

    def table_exist(self, name: str) -> bool:
        """Whether the name leads to something."""
        return name in self.table_names

    def register_table(self, name: str, table: Any) -> None:
        """Views of the session are in its own catalog."""
        raise _reported_error(
            FeatureNotSupported(
                f"{name} cannot be made in the attached source {self._catalog}",
                hint=f"CREATE TABLE {self._catalog}.{self._name}.name AS query makes a table there; views are made in jammi",
            )
        )


def listed(catalog: str, names: Callable[[], list[_T]], source: Any = None) -> list[_T]:
    """What a source lists; nothing, with a word in the log, where it cannot: it must not fail a list of all catalogs.

    One that cannot be reached is tried once, and not asked for a list again for a while: each would take long to say so.
    """
    if source is not None and time.monotonic() - _unreachable.get(source, -_LEFT_OUT) < _LEFT_OUT:
        return []
    once = asked_once.set(True)
    try:
        found = names()
    except Error as error:
        _logger.warning("source %s cannot be listed: %s", catalog, reason(error), extra=about(error, source=catalog))
        if source is not None and isinstance(error, OperationalError) and not isinstance(error, QueryCanceled):
            _unreachable[source] = time.monotonic()
        return []
    finally:
        asked_once.reset(once)
    if source is not None:
        _unreachable.pop(source, None)
    return found


def list_again(source: Any) -> None:
    """Ask it for its list at the next occasion, though it could not be reached before."""
    _unreachable.pop(source, None)


def _reported(ask: Callable[[], Any]) -> Any:
    """What ``ask`` answers; its error is kept aside, for DataFusion loses the class."""
    try:
        return ask()
    except Error as error:
        raise _reported_error(error) from error


def _reported_error(error: Error) -> Error:
    failure_report.get()(error)
    return error
