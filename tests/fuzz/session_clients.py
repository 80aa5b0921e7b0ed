"""Clients that make calls about sessions from a test's thread, one after the other or at once, to a service that runs
in another thread for all examples.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal

from tests.conftest import Service
from visavis.accounts.scopes import Scope

CALLERS = ("key", "second key", "stranger")  # two keys of one account, and one of another
OWNER = {"key": "account", "second key": "account", "stranger": "other account"}
OPERATOR = "operator"
MOST = 2  # sessions of an account that may run at once

Call = tuple[str, str, str]  # caller, method, path


@dataclass(slots=True)
class Clients:
    portal: BlockingPortal
    service: Service
    examples: int = 0
    headers: dict[str, dict[str, str]] = field(default_factory=dict)  # of the current example, by caller
    looks: dict[str, str] = field(default_factory=dict)  # of the current example, by account

    def call(self, caller: str, method: str, path: str, **options: Any) -> httpx.Response:
        headers = self.headers[caller] | options.pop("headers", {})

        async def send() -> httpx.Response:
            return await self.service.client.request(method, f"/v1{path}", headers=headers, **options)

        return self.portal.call(send)

    def call_with_token(self, token: str, method: str, path: str) -> httpx.Response:
        """Make a call as a visitor's page does: with a token, and without a key."""
        client = self.service.client
        request = client.build_request(method, f"/v1{path}", headers={"authorization": f"Bearer {token}"})
        del request.headers["x-api-key"]

        async def send() -> httpx.Response:
            return await client.send(request)

        return self.portal.call(send)

    def at_once(self, *calls: Call, **options: Any) -> list[httpx.Response]:
        """Make calls at the same time. `options` are those of each."""

        def send(caller: str, method: str, path: str) -> Callable[[], Any]:
            headers = self.headers[caller] | options.get("headers", {})
            body = options.get("json")

            async def one() -> httpx.Response:
                return await self.service.client.request(method, f"/v1{path}", headers=headers, json=body)

            return one

        begun: list[Future[httpx.Response]] = [self.portal.start_task_soon(send(*call)) for call in calls]
        return [one.result() for one in begun]

    def lose_performer(self, session_id: str) -> None:
        async def die() -> None:
            self.service.performer(session_id).die()

        self.portal.call(die)

    def new_accounts(self) -> None:
        """Give the next example accounts of its own, so that it sees nothing of those before it."""
        self.portal.call(self._make_accounts)

    async def _make_accounts(self) -> None:
        services = self.service.services
        self.examples += 1
        plan = await services.accounts.set_plan("modelled", {"max_concurrency": MOST})
        accounts: dict[str, str] = {}
        for caller in CALLERS:
            record, key = await services.accounts.create(name=caller, account_id=accounts.get(OWNER[caller]))
            self.headers[caller] = {"x-api-key": key}
            if OWNER[caller] not in accounts:
                accounts[OWNER[caller]] = record.account_id
                await services.accounts.assign_plan(record.account_id, plan.key)
                look = await services.avatars.add(b"a face", name="A", owner=record)
                self.looks[OWNER[caller]] = look.id
        if OPERATOR not in self.headers:
            _, key = await services.accounts.create(name=OPERATOR, scopes=[Scope.ADMIN])
            self.headers[OPERATOR] = {"x-api-key": key}
