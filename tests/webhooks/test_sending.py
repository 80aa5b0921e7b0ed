"""How events are sent: retries, fairness, rotation, replay and what disables a webhook. The clock of the schedule is
set by the tests; database and receiver are real.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from sqlalchemy import select
from standardwebhooks import Webhook

from tests.webhooks.receiver import Received, Receiver, receiving
from visavis.accounts.service import Accounts
from visavis.outbound.reach import allowed_by
from visavis.store.database import Database
from visavis.store.deliveries import DeliveryStore
from visavis.store.models import webhooks
from visavis.store.news import News, NewsType
from visavis.store.records import KeyRecord
from visavis.store.webhooks import WebhookStore
from visavis.webhooks.dispatcher import Dispatcher
from visavis.webhooks.post import Poster
from visavis.webhooks.schedule import TRIED_FOR_MS, next_attempt_ms
from visavis.webhooks.secrets import SecretSeal
from visavis.webhooks.service import Webhooks

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
NOW_MS = time.time_ns() // 1_000_000


@dataclass(slots=True)
class Sender:
    """Webhooks of one account, with a clock that stands still until a test sets it."""

    database: Database
    deliveries: DeliveryStore
    service: Webhooks
    dispatcher: Dispatcher
    key: KeyRecord
    clock: list[int]
    count: list[int] = field(default_factory=lambda: [0])

    async def tell(self, *, name: str | None = None) -> None:
        """Let something happen."""
        self.count[0] += 1
        told = name or f"Ann {self.count[0]}"
        news = News(
            account_id=self.key.account_id,
            test=False,
            type=NewsType.AVATAR_READY,
            subject_id="avat",
            data={"name": told},
            at_ms=self.clock[0],
        )
        await self.deliveries.write([news], due_at_ms=self.clock[0])

    async def send(self) -> int:
        """Make all attempts that are due, and wait for their outcomes; return how many they were."""
        made = 0
        while True:
            async with anyio.create_task_group() as tasks:
                begun = await self.dispatcher.begin_due(tasks)
            made += begun
            if not begun:
                return made

    def pass_time(self, hours: float) -> None:
        self.clock[0] += int(hours * HOUR_MS)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
async def sender(database_url: str) -> AsyncIterator[Sender]:
    database = await Database.open(database_url)
    clock = [NOW_MS]
    store, deliveries = WebhookStore(database), DeliveryStore(database)
    poster = Poster(is_allowed=allowed_by(("127.0.0.0/8",)), timeout_s=1.0)
    seal = SecretSeal(b"s" * 32)
    dispatcher = Dispatcher(
        deliveries=deliveries,
        webhooks=store,
        poster=poster,
        seal=seal,
        disable_after_s=72 * 3600,
        clock_ms=lambda: clock[0],
        chance=lambda: 0.5,
    )
    service = Webhooks(
        store=store,
        deliveries=deliveries,
        poster=poster,
        seal=seal,
        max_per_account=100,
        wake=dispatcher.poke,
        clock_ms=lambda: clock[0],
    )
    record, _ = await Accounts(database).create(name="tests")
    yield Sender(database, deliveries, service, dispatcher, record, clock)
    await database.aclose()


async def statuses(sender: Sender, webhook_id: str) -> list[str]:
    """The statuses of a webhook's deliveries, in order."""
    found = await sender.service.deliveries(sender.key, webhook_id, status=None, before_id=None, limit=100)
    return sorted(one.delivery.status for one in found)


def signatures(one: Received) -> list[str]:
    return one.headers["webhook-signature"].split()


def is_signed_by(one: Received, secret: str) -> bool:
    """Whether the signature fits, at whatever time it was made."""
    at = datetime.fromtimestamp(int(one.headers["webhook-timestamp"]), UTC)
    return Webhook(secret).sign(one.event_id, at, one.body.decode()) in signatures(one)


async def test_a_failed_delivery_is_tried_for_a_day_with_growing_pauses(sender: Sender, receiver: Receiver) -> None:
    hook, secret = await sender.service.create(sender.key, url=receiver.url, events=[])
    receiver.status = 500
    await sender.tell()
    attempts_ms: list[int] = []
    began_ms = sender.clock[0]
    while True:
        before = len(receiver.received)
        await sender.send()
        attempts_ms += [sender.clock[0] - began_ms] * (len(receiver.received) - before)
        due_ms = await sender.deliveries.next_due_ms()
        if due_ms is None:
            break
        sender.clock[0] = due_ms
    pauses = [later - earlier for earlier, later in itertools.pairwise(attempts_ms)]
    assert len(attempts_ms) == len(receiver.received) >= 15
    assert min(pauses) >= 5000 and attempts_ms[-1] == TRIED_FOR_MS
    assert await statuses(sender, hook.id) == ["failed"]
    assert len({one.event_id for one in receiver.received}) == 1 and len({one.body for one in receiver.received}) == 1
    assert len({one.headers["webhook-timestamp"] for one in receiver.received}) == len(receiver.received)
    assert all(is_signed_by(one, secret) for one in receiver.received)


