"""``adbc_get_info``: who this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa

__all__ = ["connection_info"]

_ADBC_VERSION = 1_001_000  # 1.1.0, the version of the standard whose surface this is


def connection_info() -> dict[str | int, Any]:
    """ADBC's info codes under the names that the manager's DB-API gives them."""
    try:
        ours = version("jammi-sql")
    except PackageNotFoundError:  # a checkout on the path, never installed
        ours = "unknown"
    return {
        "vendor_name": "Jammi SQL",
        "vendor_version": ours,
        "vendor_arrow_version": pa.__version__,
        "driver_name": "Jammi SQL DB-API",
        "driver_version": ours,
        "driver_arrow_version": pa.__version__,
        "driver_adbc_version": _ADBC_VERSION,
    }
