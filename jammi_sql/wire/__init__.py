"""Sessions on a server: ``jammi_sql.connect("grpc://...")``, behind the same ports as those in process."""

from __future__ import annotations

from .options import WireOptions, refuse_local
from .session import WireSession

__all__ = ["WireOptions", "WireSession", "refuse_local"]
