"""The database role of the stages' machines: it may log in and call the two functions of stage_rows.py."""

from __future__ import annotations

import re
import secrets

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.errors import DatabaseUnusable
from visavis.store.database import Database

NAME = "visavis_stage"
_FUNCTIONS = ("visavis_enter_stage", "visavis_renew_stage")
_INSUFFICIENT_PRIVILEGE = "42501"  # PostgreSQL's SQLSTATE
_MAKING_ROLES = (
    "Let the role of VISAVIS_DATABASE_URL make roles, for this command alone: ALTER ROLE … CREATEROLE, and then "
    "NOCREATEROLE"
)
_MAY_DO_MORE = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")

# What a role can reach beside what it is given here: because everybody can, or because it is not new.
_OTHER_RIGHTS = text("""
SELECT 'to use ' || c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND (has_any_column_privilege(:role, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
        OR has_table_privilege(:role, c.oid, 'DELETE, TRUNCATE, TRIGGER'))
UNION ALL
SELECT 'to create in the schema ' || nspname FROM pg_namespace
WHERE nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(:role, oid, 'CREATE')
UNION ALL
SELECT 'to create schemas' WHERE has_database_privilege(:role, current_database(), 'CREATE')
UNION ALL
SELECT 'of the role ' || m.roleid::regrole FROM pg_auth_members m WHERE m.member = CAST(:role AS regrole)
LIMIT 5
""")


async def make_stage_role(database: Database, *, name: str = NAME) -> str:
    """Make the role, or give the one of this name a new password; return the address of the database for it.

    Raises `DatabaseUnusable` if our own role may not make roles, or if the other one could do anything else: then
    nothing is changed.
    """
    if not database.is_shared:
        raise DatabaseUnusable(
            "An SQLite database is not shared with other machines",
            suggestion="Set VISAVIS_DATABASE_URL to a PostgreSQL",
        )
    if re.fullmatch("[a-z_][a-z0-9_]{0,62}", name) is None:
        raise DatabaseUnusable(f"{name!r} is no name of a role", suggestion="Write small letters, digits and _")
    password = secrets.token_urlsafe(32)  # needs no quoting, neither in SQL nor in an address
    try:
        async with database.write() as connection:
            await _make(connection, name, password)
    except DBAPIError as error:
        lacks_right = getattr(error.orig, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE
        told = getattr(error.orig, "__cause__", None) or error.orig
        raise DatabaseUnusable(
            f"The role {name} cannot be made: {told}", suggestion=_MAKING_ROLES if lacks_right else None
        ) from error
    address = make_url("postgresql://" + database.url.partition("://")[2])
    return address.set(username=name, password=password).render_as_string(hide_password=False)


async def _make(connection: AsyncConnection, name: str, password: str) -> None:
    exists = await connection.scalar(text("SELECT true FROM pg_roles WHERE rolname = :role"), {"role": name})
    verb = "ALTER" if exists else "CREATE"
    await connection.exec_driver_sql(f"{verb} ROLE {name} LOGIN NOINHERIT PASSWORD '{password}'")
    schema = await connection.scalar(text("SELECT quote_ident(current_schema())"))
    await connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    for function in _FUNCTIONS:
        await connection.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {schema}.{function} TO {name}")
    more = " OR ".join(_MAY_DO_MORE)
    if await connection.scalar(text(f"SELECT {more} FROM pg_roles WHERE rolname = :role"), {"role": name}):
        raise DatabaseUnusable(f"The role {name} may do more than enter stages", suggestion="Choose another name")
    if others := list(await connection.scalars(_OTHER_RIGHTS, {"role": name})):
        raise DatabaseUnusable(
            f"The role {name} would have other rights: {'; '.join(others)}",
            suggestion="Take them from PUBLIC (REVOKE … FROM PUBLIC), or choose another name",
        )
