"""One statement from its begin until its rows are through: what ``jammi.system.queries`` shows and ``KILL`` ends."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Final, Literal, Protocol

from ..tenancy import TenantId

__all__ = ["Execution", "State", "Stoppable"]

State = Literal["running", "waiting", "live"]
"""``running``: it is at work. ``waiting``: rows are there for who reads them. ``live``: it follows events."""

_naming: Final = threading.Lock()


class Stoppable(Protocol):
    """What a statement reads from."""

    def stop(self) -> None:
        """End it, from any thread."""
        ...


class Execution:
    """A statement of a session. Who runs it changes it, whoever asks may look at it meanwhile.

    There is one for every statement, so it costs next to nothing: its id is made when somebody asks for it.
    """

    __slots__ = (
        "_id",
        "is_live",
        "pulling",
        "returned",
        "rows",
        "sources",
        "started",
        "subscription",
        "tenant",
        "text",
    )

    def __init__(self, text: str, tenant: TenantId | None) -> None:
        self._id: str | None = None
        self.text = text
        self.tenant = tenant
        """For whom it was begun."""
        self.started = time.time()
        self.sources: set[Stoppable] = set()
        """What it reads from, and is not through."""
        self.returned = False
        """Whether its result was handed out: its rows are pulled from now on."""
        self.pulling = False
        """Whether somebody waits for its next rows."""
        self.is_live = False
        """Whether its result has no end."""
        self.subscription: str | None = None
        """The id of the subscription that its rows come from, as ``jammi.system.subscriptions`` shows it."""
        self.rows = 0
        """Rows that were pulled out of its result."""

    @property
    def id(self) -> str:
        """A random UUID, which nobody can guess."""
        if self._id is None:
            with _naming:
                if self._id is None:
                    self._id = str(uuid.uuid4())
        return self._id

    @property
    def state(self) -> State:
        """What it does."""
        if self.is_live:
            return "live"
        return "running" if self.pulling or not self.returned else "waiting"
