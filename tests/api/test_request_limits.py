"""The rate limit of several servers: together they grant it, in Redis or each its share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service, open_service
from tests.redis import RedisServer, redis_server
from tests.store.fleet_database import let_pass
from visavis.api.request_limits import RequestLimits
from visavis.errors import SettingInvalid
from visavis.sessions.server_lease import GONE_AFTER_MS, ServerLease
from visavis.store.database import Database
from visavis.store.models import servers
from visavis.timestamps import now_ms

pytestmark = pytest.mark.anyio


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed: `make test` as root on Debian installs it")
    with redis_server(tmp_path) as server:
        yield server


async def ask(service: Service, key: str) -> tuple[int, str, str]:
    """Return the status, the limit, and what is left."""
    answer = await service.client.get("/v1/sessions", headers={"x-api-key": key})
    return (answer.status_code, answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"])


async def test_servers_with_a_redis_count_together(tmp_path: Path, redis: RedisServer, postgresql_url: str) -> None:
    shared: dict[str, Any] = {
        "database_url": postgresql_url,
        "secret": "s" * 32,
        "rate_limit_per_minute": 3,
        "redis_url": redis.url,
    }
    async with open_service(tmp_path / "one", **shared) as one, open_service(tmp_path / "other", **shared) as other:
        before_s = now_ms() // 1000
        told = [await ask(service, one.key) for service in (one, other, one, other)]
        assert told == [(200, "3", "2"), (200, "3", "1"), (200, "3", "0"), (429, "3", "0")]
        refused = await one.client.get("/v1/sessions")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert before_s <= int(refused.headers["x-ratelimit-reset"]) <= before_s + 120
        assert await ask(one, other.key) == (200, "3", "2"), "another key has a limit of its own"
        for service in (one, other):
            await service.services.request_limits.count_servers()
        redis.kill()
        assert [(await ask(one, one.key))[0] for _ in range(3)] == [200, 429, 429], "its share"


async def test_servers_without_redis_grant_their_share(tmp_path: Path, postgresql_url: str) -> None:
    shared: dict[str, Any] = {"database_url": postgresql_url, "secret": "s" * 32, "rate_limit_per_minute": 5}
    async with open_service(tmp_path / "one", **shared) as one:
        async with open_service(tmp_path / "other", **shared) as other:
            for service in (one, other):
                await service.services.request_limits.count_servers()
            told = [await ask(service, one.key) for service in (one, other, one, other, one, other)]
            assert [status for status, _, _ in told] == [200, 200, 200, 200, 429, 429]
            assert {limit for _, limit, _ in told} == {"2"}
        await one.services.request_limits.count_servers()
        assert await ask(one, one.key) == (200, "5", "2"), "the other one has left"


async def test_a_server_that_has_died_leaves_its_share(postgresql_url: str) -> None:
    database = await Database.open(postgresql_url)
    try:
        async with ServerLease.held(database, server_id="one") as one:
            assert await one.count_servers() == 1
            async with ServerLease.held(database, server_id="other"):
                assert await one.count_servers() == 2
                await let_pass(database, servers, "other", ms=GONE_AFTER_MS // 2)
                assert await one.count_servers() == 2
                await let_pass(database, servers, "other", ms=GONE_AFTER_MS + 1)
                assert await one.count_servers() == 1
    finally:
        await database.aclose()


async def test_a_server_of_its_own_grants_the_whole_limit(tmp_path: Path) -> None:
    async with open_service(tmp_path, rate_limit_per_minute=2) as service:
        await service.services.request_limits.count_servers()
        assert await ask(service, service.key) == (200, "2", "1")


@pytest.mark.parametrize("url", ["http://example.org", "redis", "redis://host:port/0"])
async def test_an_address_that_is_no_redis_is_refused(tmp_path: Path, url: str) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/visavis.db")
    try:
        async with ServerLease.held(database, server_id="one") as lease:
            with pytest.raises(SettingInvalid, match="VISAVIS_REDIS_URL is not the address of a Redis"):
                RequestLimits(limit=1, servers=lease, redis_url=url)
    finally:
        await database.aclose()


async def test_a_missing_client_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "limits", None)
    with pytest.raises(SettingInvalid, match="needs a client for Redis"):
        async with open_service(tmp_path, redis_url="redis://127.0.0.1:6379/0"):
            pass
