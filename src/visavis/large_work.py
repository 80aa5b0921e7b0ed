"""Work on large input of strangers, in threads, one piece at a time for each kind of input.

Much of it is done by calls that hold Python's lock until they return, 150 ms for 14 MB. Several threads take that lock
from the event loop one after the other, so the loop would wait for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, ParamSpec, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

P = ParamSpec("P")
T = TypeVar("T")
Kind = Literal["body", "message"]

# A channel's message does not wait for the bodies of requests. Who waits is served in order; a connection reads its
# next message when the one before is done, so no session has two in the queue.
_limits: dict[Kind, CapacityLimiter] = {"body": CapacityLimiter(1), "message": CapacityLimiter(1)}


async def run_large(kind: Kind, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in a thread when its turn comes; return its result or raise its error."""
    return await run_sync(lambda: work(*args, **kwargs), limiter=_limits[kind])
