"""Browser tokens: each opens one session for one purpose to some origins, for a while, and can be revoked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import update

from tests.api.test_rooms import OFFER, make
from tests.conftest import Service, open_service
from tests.sessions.test_adoption import let_go, successor
from visavis.channel.actions import Close
from visavis.channel.port import SessionInit, TokenRevoked
from visavis.channel.protocol import ChannelProtocol
from visavis.errors import OriginRefused, TokenExpired, Unauthorized
from visavis.sessions.browser_tokens import REJOIN_MS, BrowserTokens
from visavis.store.browser_tokens import BrowserTokenStore
from visavis.store.models import browser_tokens
from visavis.timestamps import now_ms

pytestmark = pytest.mark.anyio

SHOP = "https://shop.example"


async def mint(service: Service, session: dict[str, Any], purpose: str, **options: object) -> dict[str, Any]:
    address = f"/v1/sessions/{session['session_id']}/tokens"
    answer = await service.client.post(address, json={"purpose": purpose} | options)
    assert answer.status_code == 201, answer.text
    token: dict[str, Any] = answer.json()["token"]
    return token


async def revoke(service: Service, session: dict[str, Any], token: dict[str, Any]) -> None:
    gone = await service.client.delete(f"/v1/sessions/{session['session_id']}/tokens/{token['token_id']}")
    assert gone.json() == {"success": True}


def bearer(token: dict[str, Any], origin: str | None = None) -> dict[str, str]:
    named = {} if origin is None else {"origin": origin}
    return {"authorization": f"Bearer {token['token']}", "content-type": "application/sdp"} | named


async def join(service: Service, session: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    return await service.client.post(session["daily_room"]["url"] + "/whep", content=OFFER, headers=headers)


async def expire(service: Service, *, ago_ms: int) -> None:
    async with service.services.accounts.database.write() as connection:
        await connection.execute(update(browser_tokens).values(expires_at_ms=now_ms() - ago_ms))


def init_of(session: dict[str, Any], token: dict[str, Any], origin: str | None = None) -> SessionInit:
    return SessionInit(session_id=session["session_id"], token=token["token"], hosted=False, origin=origin)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_token_to_watch_opens_its_room_and_nothing_else(service: Service) -> None:
    session, other = await make(service), await make(service)
    token = await mint(service, session, "watch")
    assert (await join(service, session, bearer(token))).status_code == 201
    assert code_of(await join(service, other, bearer(token))) == (401, "UNAUTHORIZED")
    del service.client.headers["x-api-key"]
    for method, path in (("POST", "end"), ("GET", "metrics"), ("POST", "tokens"), ("GET", "")):
        address = f"/v1/sessions/{session['session_id']}/{path}".rstrip("/")
        refused = await service.client.request(method, address, headers=bearer(token))
        assert refused.status_code == 401, address
    with pytest.raises(Unauthorized):
        await service.services.live.attach(init_of(session, token))


async def test_a_token_to_speak_opens_the_channel_of_its_session(service: Service) -> None:
    session, other = await make(service), await make(service)
    token = await mint(service, session, "speak")
    attached = await service.services.live.attach(init_of(session, token))
    assert attached.session_id == session["session_id"]
    assert code_of(await join(service, session, bearer(token))) == (401, "UNAUTHORIZED")
    with pytest.raises(Unauthorized):
        await service.services.live.attach(init_of(other, token))


async def test_a_token_to_control_starts_and_ends_its_session_alone(service: Service) -> None:
    session, other = await make(service, start=False), await make(service, start=False)
    token = await mint(service, session, "control")
    del service.client.headers["x-api-key"]
    address = f"/v1/sessions/{session['session_id']}"
    assert (await service.client.put(f"{address}/start", headers=bearer(token))).status_code == 200
    assert (await service.client.get(f"{address}/metrics", headers=bearer(token))).status_code == 200
    for method, path in (
        ("GET", address),  # its answer has the token of the room, and the metadata
        ("POST", f"{address}/tokens"),
        ("GET", "/v1/sessions"),
        ("POST", "/v1/sessions"),
        ("PUT", f"/v1/sessions/{other['session_id']}/start"),
        ("GET", "/v1/usage"),
    ):
        refused = await service.client.request(method, path, headers=bearer(token))
        assert code_of(refused) == (403, "INSUFFICIENT_SCOPE"), path
    assert (await service.client.put(f"{address}/end", headers=bearer(token))).status_code == 200


async def test_requests_with_a_token_do_not_use_up_the_keys(service: Service) -> None:
    session = await make(service)
    token = await mint(service, session, "control")
    before = await service.client.get("/v1/capacity")
    key = service.client.headers.pop("x-api-key")
    await service.client.get(f"/v1/sessions/{session['session_id']}/metrics", headers=bearer(token))
    after = await service.client.get("/v1/capacity", headers={"x-api-key": key})
    left = [int(one.headers["x-ratelimit-remaining"]) for one in (before, after)]
    assert left[0] - left[1] == 1


async def test_a_token_of_an_origin_is_of_no_use_elsewhere(service: Service) -> None:
    session = await make(service)
    watch = await mint(service, session, "watch", origins=[SHOP, "http://visavis.test"])
    assert (await join(service, session, bearer(watch, SHOP))).status_code == 201
    for origin in ("https://evil.example", "null", None):
        assert code_of(await join(service, session, bearer(watch, origin))) == (403, "ORIGIN_REFUSED")
    # A page of this server: browsers leave Origin out of its GET.
    own = bearer(watch) | {"sec-fetch-site": "same-origin"}
    assert (await service.client.get(session["daily_room"]["url"] + "/picture", headers=own)).status_code == 200
    speak = await mint(service, session, "speak", origins=[SHOP])
    await service.services.live.attach(init_of(session, speak, SHOP))
    with pytest.raises(OriginRefused):  # ORIGIN_REFUSED over the channel
        await service.services.live.attach(init_of(session, speak, "https://evil.example"))


async def test_an_expired_token_lets_those_in_again_who_were_in(service: Service) -> None:
    session = await make(service)
    used, unused = await mint(service, session, "watch"), await mint(service, session, "watch")
    speak = await mint(service, session, "speak")
    location = (await join(service, session, bearer(used))).headers["location"]
    await expire(service, ago_ms=1)
    assert (await join(service, session, bearer(used))).status_code == 201
    assert code_of(await join(service, session, bearer(unused))) == (401, "TOKEN_EXPIRED")
    with pytest.raises(TokenExpired):  # TOKEN_EXPIRED over the channel
        await service.services.live.attach(init_of(session, speak))
    await expire(service, ago_ms=REJOIN_MS + 1)
    assert code_of(await join(service, session, bearer(used))) == (401, "TOKEN_EXPIRED")
    assert location.rpartition("/")[2] in service.performer(session["session_id"]).viewers, "who is in stays in"


async def test_revoking_a_token_removes_its_viewers_and_closes_its_channel(service: Service) -> None:
    session = await make(service)
    watch, speak = await mint(service, session, "watch"), await mint(service, session, "speak")
    await join(service, session, bearer(watch))
    attached = await service.services.live.attach(init_of(session, speak))
    await revoke(service, session, watch)
    assert service.performer(session["session_id"]).viewers == set()
    assert code_of(await join(service, session, bearer(watch))) == (401, "UNAUTHORIZED")
    await revoke(service, session, speak)
    assert [event async for event in attached.events()][-1] == TokenRevoked()
    with pytest.raises(Unauthorized):
        await service.services.live.attach(init_of(session, speak))


async def test_another_process_can_revoke_a_token(service: Service) -> None:
    session = await make(service)
    watch = await mint(service, session, "watch")
    await join(service, session, bearer(watch))
    accounts = service.services.accounts
    elsewhere = BrowserTokens(BrowserTokenStore(accounts.database), accounts)
    await elsewhere.revoke(session["session_id"], watch["token_id"])
    with anyio.fail_after(10):
        while service.performer(session["session_id"]).viewers:  # noqa: ASYNC110
            await anyio.sleep(0.01)  # until this server has noticed


async def test_a_token_that_is_revoked_after_a_restart_closes_what_it_had_opened(tmp_path: Path) -> None:
    async with open_service(tmp_path) as first:
        session = await make(first)
        watch, kept = await mint(first, session, "watch"), await mint(first, session, "watch")
        performer = first.performer(session["session_id"])
        for token in (watch, kept):
            await join(first, session, bearer(token))
        staying = (await join(first, session, bearer(kept))).headers["location"].rpartition("/")[2]
        viewers = set(performer.viewers)
        await let_go(first)
    went_on, fleet = successor(performer)
    went_on.viewers = set(viewers)
    async with open_service(tmp_path, fleet=fleet) as second:
        accounts = second.services.accounts
        elsewhere = BrowserTokens(BrowserTokenStore(accounts.database), accounts)
        await elsewhere.revoke(session["session_id"], watch["token_id"])
        with anyio.fail_after(10):
            while len(went_on.viewers) == len(viewers):  # noqa: ASYNC110
                await anyio.sleep(0.01)  # until this server has noticed
        assert staying in went_on.viewers and len(went_on.viewers) == 2


def test_a_channel_of_a_revoked_token_closes_4401() -> None:
    protocol = ChannelProtocol(path_session_id=None)
    (action,) = protocol.receive_event(TokenRevoked())
    assert isinstance(action, Close) and action.code == 4401


async def test_a_token_ends_with_the_key_that_made_it(service: Service) -> None:
    session = await make(service)
    (key,) = await service.services.accounts.all()
    _, second = await service.services.accounts.create(name="second", account_id=key.account_id)
    service.client.headers["x-api-key"] = second
    token = await mint(service, session, "watch")
    (_, made_it) = await service.services.accounts.all()
    await service.services.accounts.revoke(made_it.id)
    assert code_of(await join(service, session, bearer(token))) == (401, "UNAUTHORIZED")


async def test_a_token_is_stored_as_a_hash(service: Service, tmp_path: Path) -> None:
    session = await make(service)
    token = await mint(service, session, "watch")
    for path in (file for file in tmp_path.rglob("*") if file.is_file()):  # noqa: ASYNC240
        assert token["token"].encode() not in path.read_bytes(), path


NO_TOKENS: list[dict[str, Any]] = [
    {},
    {"purpose": None},
    {"purpose": "watch", "expires_in": 0},
    {"purpose": "watch", "expires_in": 86_401},
    {"purpose": "watch", "expires_in": True},
    {"purpose": "watch", "origins": "https://shop.example"},
    {"purpose": "watch", "origins": ["https://shop.example/"]},
    {"purpose": "watch", "origins": ["*"]},
    {"purpose": "watch", "origins": [SHOP] * 21},
]


async def test_a_token_that_makes_no_sense_is_refused(service: Service) -> None:
    for body in NO_TOKENS:
        session = await make(service, start=False)
        refused = await service.client.post(f"/v1/sessions/{session['session_id']}/tokens", json=body)
        assert code_of(refused) == (400, "INVALID_REQUEST"), body


async def test_tokens_of_others_sessions_are_not_found(service: Service) -> None:
    session = await make(service, start=False)
    token = await mint(service, session, "watch")
    _, other = await service.services.accounts.create(name="other")
    address = f"/v1/sessions/{session['session_id']}/tokens"
    headers = {"x-api-key": other}
    foreign = await service.client.post(address, json={"purpose": "watch"}, headers=headers)
    assert code_of(foreign) == (404, "SESSION_NOT_FOUND")
    foreign = await service.client.delete(f"{address}/{token['token_id']}", headers=headers)
    assert code_of(foreign) == (404, "SESSION_NOT_FOUND")
    another = await make(service, start=False)
    foreign = await service.client.delete(f"/v1/sessions/{another['session_id']}/tokens/{token['token_id']}")
    assert code_of(foreign) == (404, "TOKEN_NOT_FOUND")
