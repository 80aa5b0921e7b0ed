"""Webhooks that are removed, and sessions that are deleted, while others write what refers to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict

import anyio
import pytest
from sqlalchemy import insert, text

from tests.store.records import make_session, make_webhook
from tests.store.waiting import until_waiting
from visavis.accounts.service import Accounts
from visavis.store.database import Database
from visavis.store.deliveries import DeliveryStore, Share
from visavis.store.models import sessions
from visavis.store.news import END_WAITS_MS, ENDED, News, NewsType, forget_news, news_of, write_news
from visavis.store.records import SessionRecord, WebhookEventRecord, WebhookRecord
from visavis.store.sessions import SessionStore
from visavis.store.webhooks import WebhookStore

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(postgresql_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(postgresql_url, connections=5)
    yield opened
    await opened.aclose()


async def add_webhook(database: Database) -> tuple[WebhookRecord, SessionRecord]:
    """Add a webhook and a session of one account."""
    key, _ = await Accounts(database).create(name="customer")
    session = make_session("sess_1", account_id=key.account_id, key_id=key.id)
    hook = make_webhook("hook_1", account_id=key.account_id)
    async with database.write() as connection:
        await connection.execute(insert(sessions).values(**asdict(session)))
    await WebhookStore(database).add(hook, check=lambda _: None)
    return hook, session


def spoken(session: SessionRecord) -> News:
    return news_of(session, NewsType.UTTERANCE_FINISHED, 2, utterance_id="u")


async def count(database: Database, *tables: str) -> list[int]:
    async with database.read() as connection:
        return [(await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() for table in tables]


async def test_a_webhook_goes_after_the_news_that_are_about_to_refer_to_it(database: Database) -> None:
    hook, session = await add_webhook(database)
    async with database.write() as holding:
        await holding.execute(text("SELECT id FROM sessions FOR UPDATE"))
        writing: asyncio.Task[object] = asyncio.create_task(DeliveryStore(database).write([spoken(session)]))
        await until_waiting(database, writing)  # for the session: they know which webhooks there are
        removing: asyncio.Task[object] = asyncio.create_task(WebhookStore(database).remove(hook.id))
        await until_waiting(database, removing, others=1)
    await asyncio.gather(writing, removing)
    assert await count(database, "webhooks", "webhook_deliveries", "webhook_events") == [0, 0, 1]


async def test_a_webhook_goes_after_the_news_that_refer_to_it(database: Database) -> None:
    hook, session = await add_webhook(database)
    async with database.write() as connection:
        await write_news(connection, spoken(session))
        removing: asyncio.Task[object] = asyncio.create_task(WebhookStore(database).remove(hook.id))
        await until_waiting(database, removing)
    await removing
    assert await count(database, "webhooks", "webhook_deliveries", "webhook_events") == [0, 0, 1]


async def test_no_news_wait_for_the_removal_of_a_webhook(database: Database) -> None:
    hook, session = await add_webhook(database)
    deliveries = DeliveryStore(database)
    await deliveries.write([spoken(session)])
    async with database.write() as claiming:
        await claiming.execute(text("SELECT id FROM webhook_deliveries FOR UPDATE"))
        removing: asyncio.Task[object] = asyncio.create_task(WebhookStore(database).remove(hook.id))
        await until_waiting(database, removing)
        with anyio.fail_after(5):
            await deliveries.write([spoken(session)])
            assert await deliveries.add_ping(hook, ping(hook)) is None
            assert await deliveries.replay(hook, at_ms=3) == 0
        assert not removing.done()
    await removing
    assert await count(database, "webhooks", "webhook_deliveries", "webhook_events") == [0, 0, 1]


def ping(hook: WebhookRecord) -> WebhookEventRecord:
    return WebhookEventRecord(
        id="evnt_1",
        account_id=hook.account_id,
        subject_id=hook.id,
        number=None,
        type="ping",
        key=None,
        data={},
        at_ms=1,
    )


async def test_a_session_is_deleted_though_an_attempt_to_tell_of_it_is_being_noted(database: Database) -> None:
    _, session = await add_webhook(database)
    await DeliveryStore(database).write([spoken(session)])
    async with database.write() as noting:
        # as `DeliveryStore.note` does it
        await noting.execute(text("UPDATE webhook_deliveries SET attempts = 1"))
        attempt = "INSERT INTO webhook_attempts SELECT id, 1, 1, 1, NULL, NULL FROM webhook_deliveries"
        await noting.execute(text(attempt))
        deleting: asyncio.Task[object] = asyncio.create_task(SessionStore(database).delete(session.id))
        await until_waiting(database, deleting)
    assert await deleting
    assert await count(database, "webhook_attempts", "webhook_deliveries", "webhook_events", "sessions") == [0] * 4


async def test_news_of_a_session_that_was_deleted_are_none(database_url: str) -> None:
    database = await Database.open(database_url)
    _, session = await add_webhook(database)
    assert await SessionStore(database).delete(session.id)
    await DeliveryStore(database).write([spoken(session)])
    assert await count(database, "webhook_events", "webhook_deliveries") == [0, 0]
    await database.aclose()


async def test_a_webhook_is_disabled_while_a_failed_attempt_is_being_noted(database: Database) -> None:
    hook, session = await add_webhook(database)
    await DeliveryStore(database).write([spoken(session)])
    async with database.write() as noting:
        # as `DeliveryStore.note` does it: the delivery, then the webhook
        await noting.execute(text("SELECT id FROM webhooks FOR KEY SHARE"))
        await noting.execute(text("UPDATE webhook_deliveries SET attempts = 1"))
        disabling: asyncio.Task[object] = asyncio.create_task(
            WebhookStore(database).disable(hook.id, reason="client", at_ms=3)
        )
        await until_waiting(database, disabling)
        await noting.execute(text("UPDATE webhooks SET failing_since_ms = 2"))
    assert await disabling
    columns = "failing_since_ms, disabled_at_ms, webhook_deliveries.attempts, status, due_at_ms"
    async with database.read() as connection:
        found = await connection.execute(text(f"SELECT {columns} FROM webhooks, webhook_deliveries"))
    assert tuple(found.one()) == (2, 3, 1, "missed", None)


def ended(session: SessionRecord) -> News:
    return news_of(session, NewsType.SESSION_ENDED, 2, key=ENDED)


async def test_a_session_is_deleted_while_its_end_is_about_to_be_numbered_and_sent(database: Database) -> None:
    hook, session = await add_webhook(database)
    async with database.write() as connection:
        await write_news(connection, ended(session), ended_waits=True, due_at_ms=1)
    async with database.write() as deleting:
        # as `SessionStore.delete` does it: the session, then its deliveries
        await deleting.execute(text("DELETE FROM sessions"))
        claiming = asyncio.create_task(claim(database, hook))
        await until_waiting(database, claiming)
        await forget_news(deleting, session.id)
    assert await claiming == []
    assert await count(database, "webhook_deliveries", "webhook_events", "sessions") == [0, 0, 0]


async def claim(database: Database, hook: WebhookRecord) -> list[tuple[str, int | None]]:
    """Claim what is due after an end has waited; return its types and numbers."""
    shares = {hook.id: Share(fresh=10, retries=0)}
    claimed = await DeliveryStore(database).claim(shares, now_ms=1 + END_WAITS_MS, lasts_ms=1)
    return [(one.event.type, one.event.number) for one in claimed]


async def test_an_end_that_nobody_has_numbered_is_sent_with_its_number(database_url: str) -> None:
    database = await Database.open(database_url)
    hook, session = await add_webhook(database)
    async with database.write() as connection:
        await write_news(connection, spoken(session), due_at_ms=1)
        await write_news(connection, ended(session), ended_waits=True, due_at_ms=1)
    claimed = [await claim(database, hook) for _ in range(3)]
    assert claimed == [[("session.utterance_finished", 1)], [("session.ended", 2)], []]
    await database.aclose()
