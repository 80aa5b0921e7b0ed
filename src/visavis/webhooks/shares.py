"""Which attempts may be made at once. Pure. No webhook and no account takes what others need: a slow receiver holds few
places, and one that fails holds fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from visavis.store.deliveries import DueWebhook, Share

MOST = 128
MOST_OF_ACCOUNT = 16
MOST_FRESH, MOST_RETRIES = 4, 2  # of one webhook
MOST_FRESH_FAILING, MOST_RETRIES_FAILING = 1, 1


@dataclass(slots=True)
class Running:
    """The attempts that are being made, counted."""

    of_webhook: Counter[tuple[str, bool]] = field(default_factory=Counter)  # and whether it is a retry
    of_account: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.of_account.total()

    def add(self, webhook_id: str, account_id: str, *, retry: bool) -> None:
        self.of_webhook[webhook_id, retry] += 1
        self.of_account[account_id] += 1

    def remove(self, webhook_id: str, account_id: str, *, retry: bool) -> None:
        self.of_webhook[webhook_id, retry] -= 1
        self.of_account[account_id] -= 1
        self.of_webhook, self.of_account = +self.of_webhook, +self.of_account

    def has_room(self) -> bool:
        return self.total < MOST


def shares_of(due: Iterable[DueWebhook], running: Running) -> dict[str, Share]:
    """Return what each of these webhooks may begin now. Those with the fewest attempts under way come first."""
    left = MOST - running.total
    left_of_account = {one.account_id: MOST_OF_ACCOUNT - running.of_account[one.account_id] for one in due}
    found = {}
    for one in _in_turn(list(due), running):
        most_fresh, most_retries = (
            (MOST_FRESH_FAILING, MOST_RETRIES_FAILING) if one.failing else (MOST_FRESH, MOST_RETRIES)
        )
        room = min(left, left_of_account[one.account_id])
        fresh = max(0, min(room, most_fresh - running.of_webhook[one.webhook_id, False]))
        retries = max(0, min(room - fresh, most_retries - running.of_webhook[one.webhook_id, True]))
        if fresh + retries > 0:
            found[one.webhook_id] = Share(fresh=fresh, retries=retries)
            left -= fresh + retries
            left_of_account[one.account_id] -= fresh + retries
    return found


def _in_turn(due: Sequence[DueWebhook], running: Running) -> list[DueWebhook]:
    return sorted(
        due, key=lambda one: running.of_webhook[one.webhook_id, False] + running.of_webhook[one.webhook_id, True]
    )
