"""The engine: catalogue, session, transactions and the providers that DataFusion scans."""

from .engine import Engine
from .session import Session

__all__ = ["Engine", "Session"]
