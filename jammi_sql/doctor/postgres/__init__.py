"""Checks of a PostgreSQL database. All of them only read, each query in a transaction of its own."""

from __future__ import annotations

from typing import Final

from ..finding import Check
from .clock import clock
from .privileges import privileges
from .schema import schema_version
from .server import connection, durability, encoding, encryption, upkeep, version, writable
from .sessions import free_connections, pooler, timeouts
from .space import slots, space
from .subject import Database, Session, connected

__all__ = ["CHECKS", "Database", "Session", "connected"]

CHECKS: Final = (
    Check("connection", connection, vital=True),
    Check("encryption", encryption),
    Check("version", version, vital=True),
    Check("encoding", encoding),
    Check("writable", writable),
    Check("durability", durability),
    Check("privileges", privileges),
    Check("schema", schema_version),
    Check("clock", clock),
    Check("connections", free_connections),
    Check("timeouts", timeouts),
    Check("pooler", pooler),
    Check("upkeep", upkeep),
    Check("space", space),
    Check("slots", slots),
)
