"""What the names of a statement lead to, outside of DataFusion's queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..dialect import statements
from ..errors import ProgrammingError, UndefinedTable
from ..ports import Reader
from ..tables.catalog import CatalogTable
from ..topics.catalog import CatalogTopic
from ..topics.definition import CATALOG, namespace_of

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Names"]


class Names:
    """Looks up what a session sees: views of its own, and topics and companion tables, in its transaction or in the
    ``reader`` that is given."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def path(self, name: statements.Name) -> tuple[str, str]:
        """Schema and name within ``jammi``."""
        if len(name.parts) == 1:
            return self._session.current_schema, name.parts[0]
        return namespace_of(name.parts, name.position)

    def own(self, name: statements.Name) -> Any:
        """The view or in-memory table of DataFusion's that the session has of that name, ``None`` where there is none."""
        return self._session.world.catalog.own(*self.path(name))

    def is_own(self, name: statements.Name) -> bool:
        """Whether the name leads to a view or table of DataFusion's own, or out of this catalog."""
        return _is_elsewhere(name) or self.own(name) is not None

    def topic(self, name: statements.Name, reader: Reader | None = None) -> CatalogTopic:
        """The topic of that name that the session sees; ``UndefinedTable`` (42P01) where there is none."""
        found = self.find_topic(name, reader)
        if found is None:
            is_table = self.find_table(name, reader) is not None
            raise UndefinedTable(
                f"topic {'.'.join(name.parts)} does not exist",
                position=name.position,
                hint="there is a table of that name" if is_table else "SHOW TOPICS lists them, CREATE TOPIC makes one",
            )
        return found

    def table(self, name: statements.Name, reader: Reader | None = None) -> CatalogTable:
        """The companion table of that name; ``UndefinedTable`` (42P01) where there is none."""
        found = self.find_relation(name, reader)
        if isinstance(found, CatalogTable):
            return found
        path = ".".join(name.parts)
        if found is not None:
            raise ProgrammingError(
                f"{path} is a topic, not a table",
                sqlstate="42809",
                position=name.position,
                hint="write TOPIC in place of TABLE; a topic has no indexes",
            )
        from .cached_statements import refuse_cached  # noqa: PLC0415 - it refers to the session

        refuse_cached(self._session, name)
        raise UndefinedTable(
            f"table {path} does not exist",
            position=name.position,
            hint="SHOW TABLES lists them, CREATE TABLE makes one",
        )

    def find_topic(self, name: statements.Name, reader: Reader | None = None) -> CatalogTopic | None:
        """The topic of that name that the session sees, ``None`` where there is none."""
        if _is_elsewhere(name):
            return None
        session = self._session
        return session.engine.services.catalog.lookup(reader or session.reader, session.tenant, *self.path(name))

    def find_table(self, name: statements.Name, reader: Reader | None = None) -> CatalogTable | None:
        """The companion table of that name that the session sees, ``None`` where there is none."""
        if _is_elsewhere(name):
            return None
        session = self._session
        return session.engine.services.tables.lookup(reader or session.reader, session.tenant, *self.path(name))

    def find_relation(
        self, name: statements.Name, reader: Reader | None = None, *, tables_first: bool = False
    ) -> CatalogTopic | CatalogTable | None:
        """The topic or table of that name that the session sees: its tenant's own before a global one.

        Within a tenant a name is one or the other, so that the second is not asked for where the first is the session's own;
        ``tables_first`` says which is the likelier.
        """
        look_ups = (self.find_table, self.find_topic) if tables_first else (self.find_topic, self.find_table)
        found: CatalogTopic | CatalogTable | None = None
        for look_up in look_ups:
            other: CatalogTopic | CatalogTable | None = look_up(name, reader)
            if other is not None and other.definition.tenant == self._session.tenant:
                return other
            found = found or other
        return found


def _is_elsewhere(name: statements.Name) -> bool:
    return len(name.parts) == 3 and name.parts[0] != CATALOG
