"""Calls over HTTP: one answer or one typed error each, repeated where that is safe and may help."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from visavis_client.answers import refusal
from visavis_client.errors import Refused, ServerUnreachable, VisavisError
from visavis_client.retries import wait_before_retry_s

TIMEOUT_S = 30.0
RETRIES = 3
LONGEST_WAIT_S = 60.0
USER_AGENT = "visavis-client/0.1"


class InDoubt(Exception):
    """A call was broken off while the server worked on a repetition of it. The cause: why it was repeated."""

    @classmethod
    def after(cls, last: VisavisError) -> InDoubt:
        doubt = cls()
        doubt.__cause__ = last
        return doubt


class Transport:
    """The calls of one API key to one server. `retries`: how often a call that may succeed later is repeated."""

    def __init__(self, http: httpx.AsyncClient, *, retries: int = RETRIES) -> None:
        self._http = http
        self._retries = retries

    async def get(self, path: str, **params: str | int | None) -> Mapping[str, Any]:
        given = {name: value for name, value in params.items() if value is not None}
        return await self._repeated(lambda: self._once("GET", path, params=given))

    async def delete(self, path: str) -> Mapping[str, Any]:
        return await self._repeated(lambda: self._once("DELETE", path))

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None, **options: Any
    ) -> Mapping[str, Any]:
        """Post JSON, or what `options` give to httpx. However often it is repeated, the server performs it once."""
        headers = {"idempotency-key": idempotency_key or new_idempotency_key(), "prefer": "handling=strict"}
        if body is not None:
            options = {**options, "json": dict(body)}
        return await self._repeated(lambda: self._once("POST", path, headers=headers, **options))

    async def _repeated(self, call: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
        attempt, last, is_asking = 0, None, False
        try:
            while True:
                attempt += 1
                try:
                    is_asking = True
                    return await call()
                except VisavisError as error:
                    wait_s = wait_before_retry_s(error, attempt, random.random())
                    if wait_s is None or wait_s > LONGEST_WAIT_S or attempt > self._retries:
                        raise
                    last = error.with_traceback(None)  # it would keep this frame, and what the call has opened
                is_asking = False
                await asyncio.sleep(wait_s)
        except asyncio.CancelledError as cancelled:
            if last is None:
                raise
            raise cancelled from (InDoubt.after(last) if is_asking else last)  # see `errors.last_answer`

    async def _once(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        try:
            answer = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise ServerUnreachable(f"{self._http.base_url}: {error or type(error).__name__}") from None
        if not answer.is_success:
            raise refusal(answer.status_code, answer.headers, answer.content)
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Refused(
                f"{self._http.base_url} is not a Visavis server: its answer is no JSON object",
                status=answer.status_code,
            )
        return document


def new_idempotency_key() -> str:
    return uuid.uuid4().hex
