"""How many requests a minute a caller may make, on all servers together.

With Redis (`VISAVIS_REDIS_URL`) all servers count there, with the library `limits`. Otherwise each counts in its memory
and grants its share: a limit of 60 is 20 on each of three servers. It does so while Redis cannot be used, too.
"""

from __future__ import annotations

import math
from typing import Any

import anyio
import structlog

from visavis.api.rate_limit import WINDOW_S, Allowance, RateLimit
from visavis.errors import SettingInvalid
from visavis.sessions.server_lease import ServerLease

ANSWER_WITHIN_S = 0.25  # of Redis: a request waits no longer for it
TRY_AGAIN_S = 5.0  # after Redis has failed
COUNT_EVERY_S = 5.0

log = structlog.get_logger()


class RedisRateLimit:
    """Counts in Redis: fixed windows of a minute, each beginning with the caller's first request on any server."""

    def __init__(self, url: str, limit: int) -> None:
        """Raises `SettingInvalid` if the client is not installed, or the address is none."""
        try:
            from limits import RateLimitItemPerMinute
            from limits.aio.storage import RedisStorage
            from limits.aio.strategies import FixedWindowRateLimiter
        except ModuleNotFoundError as error:
            raise SettingInvalid(
                "VISAVIS_REDIS_URL needs a client for Redis", suggestion="pip install 'visavis[redis]'"
            ) from error
        try:
            self._storage: Any = RedisStorage(
                f"async+{url}",
                implementation="redispy",
                key_prefix="visavis",
                socket_timeout=ANSWER_WITHIN_S,
                socket_connect_timeout=ANSWER_WITHIN_S,
            )
        except Exception as error:
            raise SettingInvalid("VISAVIS_REDIS_URL is not the address of a Redis") from error
        self._limiter = FixedWindowRateLimiter(self._storage)
        self._item = RateLimitItemPerMinute(limit)
        self._limit = limit

    async def take(self, caller: str, *, now_s: float) -> Allowance:
        """Count one request. Raises what the client raises if Redis cannot be used, and TimeoutError."""
        with anyio.fail_after(ANSWER_WITHIN_S):
            allowed = await self._limiter.hit(self._item, caller)
            window = await self._limiter.get_window_stats(self._item, caller)
        left_s = min(WINDOW_S, max(0.0, window.reset_time - now_s))
        return Allowance(
            allowed=allowed,
            limit=self._limit,
            remaining=min(self._limit, max(0, window.remaining)),
            resets_at_s=math.ceil(now_s + left_s),
            retry_after_s=max(1, math.ceil(left_s)),
        )

    async def aclose(self) -> None:
        await self._storage.bridge.get_connection().aclose()


class RequestLimits:
    def __init__(self, *, limit: int, servers: ServerLease, redis_url: str | None = None) -> None:
        """Raises what `RedisRateLimit` raises."""
        self._limit, self._servers = limit, servers
        self._own = RateLimit(limit)
        self._redis = None if redis_url is None else RedisRateLimit(redis_url, limit)
        self._redis_again_s = 0.0  # when Redis is asked again after it has failed

    async def take(self, caller: str, *, now_s: float) -> Allowance:
        """Count one request of a caller."""
        if self._redis is not None and anyio.current_time() >= self._redis_again_s:
            try:
                return await self._redis.take(caller, now_s=now_s)
            except Exception as error:  # noqa: BLE001 (the outermost edge: no request fails because of Redis)
                self._redis_again_s = anyio.current_time() + TRY_AGAIN_S
                log.warning("redis_unusable", problem=repr(error))
        return self._own.take(caller, now_s=now_s)

    async def run(self) -> None:
        """Count the servers every few seconds, until cancelled."""
        while True:
            try:
                await self.count_servers()
            except Exception:  # the outermost edge of this task: the next look tries again
                log.exception("servers_not_counted")
            await anyio.sleep(COUNT_EVERY_S)

    async def count_servers(self) -> None:
        """Find out how many servers grant the limit together."""
        self._own.limit = max(1, self._limit // await self._servers.count_servers())

    async def aclose(self) -> None:
        try:
            if self._redis is not None:
                await self._redis.aclose()
        except Exception:  # the outermost edge: what fails does not keep the server from closing
            log.exception("limits_not_closed")
