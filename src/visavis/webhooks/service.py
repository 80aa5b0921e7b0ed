"""Webhooks of accounts: made, changed, tested and removed by their keys, and the log of what was sent to them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from visavis.errors import (
    DeliveryNotFound,
    WebhookDisabled,
    WebhookExists,
    WebhookLimitReached,
    WebhookNotFound,
    WebhookUrlRefused,
)
from visavis.ids import is_id, new_id
from visavis.store.deliveries import DeliveryStore, Shown
from visavis.store.news import NewsType
from visavis.store.records import AttemptRecord, Owner, WebhookEventRecord, WebhookRecord
from visavis.store.webhooks import WebhookStore
from visavis.timestamps import now_ms
from visavis.webhooks.message import body_of, headers_of
from visavis.webhooks.post import Poster
from visavis.webhooks.secrets import SecretSeal, new_secret

TYPES = tuple(kind.value for kind in NewsType if kind is not NewsType.PING)  # that a webhook can choose
MAX_URL_CHARS = 2048
MAX_OVERLAP_MS = 7 * 24 * 3_600_000
MAX_LISTENERS = 4  # of an account
LISTENER_LASTS_MS = 60_000  # after it has last asked
MAX_TAKEN = 50  # events that a listener gets at once

_GONE_FOR_GOOD = {"client": "It was disabled", "failing": "It has failed for days", "gone": "It answered 410"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownWebhook:
    """A webhook, and how many of its deliveries were missed or have failed."""

    webhook: WebhookRecord
    undelivered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """An event as it is sent."""

    headers: dict[str, str]
    body: str


class Webhooks:
    """`wake`: called when something is due. `max_per_account`: how many webhooks an account may have."""

    def __init__(
        self,
        *,
        store: WebhookStore,
        deliveries: DeliveryStore,
        poster: Poster,
        seal: SecretSeal,
        max_per_account: int,
        wake: Callable[[], None],
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._store, self._deliveries, self._poster, self._seal = store, deliveries, poster, seal
        self._max_per_account = max_per_account
        self._wake, self._clock_ms = wake, clock_ms

    # A key sees the webhooks of its account and kind: a test key those of test keys. An operator finds the webhook of
    # any account first; that record stands for a key of its owner.

    async def find(self, webhook_id: str) -> WebhookRecord:
        """Return a webhook of any account. Raises `WebhookNotFound`."""
        found = await self._store.get(webhook_id) if is_id("hook", webhook_id) else None
        if found is None or not found.url:
            raise WebhookNotFound
        return found

    async def page(self, *, account_id: str | None, before_id: str | None, limit: int) -> list[ShownWebhook]:
        """Return webhooks of an account, or of all, newest first."""
        return await self._shown(await self._store.page(account_id=account_id, before_id=before_id, limit=limit))

    async def create(self, key: Owner, *, url: str, events: Collection[str]) -> tuple[WebhookRecord, str]:
        """Make a webhook; return it and its secret, which cannot be shown again. Raises `WebhookUrlRefused`,
        `WebhookExists` and `WebhookLimitReached`.
        """
        await self._check_url(url)
        record, secret = self._new(key, url=url, events=events)
        await self._store.add(record, check=lambda others: self._check_new(record, others))
        return record, secret

    def _new(self, key: Owner, *, url: str, events: Collection[str]) -> tuple[WebhookRecord, str]:
        secret, now = new_secret(), self._clock_ms()
        record = WebhookRecord(
            id=new_id("hook"),
            account_id=key.account_id,
            test=key.test,
            url=url,
            events=[name for name in TYPES if name in events],
            secret=self._seal.seal(secret),
            old_secret=None,
            old_secret_until_ms=None,
            created_at_ms=now,
            failing_since_ms=None,
            disabled_at_ms=None,
            disabled_reason=None,
            seen_at_ms=None if url else now,
        )
        return record, secret

    async def _check_url(self, url: str) -> None:
        refusal = f"is longer than {MAX_URL_CHARS} characters" if len(url) > MAX_URL_CHARS else None
        refusal = refusal or await self._poster.refusal_of(url)
        if refusal is not None:
            raise WebhookUrlRefused(f"The address {refusal}", suggestion="Use a public http(s) address of yours")

    def _check_new(self, record: WebhookRecord, others: list[WebhookRecord]) -> None:
        known = [one for one in others if one.url]
        self._check_url_is_new(record, record.url, known)
        if len(known) >= self._max_per_account:
            raise WebhookLimitReached(current=len(known), maximum=self._max_per_account)

    def _check_url_is_new(self, record: WebhookRecord, url: str, others: list[WebhookRecord]) -> None:
        if any(one.url == url and one.test is record.test and one.id != record.id for one in others):
            raise WebhookExists("There is a webhook with this address", suggestion="Change that one, or delete it")

    async def of(self, key: Owner) -> list[ShownWebhook]:
        """Return the webhooks of the key, oldest first."""
        return await self._shown(await self._store.of_account(key.account_id, test=key.test))

    async def _shown(self, found: list[WebhookRecord]) -> list[ShownWebhook]:
        missed = await self._store.missed([one.id for one in found])
        return [ShownWebhook(webhook=one, undelivered=missed.get(one.id, 0)) for one in found]

    async def get(self, key: Owner, webhook_id: str) -> ShownWebhook:
        """Raises `WebhookNotFound`."""
        webhook = await self._get(key, webhook_id)
        return ShownWebhook(webhook=webhook, undelivered=(await self._store.missed([webhook.id])).get(webhook.id, 0))

    async def _get(self, key: Owner, webhook_id: str, *, listener: bool = False) -> WebhookRecord:
        found = await self._store.get(webhook_id) if is_id("hook", webhook_id) else None
        if found is None or found.account_id != key.account_id or found.test is not key.test:
            raise WebhookNotFound
        if listener is bool(found.url):
            raise WebhookNotFound
        return found

    async def change(
        self,
        key: Owner,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Collection[str] | None = None,
        enabled: bool | None = None,
    ) -> ShownWebhook:
        """Change a webhook. What was missed while it was disabled is sent when `replay_undelivered` asks for it. Raises
        `WebhookNotFound`, `WebhookUrlRefused` and `WebhookExists`.
        """
        webhook = await self._get(key, webhook_id)
        if url is not None and url != webhook.url:
            await self._check_url(url)
        values: dict[str, object] = {} if url is None else {"url": url}
        if events is not None:
            values["events"] = [name for name in TYPES if name in events]
        if values:
            await self._store.change(
                webhook, check=lambda others: self._check_url_is_new(webhook, url or webhook.url, others), **values
            )
        if enabled is True and webhook.disabled_at_ms is not None:
            await self._store.enable(webhook)
        elif enabled is False:
            await self._store.disable(webhook.id, reason="client", at_ms=self._clock_ms())
        return await self.get(key, webhook_id)

    async def remove(self, key: Owner, webhook_id: str) -> WebhookRecord:
        """Remove a webhook with its log. Raises `WebhookNotFound`."""
        webhook = await self._get(key, webhook_id)
        await self._store.remove(webhook.id)
        return webhook

    async def rotate(self, key: Owner, webhook_id: str, *, overlap_ms: int) -> tuple[WebhookRecord, str]:
        """Give a webhook a new secret; until the overlap is over, the one before signs too. Returns what `create`
        returns. Raises `WebhookNotFound`.
        """
        webhook, secret = await self._get(key, webhook_id), new_secret()
        values: dict[str, Any] = {
            "secret": self._seal.seal(secret),
            "old_secret": webhook.secret if overlap_ms > 0 else None,
            "old_secret_until_ms": self._clock_ms() + overlap_ms if overlap_ms > 0 else None,
        }
        changed = await self._store.change(webhook, **values)
        if changed is None:
            raise WebhookNotFound
        return changed, secret

    # Deliveries

    async def ping(self, key: Owner, webhook_id: str) -> Shown:
        """Send a test event to a webhook alone. Raises `WebhookNotFound` and `WebhookDisabled`."""
        webhook = await self._get_enabled(key, webhook_id)
        event = WebhookEventRecord(
            id=new_id("evnt"),
            account_id=key.account_id,
            subject_id=webhook.id,
            number=None,
            type=NewsType.PING,
            key=None,
            data={"webhook_id": webhook.id},
            at_ms=self._clock_ms(),
        )
        shown = await self._deliveries.add_ping(webhook, event)
        if shown is None:
            raise WebhookNotFound
        self._wake()
        return shown

    async def _get_enabled(self, key: Owner, webhook_id: str) -> WebhookRecord:
        webhook = await self._get(key, webhook_id)
        if webhook.disabled_at_ms is not None:
            reason = _GONE_FOR_GOOD[webhook.disabled_reason or "client"]
            raise WebhookDisabled(f"This webhook is disabled: {reason[0].lower()}{reason[1:]}", suggestion="Enable it")
        return webhook

    async def deliveries(
        self, key: Owner, webhook_id: str, *, status: str | None, before_id: str | None, limit: int
    ) -> list[Shown]:
        """Return deliveries of a webhook, newest first. Raises `WebhookNotFound`."""
        webhook = await self._get(key, webhook_id)
        return await self._deliveries.newest(webhook.id, status=status, before_id=before_id, limit=limit)

    async def delivery(self, key: Owner, webhook_id: str, delivery_id: str) -> tuple[Shown, list[AttemptRecord]]:
        """Return a delivery and its attempts. Raises `WebhookNotFound` and `DeliveryNotFound`."""
        webhook = await self._get(key, webhook_id)
        return await self._delivery(webhook, delivery_id), await self._deliveries.attempts(delivery_id)

    async def _delivery(self, webhook: WebhookRecord, delivery_id: str) -> Shown:
        found = await self._deliveries.get(webhook.id, delivery_id) if is_id("dlvr", delivery_id) else None
        if found is None:
            raise DeliveryNotFound
        return found

    async def replay(self, key: Owner, webhook_id: str, delivery_id: str) -> Shown:
        """Send an event again, under its id. Raises `WebhookNotFound`, `DeliveryNotFound` and `WebhookDisabled`."""
        webhook = await self._get_enabled(key, webhook_id)
        await self._delivery(webhook, delivery_id)
        await self._deliveries.replay(webhook, delivery_id=delivery_id, at_ms=self._clock_ms())
        self._wake()
        return await self._delivery(webhook, delivery_id)

    async def replay_undelivered(self, key: Owner, webhook_id: str) -> int:
        """Send all that was missed or has failed; return how many. Raises `WebhookNotFound` and `WebhookDisabled`."""
        webhook = await self._get_enabled(key, webhook_id)
        count = await self._deliveries.replay(webhook, at_ms=self._clock_ms())
        self._wake()
        return count

    # Listeners: `visavis webhooks listen`

    async def listen(self, key: Owner, *, events: Collection[str]) -> tuple[WebhookRecord, str]:
        """Make a listener, which fetches events instead of getting them; return it and its secret. Raises
        `WebhookLimitReached`.
        """
        record, secret = self._new(key, url="", events=events)

        def check(others: list[WebhookRecord]) -> None:
            listening = [one for one in others if not one.url and (one.seen_at_ms or 0) > now_ms() - LISTENER_LASTS_MS]
            if len(listening) >= MAX_LISTENERS:
                raise WebhookLimitReached(current=len(listening), maximum=MAX_LISTENERS)

        await self._store.add(record, check=check)
        return record, secret

    async def take(self, key: Owner, listener_id: str) -> list[Signed]:
        """Return the signed events that wait for a listener, oldest first. They do not come again. Raises
        `WebhookNotFound`.
        """
        listener, now = await self._get(key, listener_id, listener=True), self._clock_ms()
        await self._store.change(listener, seen_at_ms=now)
        secrets = self._seal.secrets_of(listener, at_ms=now)
        taken = await self._deliveries.take(listener.id, most=MAX_TAKEN, at_ms=now)
        bodies = [(one.event.id, body_of(one.event)) for one in taken]
        return [Signed(headers=headers_of(event_id, body, secrets, at_ms=now), body=body) for event_id, body in bodies]

    async def stop_listening(self, key: Owner, listener_id: str) -> None:
        """Raises `WebhookNotFound`."""
        await self._store.remove((await self._get(key, listener_id, listener=True)).id)

    async def sweep(self, *, kept_ms: int) -> None:
        """Forget what is older than so long, and listeners that ask no more."""
        now = self._clock_ms()
        await self._deliveries.sweep(before_ms=now - kept_ms)
        silent = await self._store.silent_listeners(before_ms=now - LISTENER_LASTS_MS)
        if silent:
            await self._store.remove(*silent)
