"""Sends the deliveries that are due. One task for each attempt; shares.py decides how many at once. What this process
does not finish, because it dies, is tried again when its claim has run out, here or by another server.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup

from visavis import __version__
from visavis.store.deliveries import Claimed, DeliveryStore
from visavis.store.news import DeliveryStatus
from visavis.store.records import AttemptRecord
from visavis.store.webhooks import WebhookStore
from visavis.timestamps import now_ms
from visavis.webhooks.message import body_of, headers_of
from visavis.webhooks.post import Outcome, Poster, shown_host
from visavis.webhooks.schedule import next_attempt_ms
from visavis.webhooks.secrets import SecretSeal
from visavis.webhooks.shares import Running, shares_of

LOOK_EVERY_S = 0.5
SETTLE_S = 0.02  # after a poke: news that come together are claimed together, when their transaction is over
CLAIM_MARGIN_S = 5.0  # a claim outlasts the longest attempt by so much
GONE = 410

_CHANCE = random.SystemRandom()  # of its own: programs that this server runs in may have seeded the common one

log = structlog.get_logger()


class Dispatcher:
    """`disable_after_s`: a webhook that has only failed for so long is disabled. `chance`: random, 0 to 1."""

    def __init__(
        self,
        *,
        deliveries: DeliveryStore,
        webhooks: WebhookStore,
        poster: Poster,
        seal: SecretSeal,
        disable_after_s: float,
        clock_ms: Callable[[], int] = now_ms,
        chance: Callable[[], float] = _CHANCE.random,
    ) -> None:
        self._deliveries, self._webhooks = deliveries, webhooks
        self._poster, self._seal = poster, seal
        self._disable_after_ms = int(disable_after_s * 1000)
        self._clock_ms, self._chance = clock_ms, chance
        self._running = Running()
        self._poked = anyio.Event()  # replaced before each wait
        self._failed = False  # since the last look that succeeded

    def poke(self) -> None:
        """Look at once: something may be due."""
        self._poked.set()

    async def run(self) -> None:
        """Send until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._poked = anyio.Event()
                try:
                    await self.begin_due(tasks)
                    self._failed = False
                except Exception as error:  # noqa: BLE001  # whatever it was, the next look tries again
                    if not self._failed:
                        log.error("webhooks_not_sent", problem=str(getattr(error, "orig", None) or error))
                    self._failed = True
                with anyio.move_on_after(LOOK_EVERY_S):
                    await self._poked.wait()
                    await anyio.sleep(SETTLE_S)

    async def begin_due(self, tasks: TaskGroup) -> int:
        """Begin the attempts that are due and for which there is room, in `tasks`; return how many."""
        now = self._clock_ms()
        due_ms = await self._deliveries.next_due_ms() if self._running.has_room() else None
        if due_ms is None or due_ms > now:
            return 0
        shares = shares_of(await self._deliveries.due(now_ms=now), self._running)
        if not shares:
            return 0
        lasts_ms = int((self._poster.timeout_s + CLAIM_MARGIN_S) * 1000)
        claimed = await self._deliveries.claim(shares, now_ms=now, lasts_ms=lasts_ms)
        for one in claimed:
            self._running.add(one.webhook.id, one.webhook.account_id, retry=one.delivery.tried)
            tasks.start_soon(partial(self._attempt, one))
        return len(claimed)

    async def _attempt(self, claimed: Claimed) -> None:
        webhook = claimed.webhook
        try:
            await self._send(claimed)
        except Exception:  # the outermost edge of an attempt: its claim runs out, and it is made again
            log.exception("webhook_attempt_failed", webhook_id=webhook.id, delivery_id=claimed.delivery.id)
        finally:
            self._running.remove(webhook.id, webhook.account_id, retry=claimed.delivery.tried)
            self.poke()

    async def _send(self, claimed: Claimed) -> None:
        began = self._clock_ms()
        body = body_of(claimed.event)
        secrets = self._seal.secrets_of(claimed.webhook, at_ms=began)
        headers = headers_of(claimed.event.id, body, secrets, at_ms=began)
        told = {"Content-Type": "application/json", "User-Agent": f"visavis/{__version__}", **headers}
        began_s = anyio.current_time()
        outcome = await self._poster.post(claimed.webhook.url, told, body.encode())
        with anyio.CancelScope(shield=True):
            await self._note(claimed, outcome, at_ms=began, duration_ms=int((anyio.current_time() - began_s) * 1000))

    async def _note(self, claimed: Claimed, outcome: Outcome, *, at_ms: int, duration_ms: int) -> None:
        delivery, webhook = claimed.delivery, claimed.webhook
        attempt = AttemptRecord(
            delivery_id=delivery.id,
            number=delivery.attempts + 1,
            at_ms=at_ms,
            duration_ms=duration_ms,
            status_code=outcome.status,
            problem=None if outcome.problem is None else outcome.problem[:200],
        )
        if outcome.problem is None:
            await self._deliveries.note(delivery, attempt, status=DeliveryStatus.DELIVERED, due_at_ms=None)
            return
        due_at_ms = next_attempt_ms(
            began_at_ms=delivery.began_at_ms,
            failed_at_ms=at_ms + duration_ms,
            chance=self._chance(),
            retry_after_ms=outcome.retry_after_ms,
        )
        status = DeliveryStatus.FAILED if due_at_ms is None else DeliveryStatus.PENDING
        since_ms = await self._deliveries.note(delivery, attempt, status=status, due_at_ms=due_at_ms)
        told = {"webhook_id": webhook.id, "account_id": webhook.account_id, "host": shown_host(webhook.url)}
        if webhook.failing_since_ms is None:
            log.warning("webhook_fails", **told, problem=outcome.problem)
        if due_at_ms is None:
            log.warning("webhook_delivery_given_up", **told, delivery_id=delivery.id, problem=outcome.problem)
        reason = None
        if outcome.status == GONE:
            reason = "gone"
        elif since_ms is not None and at_ms - since_ms >= self._disable_after_ms:
            reason = "failing"
        if reason is not None and await self._webhooks.disable(webhook.id, reason=reason, at_ms=self._clock_ms()):
            log.warning("webhook_disabled", **told, reason=reason, problem=outcome.problem)
