"""DataFusion's contexts of a session, for all tenants that it spoke for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from datafusion import SessionContext

from ..tenancy import TenantId
from ..topics.definition import DEFAULT_NAMESPACE
from .settings import NONE
from .world import FLATTENING, World

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Worlds"]

# Settings that are DataFusion's under a shorter name. Their values are checked, so that they may stand in text.
_DATAFUSION_SETTINGS: Final[Mapping[str, str]] = {
    "batch_size": "datafusion.execution.batch_size",
    "memory_limit": "datafusion.runtime.memory_limit",
}


class Worlds:
    """A world for each tenant, made when it is first asked for. What a session sets holds in all of them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._worlds: dict[TenantId | None, World] = {}
        self._assignments: list[str] = []

    @property
    def current(self) -> World:
        """That of the session's tenant."""
        tenant = self._session.tenant
        shared = self._worlds.get(None)
        if shared is None:
            shared = self._worlds[None] = self._new()
        if tenant not in self._worlds:
            self._worlds[tenant] = self._new(shared)
        return self._worlds[tenant]

    def _new(self, shared: World | None = None) -> World:
        session = self._session
        return World(session.relations, self._options, self._prepare, shared, files=session.access is None)

    def in_given_order(self, context: SessionContext) -> SessionContext:
        """One like ``context`` that makes joins in the order which a plan has: see ``World.in_given_order``."""
        for world in self._worlds.values():
            found = world.in_given_order(context)
            if found is not None:
                return found
        context.remove_optimizer_rule(FLATTENING)  # that of a single statement
        return context

    # --- what is set ---

    def apply(self, name: str) -> None:
        """Bring a changed setting of the session into force."""
        for context in self._contexts():
            self._configure(context, name, again=True)

    def use_schema(self, name: str) -> None:
        """Let names without a schema be looked for in one that exists."""
        for context in self._contexts():
            _set_default_schema(context, name)

    def assigned(self, text: str) -> None:
        """``SET`` or ``RESET`` of a DataFusion option ran in the current context: let it hold in the others too."""
        current = self.current.context
        for context in self._contexts():
            if context is not current:
                context.sql(text)
        self._assignments.append(text)

    def set_as(self, other: Worlds) -> None:
        """Begin with the DataFusion options that were set in ``other``."""
        self._assignments = list(other._assignments)

    def _contexts(self) -> Iterator[SessionContext]:
        for world in self._worlds.values():
            yield from world.contexts

    def _options(self) -> dict[str, str]:
        """What a new context begins with: a statement that sets it costs as much as the whole context."""
        settings = self._session.settings
        if not settings.is_changed("batch_size"):
            return {}
        return {_DATAFUSION_SETTINGS["batch_size"]: settings.show("batch_size")}

    def _prepare(self, context: SessionContext, *, limited: bool = True) -> None:
        session = self._session
        session.engine.services.functions.register(context, session)
        if limited:
            self._configure(context, "memory_limit")
        if session.current_schema != DEFAULT_NAMESPACE:
            _set_default_schema(context, session.current_schema)
        for assignment in self._assignments:
            context.sql(assignment)

    def _configure(self, context: SessionContext, name: str, *, again: bool = False) -> None:
        """Bring a setting into force; ``again``: another value may be."""
        key = _DATAFUSION_SETTINGS.get(name)
        if key is None:
            return
        session = self._session
        value = session.settings.show(name)
        if name == "memory_limit" and session.memory_limit is not None:
            value = f"{max(1, session.memory_limit >> 10)}K"  # DataFusion takes neither bytes nor terabytes
        elif not again and not session.settings.is_changed(name):
            return
        context.sql(f"RESET {key}" if value == NONE else f"SET {key} = '{value}'")


def _set_default_schema(context: SessionContext, name: str) -> None:
    quoted = name.replace("'", "''")  # the name of a schema that exists
    context.sql(f"SET datafusion.catalog.default_schema = '{quoted}'")
