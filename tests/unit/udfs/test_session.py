"""Functions about the session."""

from __future__ import annotations

from typing import Any

from datafusion import SessionContext

from jammi_sql.engine.functions import FunctionLibrary
from jammi_sql.tenancy import TenantId

ACME = TenantId("01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a")
OTHER = TenantId("01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9b")


def test_current_tenant_is_null_without_one(sql: Any) -> None:
    assert sql.rows("SELECT current_tenant() FROM generate_series(1, 3)") == [(None,)] * 3


def test_current_tenant_follows_the_session_also_in_views_and_in_planned_queries(sql: Any) -> None:
    sql.table("CREATE VIEW who AS SELECT current_tenant() AS t FROM generate_series(1, 2)")
    planned = sql.context.sql("SELECT current_tenant() AS t FROM generate_series(1, 2)")
    for tenant in (ACME, OTHER):
        sql.tenant = tenant
        assert sql.rows("SELECT t FROM who") == [(str(tenant),)] * 2
        assert planned.to_pydict() == {"t": [str(tenant)] * 2}


def test_two_sessions_of_one_library_each_have_their_own_tenant(sql: Any) -> None:
    class Other:
        tenant = OTHER

    library: FunctionLibrary = sql.library
    context = SessionContext()
    library.register(context, Other())
    sql.tenant = ACME
    assert context.sql("SELECT current_tenant() AS t").to_pydict() == {"t": [str(OTHER)]}
    assert sql.rows("SELECT current_tenant()") == [(str(ACME),)]


def test_current_tenant_is_a_constant_that_filters_can_be_pushed_down_with(sql: Any) -> None:
    sql.tenant = ACME
    (plan,) = {
        text
        for kind, text in sql.rows("EXPLAIN SELECT * FROM (VALUES ('a')) v(t) WHERE t = current_tenant()")
        if kind == "physical_plan"
    }
    assert str(ACME) in plan
    assert "current_tenant" not in plan


def test_it_may_stand_anywhere_in_a_statement(sql: Any) -> None:
    sql.tenant = ACME
    assert sql.rows(
        """SELECT sum(value), max(CASE WHEN value = 1 THEN current_tenant() END)
           FROM generate_series(1, 3) WHERE current_tenant() IS NOT NULL
           GROUP BY current_tenant() ORDER BY current_tenant()"""
    ) == [(6, str(ACME))]
