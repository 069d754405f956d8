"""The attached sources of an engine, opened when they are first used and shared by its sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import Error, UndefinedObject
from ..ports import Reader
from ..sources.catalog import AttachedSource, SourceCatalog
from ..sources.definition import SourceDefinition
from ..tenancy import TenantId
from ..topics.catalog import tenant_text
from .source_kinds import open_attached

__all__ = ["Attachments"]


class Attachments:
    """Opens what the catalogue names, each attachment once. A source that was detached, here or by another process, is
    closed when its name is next asked for, or with the engine."""

    def __init__(self, catalog: SourceCatalog, opener: Callable[[SourceDefinition], Any] = open_attached) -> None:
        self.catalog = catalog
        self._opener = opener
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], tuple[SourceDefinition, Any]] = {}

    def restrict(self, files: Callable[[str], None]) -> None:
        """Open from now on only what ``files`` does not raise for, however it came to be attached."""
        self._opener = lambda definition: open_attached(definition, files)

    def visible(self, reader: Reader, tenant: TenantId | None) -> list[AttachedSource]:
        """What ``tenant`` sees, by name."""
        return self.catalog.visible(reader, tenant)

    def find(self, reader: Reader, tenant: TenantId | None, name: str) -> Any:
        """The source of that name, ``None`` where there is none. Opening one does not connect."""
        found = self.catalog.lookup(reader, tenant, name)
        return None if found is None else self.opened(found.definition)

    def source(self, reader: Reader, tenant: TenantId | None, name: str, position: int | None = None) -> Any:
        """The source of that name; ``UndefinedObject`` (42704) where there is none."""
        found = self.find(reader, tenant, name)
        if found is None:
            raise UndefinedObject(
                f"there is no source {name}", position=position, hint="SHOW SOURCES lists them, ATTACH makes one"
            )
        return found

    def opened(self, definition: SourceDefinition) -> Any:
        """The source that ``definition`` describes."""
        key = (tenant_text(definition.tenant), definition.name)
        stale = None
        with self._lock:
            known = self._open.get(key)
            if known is not None and known[0] == definition:
                return known[1]
            if known is not None:
                stale = known[1]
            source = self._opener(definition)
            self._open[key] = definition, source
        if stale is not None:
            stale.close()
        return source

    def forget_remembered(self, tenant: TenantId | None, text: str) -> bool:
        """Let the opened sources that ``text`` may name forget what they remember; whether there was something."""
        with self._lock:
            sources = [
                source for (owner, name), (_, source) in self._open.items()
                if owner in ("", tenant_text(tenant)) and name in text
            ]  # fmt: skip
        return any([bool(source.refresh()) for source in sources])

    def forget(self, definition: SourceDefinition) -> None:
        """Close it: it was detached."""
        with self._lock:
            known = self._open.pop((tenant_text(definition.tenant), definition.name), None)
        if known is not None:
            known[1].close()

    def close_undone(self, reader: Reader, definition: SourceDefinition) -> None:
        """Close the source unless it is attached: a transaction in which it was may have been rolled back."""
        key = (tenant_text(definition.tenant), definition.name)
        with suppress(Error):  # then it is closed with the engine
            now = self.catalog.lookup(reader, definition.tenant, definition.name)
            with self._lock:
                known = self._open.get(key)
            if known is not None and known[0] == definition and (now is None or now.definition != definition):
                self.forget(definition)

    def close(self) -> None:
        """Close all."""
        with self._lock:
            sources = [source for _, source in self._open.values()]
            self._open.clear()
        for source in sources:
            source.close()
