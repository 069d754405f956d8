"""What goes on in an engine: its sessions and their statements, as ``jammi.system`` shows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ..dialect.fingerprint import fingerprint, without_values
from ..tenancy import TenantId
from .execution import Execution

if TYPE_CHECKING:
    from .planning import Planning
    from .session import Session

__all__ = ["executions", "queries", "sessions", "subscriptions"]

_LONGEST: Final = 10_000  # characters of a statement that are shown
_SHOWN: Final = frozenset(
    {"SELECT", "WITH", "FROM", "VALUES", "TABLE", "EXPLAIN", "INSERT", "UPDATE", "DELETE", "MERGE"}
)
"""Statements whose literals are data. Those of others may be credentials."""


def executions(session: Session, tenant: TenantId | None) -> Iterator[tuple[Session, Execution]]:
    """The statements that ``session`` may see while it speaks for ``tenant``, with their sessions."""
    for other in _visible(session):
        for execution in other.running.executions:
            if execution.tenant == tenant:
                yield other, execution


def sessions(session: Session, planning: Planning) -> list[dict[str, Any]]:
    """The rows of ``jammi.system.sessions``."""
    return [
        {
            "id": other.id,
            "tenant": None if other.tenant is None else str(other.tenant),
            "since": other.since,
            "interface": other.origin.interface,
            "address": other.origin.address,
            "user_agent": other.origin.user_agent,
            "in_transaction": other.in_transaction,
            "queries": len(other.running.executions),
            "is_own": other is session,
        }
        for other in _visible(session)
        if other.tenant == planning.tenant
    ]


def queries(session: Session, planning: Planning) -> list[dict[str, Any]]:
    """The rows of ``jammi.system.queries``."""
    now = time.time()
    return [
        {
            "id": execution.id,
            "session": owner.id,
            "tenant": None if execution.tenant is None else str(execution.tenant),
            "statement": _shown(execution.text),
            "fingerprint": fingerprint(execution.text)[1],
            "started": datetime.fromtimestamp(execution.started, UTC),
            "elapsed": timedelta(seconds=max(0.0, now - execution.started)),
            "state": execution.state,
            "rows": execution.rows,
        }
        for owner, execution in executions(session, planning.tenant)
    ]


def subscriptions(session: Session, planning: Planning) -> list[dict[str, Any]]:
    """The rows of ``jammi.system.subscriptions``."""
    shown = {None, *(other.id for other in _visible(session))}
    return [
        {
            "id": str(subscription.id),
            "session": subscription.session,
            "topic": subscription.topic.name,
            "predicate": subscription.description,
            "last_delivered_offset": None if subscription.last_delivered < 0 else subscription.last_delivered,
            "lag": subscription.head - subscription.position,
            "since": subscription.since.astimezone(UTC),
            "delivered": subscription.delivered,
            "rows": subscription.rows,
        }
        for subscription in session.engine.subscriber.live
        if subscription.tenant == planning.tenant and subscription.session in shown
    ]


def _visible(session: Session) -> list[Session]:
    """All sessions of the engine, but those of who may do more than this one."""
    return [other for other in session.engine.sessions if _is_free(session) or not _is_free(other)]


def _is_free(session: Session) -> bool:
    """Whether it may choose its tenant."""
    return session.access is None or session.access.tenants


def _shown(text: str) -> str:
    return text.strip()[:_LONGEST] if fingerprint(text)[0] in _SHOWN else without_values(text)
