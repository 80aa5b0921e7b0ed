"""Rows that a transaction locks in PostgreSQL, because what it writes depends on what it has read beside them.
In SQLite every writing transaction has the database for itself.

Two transactions that lock the same rows in two orders would wait for each other until PostgreSQL breaks one of them
off. So all of them lock in this order, and rows of one table by their ids:

    session  ─►  account
    session  ─►  webhook (held)  ─►  deliveries  ─►  webhook (written)

Whoever writes a webhook's own columns beside its deliveries holds it first and writes it last: to hold and to write it
do not exclude each other. Whoever does not wait for a row (SKIP LOCKED) may take it at any place.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from visavis.store.models import accounts, avatars, sessions, webhook_deliveries, webhooks


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


async def lock_sessions(connection: AsyncConnection, session_ids: Collection[str]) -> None:
    """Let others that lock these sessions wait for the end of the transaction. Rows that refer to them can be added."""
    if connection.dialect.name == "sqlite" or not session_ids:
        return
    query = select(sessions.c.id).where(sessions.c.id.in_(session_ids)).order_by(sessions.c.id)
    await connection.execute(query.with_for_update(key_share=True))


async def hold_webhook(connection: AsyncConnection, webhook_id: str) -> bool:
    """Keep a webhook from being removed before the end of the transaction, which writes something that refers to it.
    Returns False if it is gone, or is being removed: nobody waits for that. Many can hold it at the same time. Comes
    before locks on its deliveries, as in `lock_webhooks`.
    """
    query = select(webhooks.c.id).where(webhooks.c.id == webhook_id)
    held = await connection.execute(query.with_for_update(read=True, key_share=True, skip_locked=True))
    return held.first() is not None


async def lock_webhooks(connection: AsyncConnection, webhook_ids: Collection[str]) -> None:
    """Wait for all who hold these webhooks, and let nobody hold them any more: they are about to be removed."""
    if connection.dialect.name == "sqlite":
        return
    query = select(webhooks.c.id).where(webhooks.c.id.in_(webhook_ids)).order_by(webhooks.c.id)
    await connection.execute(query.with_for_update())


async def lock_deliveries(connection: AsyncConnection, condition: ColumnElement[bool]) -> None:
    """Wait for the attempts of these deliveries that others note, and let others wait: who deletes deliveries deletes
    their attempts first, and has to see all of them.
    """
    if connection.dialect.name == "sqlite":
        return
    query = select(webhook_deliveries.c.id).where(condition).order_by(webhook_deliveries.c.id)
    await connection.execute(query.with_for_update())
