"""DataFusion's view of the catalog ``jammi``: names to relations, for one session.

DataFusion asks for every name of every statement on the thread that plans it, so nothing is registered up front and the
answer is that of the session's tenant and transaction at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pyarrow as pa
from datafusion.catalog import CatalogProvider, SchemaProvider, Table

from ..arrow.dataset import LazyDataset, failure_report
from ..errors import DuplicateObject, ProgrammingError, ReservedName
from ..topics.definition import check_relation_name
from .listing import Listing
from .planning import Planning

__all__ = ["JammiCatalog", "Relations"]

SYSTEM = "system"


class Relations(Protocol):
    """Where the session finds its relations."""

    def namespaces(self) -> set[str]:
        """The schemas of the catalog."""
        ...

    def relation_names(self, namespace: str) -> list[str]:
        """The relations of a schema."""
        ...

    def listed(self) -> Mapping[str, Mapping[str, pa.Schema]]:
        """The columns of all relations, by schema and name."""
        ...

    def relation(self, namespace: str, name: str) -> Any:
        """The relation, a Python dataset or a table of DataFusion's, ``None`` where there is none."""
        ...

    def create_namespace(self, name: str) -> None:
        """CREATE SCHEMA."""
        ...


class JammiCatalog(CatalogProvider):
    """The catalog ``jammi`` of one tenant.

    ``shared`` is that of the session without a tenant: its views and in-memory tables are everybody's.
    """

    def __init__(self, relations: Relations, shared: JammiCatalog | None = None) -> None:
        self._relations = relations
        self._shared = shared
        self._listing = Listing(relations.listed)
        self._schemas: dict[str, JammiSchema] = {}

    def schema_names(self) -> set[str]:
        """All schemas."""
        self._listing.begin()
        return self._relations.namespaces() | set(self.own_relations())

    def schema(self, name: str) -> Any:
        """One schema. A name that has nothing yet is given too: then the error is about the table."""
        if name == "information_schema":
            return None
        if name not in self._schemas:
            shared = None if self._shared is None else self._shared.schema(name)
            self._schemas[name] = JammiSchema(self._relations, name, shared, self._listing)
        return self._schemas[name]

    def own_relations(self) -> dict[str, list[str]]:
        """The session's own views and in-memory tables, by schema."""
        names = [*self._schemas, *([] if self._shared is None else self._shared._schemas)]
        return {name: found for name in names if (found := self.schema(name).own_names())}

    def own_words(self, words: frozenset[str]) -> bool:
        """Whether one of ``words`` is the name of a view or an in-memory table of the session's own."""
        return any(not words.isdisjoint(names) for names in self.own_relations().values())

    def own(self, namespace: str, name: str) -> Any:
        """A view or an in-memory table of the session's own, ``None`` where there is none."""
        schema = self.schema(namespace)
        return None if schema is None else schema.find_own(name)

    def register_schema(self, name: str, schema: Any) -> None:
        """CREATE SCHEMA, which the dialect takes before DataFusion does; here for DataFusion's own use."""
        self._relations.create_namespace(name)

    def deregister_schema(self, name: str, cascade: bool) -> None:
        """Nothing is kept here."""
        self._schemas.pop(name, None)


class JammiSchema(SchemaProvider):
    """A schema: the session's own views and in-memory tables, then topics, then system views."""

    def __init__(self, relations: Relations, name: str, shared: JammiSchema | None, listing: Listing) -> None:
        self._relations = relations
        self._name = name
        self._shared = shared
        self._listing = listing
        self._own: dict[str, Any] = {}

    def find_own(self, name: str) -> Any:
        """A view or an in-memory table of the session, ``None`` where there is none."""
        found = self._own.get(name)
        return self._shared.find_own(name) if found is None and self._shared is not None else found

    def own_names(self) -> list[str]:
        """The names of the session's own views and tables."""
        return sorted({*self._own, *([] if self._shared is None else self._shared.own_names())})

    @property
    def owner_name(self) -> str | None:  # type: ignore[override] # DataFusion reads an attribute
        """Nobody."""
        return None

    @property
    def table_names(self) -> list[str]:  # type: ignore[override] # DataFusion takes a list and no set
        """All relations; must be a list."""
        return sorted({*self.own_names(), *self._listing.names(self._name)})

    def table(self, name: str) -> Any:
        """The relation, as DataFusion's ``Table`` over a Python dataset."""
        own = self.find_own(name)
        if own is not None:
            return own
        # Who plans no statement lists what there is.
        found: Any = None if Planning.current() else self._listing.relation(self._name, name)
        if found is None:
            found = self._relations.relation(self._name, name)
        return Table(found) if isinstance(found, LazyDataset) else found

    def register_table(self, name: str, table: Any) -> None:
        """A view or an in-memory table of this session; ``DuplicateObject`` (42P07) where a topic has the name, ``ReservedName``
        (42939) for one that may stand for a relation of a statement's own."""
        try:
            check_relation_name(name)
        except ReservedName as error:
            failure_report.get()(error)  # DataFusion keeps its words alone
            raise
        if self.find_own(name) is None and name in self._relations.relation_names(self._name):
            raise DuplicateObject(f"{name} exists already", hint="choose another name: a view would hide the topic")
        self._own[name] = table

    def deregister_table(self, name: str, cascade: bool = False) -> None:
        """DROP VIEW or DROP TABLE of the session's own; for a topic DataFusion says that there is no such table."""
        if name in self._own:
            del self._own[name]
        elif self.find_own(name) is not None and self._shared is not None:
            self._shared.deregister_table(name, cascade)
        elif name in self._relations.relation_names(self._name):
            raise ProgrammingError(
                f"{name} is not a table or view of this session", sqlstate="42809", hint="DROP TOPIC drops a topic"
            )

    def table_exist(self, name: str) -> bool:
        """Whether the name leads to something."""
        return self.find_own(name) is not None or name in self._relations.relation_names(self._name)
