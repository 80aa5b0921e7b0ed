"""Which calls are tried again, and when. Pure: no network and no clock.

Every POST of this client has an Idempotency-Key, so each call may be repeated without being performed twice.
"""

from __future__ import annotations

from visavis_client.errors import NoCapacity, RateLimited, Refused, ServerUnreachable, VisavisError

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
# Clients that were refused at once come back spread over a third of the wait.
SPREAD = 1 / 3
AGAIN_STATUS = frozenset({408, 502, 503, 504})
AGAIN_CODES = frozenset({"IDEMPOTENCY_IN_PROGRESS"})


def wait_before_retry_s(error: VisavisError, attempt: int, chance: float) -> float | None:
    """Return after how many seconds to repeat a call, None where repeating it is no use.

    `attempt`: how often the call has failed, from 1. `chance`: a random number from 0 to 1. A plan that is full, a
    quota that is used up, a wrong call, and whatever the server says is no use are never repeated.
    """
    if not _may_succeed_later(error):
        return None
    asked_s = error.retry_after_s if isinstance(error, Refused) else None
    if asked_s is not None:
        return asked_s * (1 + SPREAD * chance)
    longest_s = min(FIRST_WAIT_S * 2.0 ** (attempt - 1), LONGEST_WAIT_S)
    return longest_s * (1 - SPREAD * chance)


def _may_succeed_later(error: VisavisError) -> bool:
    if isinstance(error, Refused) and error.should_retry is False:
        return False
    if isinstance(error, (ServerUnreachable, NoCapacity, RateLimited)):
        return True
    return isinstance(error, Refused) and (error.status in AGAIN_STATUS or error.code in AGAIN_CODES)