def test_pauses_double_up_to_two_hours_until_a_day_is_over() -> None:
    began_ms, at_ms, pauses_s = 1_000, 1_000, []
    while (next_ms := next_attempt_ms(began_at_ms=began_ms, failed_at_ms=at_ms, chance=0.5)) is not None:
        pauses_s.append((next_ms - at_ms) // 1000)
        at_ms = next_ms
    assert pauses_s[:6] == [5, 5, 10, 20, 40, 80]
    assert set(pauses_s[12:-1]) == {7200} and sum(pauses_s) == 24 * 3600
    spread = [next_attempt_ms(began_at_ms=0, failed_at_ms=100_000, chance=chance) for chance in (0.0, 1.0)]
    assert spread == [180_000, 220_000]
    asked: dict[str, Any] = {"began_at_ms": 0, "failed_at_ms": 0, "chance": 0.5}
    assert next_attempt_ms(**asked, retry_after_ms=90_000) == 90_000
    assert next_attempt_ms(**asked, retry_after_ms=10**9) == 2 * HOUR_MS


async def test_a_retry_holds_nothing_back(sender: Sender, receiver: Receiver) -> None:
    hook, _ = await sender.service.create(sender.key, url=receiver.url, events=[])
    receiver.status = 503
    await sender.tell(name="first")
    await sender.send()
    receiver.status = 204
    await sender.tell(name="second")
    await sender.send()
    assert [one.event["data"]["name"] for one in receiver.received] == ["first", "second"]
    assert await statuses(sender, hook.id) == ["delivered", "pending"]
    sender.pass_time(0.1)
    await sender.send()
    assert await statuses(sender, hook.id) == ["delivered", "delivered"]
    assert receiver.received[0].event_id == receiver.received[2].event_id


async def test_a_slow_receiver_does_not_hold_others(sender: Sender, receiver: Receiver) -> None:
    sender.dispatcher._poster.timeout_s = 60.0
    with receiving() as slow:
        slow.gate.clear()
        await sender.service.create(sender.key, url=slow.url, events=[])
        await sender.service.create(sender.key, url=receiver.url, events=[])
        for _ in range(30):
            await sender.tell()
        async with anyio.create_task_group() as tasks:
            while len(receiver.received) < 30:  # though all attempts at the other one are still without an answer
                assert len(slow.received) <= 4
                await sender.dispatcher.begin_due(tasks)
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()


async def test_both_secrets_sign_until_the_overlap_is_over(sender: Sender, receiver: Receiver) -> None:
    hook, old = await sender.service.create(sender.key, url=receiver.url, events=[])
    _, new = await sender.service.rotate(sender.key, hook.id, overlap_ms=2 * HOUR_MS)
    await sender.tell()
    await sender.send()
    sender.pass_time(3)
    await sender.tell()
    await sender.send()
    during, after = receiver.received
    assert is_signed_by(during, old) and is_signed_by(during, new) and len(signatures(during)) == 2
    assert is_signed_by(after, new) and not is_signed_by(after, old)


async def test_a_replay_has_the_old_id_and_a_new_signature(sender: Sender, receiver: Receiver) -> None:
    hook, secret = await sender.service.create(sender.key, url=receiver.url, events=[])
    await sender.tell()
    await sender.send()
    (shown,) = await sender.service.deliveries(sender.key, hook.id, status=None, before_id=None, limit=10)
    sender.pass_time(100)
    again = await sender.service.replay(sender.key, hook.id, shown.delivery.id)
    assert again.delivery.status == "pending"
    await sender.send()
    first, second = receiver.received
    assert (first.event_id, first.body) == (second.event_id, second.body)
    assert signatures(first) != signatures(second) and is_signed_by(second, secret)
    _, attempts = await sender.service.delivery(sender.key, hook.id, shown.delivery.id)
    assert [(one.number, one.status_code, one.problem) for one in attempts] == [(1, 204, None), (2, 204, None)]


async def test_a_redirect_is_a_failure_and_leads_nowhere(sender: Sender, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        hook, _ = await sender.service.create(sender.key, url=receiver.url, events=[])
        await sender.tell()
        await sender.send()
        assert elsewhere.received == [] and await statuses(sender, hook.id) == ["pending"]
        (shown,) = await sender.service.deliveries(sender.key, hook.id, status=None, before_id=None, limit=10)
        _, attempts = await sender.service.delivery(sender.key, hook.id, shown.delivery.id)
        assert attempts[0].problem == "The answer was a redirect (307)"


async def test_410_disables_and_says_so(sender: Sender, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.status = 410
    hook, _ = await sender.service.create(sender.key, url=receiver.url, events=[])
    await sender.tell()
    await sender.send()
    shown = await sender.service.get(sender.key, hook.id)
    assert (shown.webhook.disabled_reason, shown.undelivered) == ("gone", 1)
    assert "webhook_disabled" in caplog.text


async def test_what_fails_for_days_is_disabled_with_a_word_and_offers_what_was_missed(
    sender: Sender, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    hook, _ = await sender.service.create(sender.key, url=receiver.url, events=[])
    for _ in range(4):
        await sender.tell()
        await sender.send()
        assert (await sender.service.get(sender.key, hook.id)).webhook.disabled_at_ms is None
        sender.pass_time(23)
    await sender.send()
    disabled = await sender.service.get(sender.key, hook.id)
    assert disabled.webhook.disabled_reason == "failing"
    assert "webhook_fails" in caplog.text and "webhook_disabled" in caplog.text
    seen = len(receiver.received)
    await sender.tell(name="while it was disabled")
    await sender.send()
    assert len(receiver.received) == seen
    receiver.status = 204
    enabled = await sender.service.change(sender.key, hook.id, enabled=True)
    assert (enabled.webhook.disabled_at_ms, enabled.undelivered) == (None, 5)
    await sender.send()
    assert len(receiver.received) == seen, "only if it is asked for"
    assert await sender.service.replay_undelivered(sender.key, hook.id) == 5
    await sender.send()
    assert {one.event["data"]["name"] for one in receiver.received[seen:]} == {
        *(f"Ann {count}" for count in range(1, 5)),
        "while it was disabled",
    }
    assert await statuses(sender, hook.id) == ["delivered"] * 5


async def test_one_success_forgives_all_failures(sender: Sender, receiver: Receiver) -> None:
    receiver.status = 500
    hook, _ = await sender.service.create(sender.key, url=receiver.url, events=[])
    await sender.tell()
    await sender.send()
    assert (await sender.service.get(sender.key, hook.id)).webhook.failing_since_ms == sender.clock[0]
    receiver.status = 200
    sender.pass_time(3)
    await sender.send()
    assert (await sender.service.get(sender.key, hook.id)).webhook.failing_since_ms is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://10.1.2.3/", "The address is not on the public internet"),
        ("http://localhost:1/", "The host cannot be reached"),
        ("http://nowhere.invalid/", "The name of the host cannot be found"),
    ],
)
async def test_what_cannot_be_sent_is_told_in_the_log(sender: Sender, url: str, problem: str) -> None:
    outcome = await Poster(is_allowed=allowed_by(("127.0.0.0/8", "::1/128"))).post(url, {}, b"{}")
    assert (outcome.status, outcome.problem) == (None, problem)


async def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(receiver: Receiver) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) > 1 else ["10.0.0.1"]  # another answer each time

    poster = Poster(is_allowed=lambda address: str(address) == "10.0.0.1", timeout_s=0.2, resolve=resolve)
    outcome = await poster.post(receiver.url.replace("127.0.0.1", "rebinding.example"), {}, b"{}")
    assert asked == ["rebinding.example"] and outcome.problem is not None
    assert receiver.received == []


async def test_old_events_are_forgotten(sender: Sender, receiver: Receiver) -> None:
    hook, _ = await sender.service.create(sender.key, url=receiver.url, events=[])
    await sender.tell()
    await sender.send()
    sender.pass_time(24 * 29)
    await sender.service.sweep(kept_ms=30 * 24 * HOUR_MS)
    assert await statuses(sender, hook.id) == ["delivered"]
    sender.pass_time(48)
    await sender.service.sweep(kept_ms=30 * 24 * HOUR_MS)
    assert await statuses(sender, hook.id) == []


async def test_secrets_are_encrypted_in_the_database(sender: Sender) -> None:
    hook, secret = await sender.service.create(sender.key, url="http://127.0.0.1:9/", events=[])
    _, rotated = await sender.service.rotate(sender.key, hook.id, overlap_ms=HOUR_MS)
    async with sender.database.read() as connection:
        stored = repr((await connection.execute(select(webhooks))).all())
    assert hook.id in stored
    for one in (secret, rotated):
        assert one not in stored and one.removeprefix("whsec_") not in stored


async def test_a_ping_goes_to_one_webhook_alone(sender: Sender, receiver: Receiver) -> None:
    with receiving() as other:
        hook, _ = await sender.service.create(sender.key, url=receiver.url, events=["session.ended"])
        await sender.service.create(sender.key, url=other.url, events=[])
        await sender.service.ping(sender.key, hook.id)
        await sender.send()
        assert (receiver.types, other.types) == (["ping"], [])
