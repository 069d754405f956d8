"""Functions about the session that runs the statement."""

from __future__ import annotations

import pyarrow as pa

from jammi_sql.function import SessionFacts, scalar_function

__all__ = ["current_tenant"]


@scalar_function(inputs=[], returns=pa.string(), volatility="stable", session=True, example="current_tenant() IS NULL")
def current_tenant(session: SessionFacts) -> pa.StringArray:
    """The tenant that the session is bound to, as the text of its UUID, or NULL without one.

    Follows ``SET tenant`` and ``RESET tenant``: each statement sees the tenant in force when it runs.
    """
    tenant = session.tenant
    return pa.array([None if tenant is None else str(tenant)], pa.string())
