"""The Flight SQL server: the third face of a session, for clients in other processes."""

from __future__ import annotations
