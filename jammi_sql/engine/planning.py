"""One statement's view of the catalogue: taken once, when the statement begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..arrow.dataset import failure_report
from ..errors import UndefinedTable
from ..ports import Reader
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic, TopicCatalog
from ..topics.log import Log

__all__ = ["Planning"]

_current: ContextVar[Planning | None] = ContextVar("planning", default=None)


class Planning:
    """The topics that a statement may mean, with their bounds, as of one moment; its tenant and where it reads.

    ``words`` are the identifiers of the statement's text, so that one query finds all topics that it may name. All of it
    is that of the statement's beginning, whatever the session does while the result is read.
    """

    def __init__(
        self, catalog: TopicCatalog, log: Log, reader: Reader, tenant: TenantId | None, words: Iterable[str]
    ) -> None:
        self._catalog = catalog
        self._log = log
        self.reader = reader
        self.tenant = tenant
        self._words = words
        self._topics: dict[tuple[str, str], CatalogTopic] | None = None
        self._active = True
        self.failure: BaseException | None = None

    @classmethod
    def current(cls) -> Planning | None:
        """That of the statement which this thread plans."""
        return _current.get()

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let the relations that DataFusion plans on this thread be this statement's."""
        token, reporting = _current.set(self), failure_report.set(self._report)
        try:
            yield
        finally:
            _current.reset(token)
            failure_report.reset(reporting)

    def _report(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error

    def topic(self, namespace: str, name: str) -> CatalogTopic | None:
        """The topic of that name that the session sees."""
        if self._topics is None:
            found = self._catalog.named(self.reader, self.tenant, self._words)
            self._topics = {(topic.namespace, topic.local_name): topic for topic in found}
        topic = self._topics.get((namespace, name))
        if topic is None and name not in self._words:
            # A name that the text does not spell: a view's, or one that an API call asks for.
            return self._catalog.lookup(self.reader, self.tenant, namespace, name)
        return topic

    def bounds(self, topic: CatalogTopic, planned_by: Planning) -> tuple[int, int]:
        """The offsets ``[first, end)`` of ``topic``, which the statement ``planned_by`` found, for this statement.

        They are those of the statement's beginning. A view that was made earlier, and a live statement that is planned
        again for each delivery, see the log as it is now. ``UndefinedTable`` where this statement may not see the topic.
        """
        if planned_by is self and self._active:
            return topic.first_offset, topic.next_offset
        if topic.definition.tenant not in (None, self.tenant):
            raise UndefinedTable(f"topic {topic.name} does not exist", hint="SHOW TOPICS lists what is there")
        head = self._log.head(self.reader, topic)
        return head.first, head.next

    def finish(self) -> None:
        """The statement's plan is made: who plans with its relations again sees the log as it is then."""
        self._active = False
