"""Rows that a transaction locks in PostgreSQL, because what it writes depends on what it has read beside them.
In SQLite every writing transaction has the database for itself.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.models import accounts, avatars, webhook_deliveries


async def lock_account(connection: AsyncConnection, account_id: str) -> None:
    """Let others that lock this account wait for the end of the transaction. Rows that refer to it can be added."""
    if connection.dialect.name == "sqlite":
        return
    await connection.execute(select(accounts.c.id).where(accounts.c.id == account_id).with_for_update(key_share=True))


async def lock_avatar(connection: AsyncConnection, avatar_id: str) -> None:
    """Let others that lock this avatar wait for the end of the transaction."""
    if connection.dialect.name == "sqlite":
        return
    await connection.execute(select(avatars.c.id).where(avatars.c.id == avatar_id).with_for_update(key_share=True))


async def lock_deliveries(connection: AsyncConnection, condition: ColumnElement[bool]) -> None:
    """Wait for the attempts of these deliveries that others note, and let others wait: who deletes deliveries deletes
    their attempts first, and has to see all of them.
    """
    if connection.dialect.name == "sqlite":
        return
    query = select(webhook_deliveries.c.id).where(condition).order_by(webhook_deliveries.c.id)
    await connection.execute(query.with_for_update())
