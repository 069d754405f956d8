"""What stores and attached sources share: ADBC's low-level API, pools of connections, named queries.

Nothing here knows what the databases are for.
"""

from __future__ import annotations

__all__: list[str] = []
