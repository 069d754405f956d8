"""One statement's view of the catalogue: taken once, when the statement begins."""

from __future__ import annotations

from collections.abc import Iterable

from ..arrow.dataset import LazyDataset
from ..ports import Reader
from ..tenancy import TenantId
from ..topics.catalog import CatalogTopic, TopicCatalog

__all__ = ["Planning"]


class Planning:
    """The topics that a statement may mean, with their bounds, as of one moment.

    ``words`` are the identifiers of the statement's text, so that one query finds all topics that it may name.
    """

    def __init__(self, catalog: TopicCatalog, reader: Reader, tenant: TenantId | None, words: Iterable[str]) -> None:
        self._catalog = catalog
        self._reader = reader
        self.tenant = tenant
        self._words = words
        self._topics: dict[tuple[str, str], CatalogTopic] | None = None
        self.active = True
        self.datasets: list[LazyDataset] = []

    def topic(self, namespace: str, name: str) -> CatalogTopic | None:
        """The topic of that name that the session sees."""
        if self._topics is None:
            found = self._catalog.named(self._reader, self.tenant, self._words)
            self._topics = {(topic.namespace, topic.local_name): topic for topic in found}
        topic = self._topics.get((namespace, name))
        if topic is None and name not in self._words:
            # A name that the text does not spell: a view's, or one that an API call asks for.
            return self._catalog.lookup(self._reader, self.tenant, namespace, name)
        return topic

    @property
    def failure(self) -> BaseException | None:
        """What a relation of this statement raised inside DataFusion."""
        return next((dataset.failure for dataset in self.datasets if dataset.failure is not None), None)

    def finish(self) -> None:
        """The statement's plan is made: who plans with its relations again sees the log as it is then."""
        self.active = False
