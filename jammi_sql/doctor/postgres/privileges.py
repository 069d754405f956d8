"""What the user may do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..finding import Finding, ok, problem, warning
from .subject import Database

__all__ = ["has_schema", "privileges"]

_TABLES: Final = """
SELECT
    c.relname::text AS name,
    concat_ws(', ',
        CASE WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN 'SELECT' END,
        CASE WHEN NOT has_table_privilege(c.oid, 'INSERT') THEN 'INSERT' END,
        CASE WHEN NOT has_table_privilege(c.oid, 'UPDATE') THEN 'UPDATE' END,
        CASE WHEN NOT has_table_privilege(c.oid, 'DELETE') THEN 'DELETE' END
    ) AS missing,
    pg_has_role(c.relowner, 'USAGE') AS owned
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
ORDER BY c.relname
"""
_NAMED: Final = 3


def has_schema(database: Database) -> bool:
    """Whether the schema of the store is there."""
    return bool(database.value("SELECT count(*) > 0 AS value FROM pg_namespace WHERE nspname = $1", database.schema))


def privileges(database: Database) -> Iterator[Finding]:
    """Whether the user can make the store, or use the one that is there."""
    schema, user = database.schema, database.value("SELECT quote_ident(current_user::text) AS value")
    quoted = database.value("SELECT quote_ident($1) AS value", schema)
    if not has_schema(database):
        if database.value("SELECT has_database_privilege(current_database(), 'CREATE') AS value"):
            yield ok(f"schema {schema} is not there yet, and this user may make it")
        else:
            name = database.value("SELECT quote_ident(current_database()) AS value")
            yield problem(
                f"schema {schema} is not there, and this user may not make it",
                f"as an administrator: CREATE SCHEMA {quoted} AUTHORIZATION {user}; or GRANT CREATE ON DATABASE {name} TO {user}",
            )
        return
    lacking = [
        privilege
        for privilege in ("USAGE", "CREATE")
        if not database.value("SELECT has_schema_privilege($1, $2) AS value", schema, privilege)
    ]
    if lacking:
        yield problem(
            f"this user lacks {' and '.join(lacking)} on schema {schema}",
            f"as an administrator: GRANT USAGE, CREATE ON SCHEMA {quoted} TO {user}",
        )
    tables = database.session.rows(_TABLES, (schema,))
    short = [f"{row['missing']} on {row['name']}" for row in tables if row["missing"]]
    if short:
        shown = "; ".join(short[:_NAMED]) + ("; ..." if len(short) > _NAMED else "")
        yield problem(
            f"this user lacks {shown}",
            f"as an administrator: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {quoted} TO {user}",
        )
    foreign = [row["name"] for row in tables if not row["owned"]]
    if foreign and not short:
        yield warning(
            f"{len(foreign)} of {len(tables)} tables of schema {schema} belong to another user: a newer version of "
            "jammi-sql cannot bring them up to date as this one",
            f"upgrade as their owner, or GRANT the owner's role to {user}",
        )
    if not (lacking or short or foreign):
        yield ok(f"this user may read, write and change the {len(tables)} tables of schema {schema}")
