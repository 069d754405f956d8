"""Names that our own clients and the server agree on beside the messages."""

from __future__ import annotations

from typing import Final

__all__ = ["ACTION", "PUT", "RAW", "SESSION", "STATE"]

ACTION: Final = "Session"
"""The action whose body is a request of a session."""
PUT: Final = b"jammi-session:"
"""Before a request that is the command of a DoPut."""
RAW: Final = b"jammi-raw"
"""The ``app_metadata`` of a first message after which the bytes of a file come, not rows."""
SESSION: Final = "jammi-session"
"""The header in which a call names its session; empty: it wants a new one."""
STATE: Final = "jammi-state-bin"
"""The trailing metadata that holds the state of the session."""
