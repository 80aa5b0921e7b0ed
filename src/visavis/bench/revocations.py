"""How soon a revoked key stops: one client asks with it all the time, while an operator revokes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx

from visavis.accounts.service import Accounts
from visavis.bench.live import LiveServer
from visavis.store.database import Database

ASKS_EVERY_S = 0.005
REFUSED_WITHIN_S = 60.0  # a command may start slowly

Revoke = Callable[[str], Coroutine[Any, Any, None]]


async def revocations_s(server: LiveServer, database_url: str, *, rounds: int) -> dict[str, list[float]]:
    """Revoke keys by the API and by the command line; return for each how long after its revocation a key was refused:
    from the instant that the database has to the first call that was refused.
    """
    operator = await asyncio.to_thread(server.process.create_key, "bench operator", scopes=("admin",))
    found: dict[str, list[float]] = {"api": [], "command": []}
    database = await Database.open(database_url, create=False)
    try:
        accounts = Accounts(database)
        async with httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": operator}, timeout=30) as http:

            async def by_api(key_id: str) -> None:
                (await http.post(f"/v1/admin/keys/{key_id}/revoke")).raise_for_status()

            async def by_command(key_id: str) -> None:
                await asyncio.to_thread(server.process.revoke_key, key_id)

            for _ in range(rounds):
                for name, revoke in (("api", by_api), ("command", by_command)):
                    made = (await http.post("/v1/admin/keys", json={"name": "bench"})).raise_for_status().json()
                    key_id = made["key"]["key_id"]
                    refused_s = await _refused_s(server, made["secret"], key_id, revoke)
                    revoked_at_ms = (await accounts.find_key(key_id)).revoked_at_ms
                    assert revoked_at_ms is not None
                    # A call that was under way may be refused, too.
                    found[name].append(max(0.0, refused_s - revoked_at_ms / 1000))
    finally:
        await database.aclose()
    return found


async def _refused_s(server: LiveServer, secret: str, key_id: str, revoke: Revoke) -> float:
    """Return when the first call with this key was made that was refused: unix time. It is revoked once it has been
    used. Raises TimeoutError for a key that goes on.
    """
    revoking: asyncio.Task[None] | None = None
    async with (
        asyncio.timeout(REFUSED_WITHIN_S),
        httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": secret}, timeout=30) as http,
        asyncio.TaskGroup() as tasks,
    ):
        while True:
            asked_s = time.time()
            answer = await http.get("/v1/sessions", params={"limit": 1})
            if answer.status_code == 401:
                return asked_s
            answer.raise_for_status()
            revoking = revoking or tasks.create_task(revoke(key_id))
            await asyncio.sleep(ASKS_EVERY_S)
