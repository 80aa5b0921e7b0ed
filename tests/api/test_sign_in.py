"""Signing in in a browser: the cookie, what it opens, and what a page of another origin cannot do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, update

from tests.conftest import Service, open_service
from visavis.accounts.scopes import DEFAULT_SCOPES
from visavis.accounts.sign_ins import SignIns
from visavis.errors import KeyNotActive, KeyNotFound, SignInRefused
from visavis.store.database import Database
from visavis.store.models import sign_ins

pytestmark = pytest.mark.anyio

ORIGIN = "http://visavis.test"


@pytest.fixture
async def browser(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps cookies, and sends what a page of this server sends."""
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN}) as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, **proof: str) -> dict[str, str]:
    """Sign in; return the header that the page sends from then on."""
    answer = await browser.post("/sign-in", json=proof)
    assert answer.status_code == 200, answer.text
    return {"x-visavis-page": answer.json()["sign_in"]["page_token"]}


async def code_of(service: Service) -> str:
    (key,) = await service.services.accounts.all()
    return await service.services.sign_ins.issue_code(key.id)


async def test_a_key_becomes_a_cookie_that_scripts_cannot_read(service: Service, browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/sign-in", json={"key": service.key})
    shown = answer.json()["sign_in"]
    scopes = [scope.value for scope in DEFAULT_SCOPES]
    assert shown["key"] == {"name": "tests", "start": service.key[:12], "test": False, "scopes": scopes}
    ((name, cookie),) = SimpleCookie(answer.headers["set-cookie"]).items()
    assert name.startswith("visavis_") and service.key not in answer.headers["set-cookie"] + answer.text
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["secure"] == "" and 43_000 < int(cookie["max-age"]) <= 43_200
    assert (await browser.get("/sign-in")).json()["sign_in"] == shown
    listed = await browser.get("/v1/sessions", headers={"x-visavis-page": shown["page_token"]})
    assert (listed.status_code, listed.json()["sessions"]) == (200, [])


async def test_under_tls_the_cookie_is_secure_and_keeps_to_the_path_of_the_proxy(tmp_path: Path) -> None:
    async with open_service(tmp_path, public_url="https://example.org/avatar") as service:
        headers = {"origin": "https://example.org"}
        answer = await service.client.post("/avatar/sign-in", json={"key": service.key}, headers=headers)
        ((_, cookie),) = SimpleCookie(answer.headers["set-cookie"]).items()
        assert (cookie["secure"], cookie["path"]) == (True, "/avatar")


async def test_the_cookie_does_nothing_without_the_token_of_the_page(
    service: Service, browser: httpx.AsyncClient
) -> None:
    page = await sign_in(browser, key=service.key)
    for headers in ({}, {"x-visavis-page": "wrong"}):
        refused = await browser.get("/v1/sessions", headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "REQUEST_FORGED")
    created = await browser.post("/v1/sessions", json={"avatar_id": service.look_id}, headers=page)
    assert created.status_code == 201


FORGED: list[dict[str, str]] = [
    {"origin": "http://evil.test"},
    {"origin": "http://visavis.test:8080"},
    {"origin": "null"},
    {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
    {"origin": ORIGIN, "sec-fetch-site": "same-site"},
    {"origin": ""},
]


async def test_a_page_of_another_origin_can_do_nothing_even_with_the_token(
    service: Service, browser: httpx.AsyncClient
) -> None:
    for forged in FORGED:
        page = await sign_in(browser, key=service.key)
        calls = [
            await browser.post("/v1/sessions", json={"avatar_id": service.look_id}, headers=page | forged),
            await browser.delete("/sign-in", headers=page | forged),
            await browser.post("/sign-in", json={"key": service.key}, headers=forged),
        ]
        assert {(one.status_code, one.json()["error"]["code"]) for one in calls} == {(403, "REQUEST_FORGED")}, forged
        assert (await browser.get("/v1/sessions", headers=page)).json()["sessions"] == [], forged


async def test_a_write_without_any_word_on_its_origin_is_refused(service: Service, browser: httpx.AsyncClient) -> None:
    page = await sign_in(browser, key=service.key)
    del browser.headers["origin"]
    assert (await browser.get("/v1/sessions", headers=page)).status_code == 200
    refused = await browser.post("/v1/sessions", json={"avatar_id": service.look_id}, headers=page)
    assert refused.status_code == 403


async def test_a_key_in_the_request_counts_alone(service: Service, browser: httpx.AsyncClient) -> None:
    await sign_in(browser, key=service.key)
    wrong = await browser.get("/v1/sessions", headers={"x-api-key": "ah_live_" + "x" * 32})
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Invalid API key"})
    assert (await browser.get("/v1/sessions", headers={"x-api-key": service.key})).status_code == 200


async def test_a_code_signs_in_once_also_if_many_try_at_the_same_time(service: Service) -> None:
    code = await code_of(service)
    answers = await asyncio.gather(
        *(service.client.post("/sign-in", json={"code": code}, headers={"origin": ORIGIN}) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    refused = next(answer for answer in answers if answer.status_code == 401)
    assert refused.json()["error"]["code"] == "SIGN_IN_REFUSED" and "set-cookie" not in refused.headers


async def test_a_code_that_nobody_used_in_time_is_refused(service: Service) -> None:
    code = await code_of(service)
    database = service.services.accounts.database
    async with database.write() as connection:
        await connection.execute(update(sign_ins).values(code_expires_at_ms=1))
    with pytest.raises(SignInRefused):
        await service.services.sign_ins.begin_with_code(code, address="127.0.0.1")
    assert await count_of(database) == 1
    await service.services.sign_ins.remove_expired()
    assert await count_of(database) == 0


async def test_a_sign_in_expires_and_ends_with_its_key(service: Service, browser: httpx.AsyncClient) -> None:
    page = await sign_in(browser, code=await code_of(service))
    assert (await browser.get("/v1/sessions", headers=page)).status_code == 200
    database = service.services.accounts.database
    async with database.write() as connection:
        await connection.execute(update(sign_ins).values(expires_at_ms=1))
    over = await browser.get("/v1/sessions", headers=page)
    assert (over.status_code, over.json()) == (401, {"error": "API key required"})
    assert (await browser.get("/sign-in")).json() == {"success": True, "sign_in": None}

    page = await sign_in(browser, key=service.key)
    (key,) = await service.services.accounts.all()
    await service.services.accounts.revoke(key.id)
    over = await browser.get("/v1/sessions", headers=page)
    assert (over.status_code, over.json()) == (401, {"error": "API key has been deactivated"})


async def test_a_sign_in_can_do_what_its_key_can_do(service: Service, browser: httpx.AsyncClient) -> None:
    _, reader = await service.services.accounts.create(name="reader", scopes=["sessions:read"])
    page = await sign_in(browser, key=reader)
    refused = await browser.post("/v1/sessions", json={"avatar_id": service.look_id}, headers=page)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")


async def test_signing_out_ends_the_sign_in_everywhere(service: Service, browser: httpx.AsyncClient) -> None:
    page = await sign_in(browser, key=service.key)
    stolen = dict(browser.cookies)
    out = await browser.delete("/sign-in", headers=page)
    assert out.json() == {"success": True} and not browser.cookies
    browser.cookies.update(stolen)
    assert (await browser.get("/v1/sessions", headers=page)).status_code == 401
    assert await count_of(service.services.accounts.database) == 0


async def test_what_is_stored_signs_nobody_in(service: Service, browser: httpx.AsyncClient, tmp_path: Path) -> None:
    code = await code_of(service)
    await sign_in(browser, code=code)
    (token,) = browser.cookies.values()
    for path in (file for file in tmp_path.rglob("*") if file.is_file()):  # noqa: ASYNC240
        assert code.encode() not in path.read_bytes() and token.encode() not in path.read_bytes(), path


async def test_codes_are_for_keys_that_can_be_used(service: Service) -> None:
    sign_in_codes: SignIns = service.services.sign_ins
    with pytest.raises(KeyNotFound):
        await sign_in_codes.issue_code("key_of_nobody")
    (key,) = await service.services.accounts.all()
    await service.services.accounts.revoke(key.id)
    with pytest.raises(KeyNotActive):
        await sign_in_codes.issue_code(key.id)


NO_SIGN_INS: list[dict[str, object]] = [{}, {"key": "a", "code": "b"}, {"key": 1}, {"code": "x" * 201}]


async def test_a_sign_in_with_anything_else_is_refused(service: Service) -> None:
    for body in NO_SIGN_INS:
        refused = await service.client.post("/sign-in", json=body, headers={"origin": ORIGIN})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_REQUEST"), body


async def count_of(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(sign_ins))).scalar_one())
