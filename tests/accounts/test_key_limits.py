"""What a key may do, until when and from where; and its rotation."""

from __future__ import annotations

import httpx
import pytest
from fastapi.routing import APIRoute

from tests.accounts.conftest import Visavis
from tests.conftest import Service
from visavis.accounts import service as accounts_service
from visavis.accounts.scopes import DEFAULT_SCOPES, Scope, scope_for
from visavis.accounts.sources import is_allowed, parse_source
from visavis.api.routers import ROUTERS
from visavis.errors import ApiKeyRefused, KeyNotActive, SourceRefused

FACE = {"avatar": "data:image/png;base64,YSBmYWNl"}


async def key_with(service: Service, *scopes: Scope) -> dict[str, str]:
    """Make a key of the tests' account with these scopes; return its header."""
    account = (await service.services.accounts.authenticate(service.key)).account_id
    _, key = await service.services.accounts.create(name="limited", account_id=account, scopes=scopes)
    return {"x-api-key": key}


def code_of(answer: httpx.Response) -> str:
    return "done" if answer.is_success else str(answer.json()["error"]["code"])


def test_every_call_under_v1_needs_a_scope() -> None:
    every = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    routes = [route for route in every if route.path.startswith("/v1/")]
    needed = {
        f"{method} {route.path}": scope_for(method, route.path) for route in routes for method in route.methods or ()
    }
    assert len(needed) >= 15 and None not in needed.values(), needed
    assert {scope for method_path, scope in needed.items() if method_path[:4] in ("POST", "PUT ", "DELE")} == {
        Scope.SESSIONS_WRITE,
        Scope.AVATARS_WRITE,
        Scope.WEBHOOKS_WRITE,
        Scope.ADMIN,
    }
    assert scope_for("GET", "/v1/nothing") is None


@pytest.mark.anyio
async def test_a_key_does_only_what_its_scopes_allow(service: Service) -> None:
    made = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    url = f"/v1/sessions/{made.json()['session']['session_id']}"
    calls = [
        (Scope.SESSIONS_READ, "GET", "/v1/sessions", {}),
        (Scope.SESSIONS_READ, "HEAD", url, {}),
        (Scope.SESSIONS_READ, "GET", "/v1/capacity", {}),
        (Scope.SESSIONS_WRITE, "POST", "/v1/sessions", {"avatar_id": service.look_id}),
        (Scope.SESSIONS_WRITE, "PUT", f"{url}/start", {}),
        (Scope.SESSIONS_WRITE, "POST", f"{url}/end", {}),
        (Scope.AVATARS_READ, "GET", "/v1/avatars", {}),
        (Scope.AVATARS_WRITE, "POST", "/v1/avatars/upload-face", {"image_base64": "YSBmYWNl"}),
    ]
    for needed, method, address, body in calls:
        rest = [scope for scope in Scope if scope is not needed]
        refused = await service.client.request(
            method, address, json=body or None, headers=await key_with(service, *rest)
        )
        assert refused.status_code == 403
        if method != "HEAD":
            assert code_of(refused) == "INSUFFICIENT_SCOPE"
        taken = await service.client.request(
            method, address, json=body or None, headers=await key_with(service, needed)
        )
        assert taken.is_success, (method, address, taken.text)
    assert (await service.client.get("/v1/nothing", headers=await key_with(service))).status_code == 404


@pytest.mark.anyio
async def test_an_image_as_avatar_needs_the_scope_that_makes_avatars(service: Service) -> None:
    writes = await key_with(service, Scope.SESSIONS_WRITE)
    assert code_of(await service.client.post("/v1/sessions", json=FACE, headers=writes)) == "INSUFFICIENT_SCOPE"
    assert (
        code_of(await service.client.post("/v1/sessions", json={"avatar": service.look_id}, headers=writes)) == "done"
    )
    both = await key_with(service, Scope.SESSIONS_WRITE, Scope.AVATARS_WRITE)
    assert code_of(await service.client.post("/v1/sessions", json=FACE, headers=both)) == "done"


@pytest.mark.anyio
async def test_a_kept_answer_is_not_repeated_to_a_key_that_may_not_make_the_call(service: Service) -> None:
    body, once = {"avatar_id": service.look_id}, {"Idempotency-Key": "one"}
    assert code_of(await service.client.post("/v1/sessions", json=body, headers=once)) == "done"
    reads = await key_with(service, Scope.SESSIONS_READ)
    assert code_of(await service.client.post("/v1/sessions", json=body, headers=once | reads)) == "INSUFFICIENT_SCOPE"


@pytest.mark.anyio
async def test_a_private_picture_needs_the_scope_that_reads_avatars(service: Service) -> None:
    picture = f"/media/avatars/{service.look_id}/preview.jpg"
    assert (await service.client.get(picture, headers=await key_with(service, Scope.AVATARS_READ))).status_code == 200
    assert (await service.client.get(picture, headers=await key_with(service, Scope.SESSIONS_READ))).status_code == 404


def test_new_keys_can_do_everything_but_what_only_an_operator_may() -> None:
    assert set(Scope) - set(DEFAULT_SCOPES) == {Scope.ADMIN}


def test_sources_are_networks_of_both_families() -> None:
    assert [parse_source(text) for text in ("203.0.113.7", "203.0.113.7/24", "2001:db8::1/32")] == [
        "203.0.113.7/32",
        "203.0.113.0/24",
        "2001:db8::/32",
    ]
    for wrong in ("", "here", "203.0.113.0/33", "203.0.113"):
        with pytest.raises(ValueError):
            parse_source(wrong)
    sources = ["203.0.113.0/24", "2001:db8::/32"]
    assert [is_allowed(address, sources) for address in ("203.0.113.9", "::ffff:203.0.113.9", "2001:db8:1::1")] == [
        True
    ] * 3
    assert [is_allowed(address, sources) for address in ("203.0.114.9", "2001:db9::1", "unknown", "")] == [False] * 4


@pytest.mark.anyio
async def test_a_key_is_taken_only_from_its_source_addresses(service: Service) -> None:
    _, key = await service.services.accounts.create(name="office", sources=["203.0.113.0/24"])
    assert (await service.services.accounts.authenticate(key, address="203.0.113.9")).name == "office"
    for address in ("198.51.100.1", "unknown"):
        with pytest.raises(SourceRefused):
            await service.services.accounts.authenticate(key, address=address)
    answer = await service.client.get("/v1/sessions", headers={"x-api-key": key})  # from 127.0.0.1
    assert (answer.status_code, code_of(answer)) == (403, "SOURCE_ADDRESS_REFUSED")
    _, key = await service.services.accounts.create(name="here", sources=["127.0.0.0/8"])
    assert (await service.client.get("/v1/sessions", headers={"x-api-key": key})).status_code == 200


@pytest.mark.anyio
async def test_an_expired_key_is_refused_and_its_sessions_go_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = service.services.accounts
    record, key = await accounts.create(name="short", lasts_ms=60_000)
    session = (await service.client.post("/v1/sessions", json=FACE, headers={"x-api-key": key})).json()["session"]
    assert record.expires_at_ms is not None
    monkeypatch.setattr(accounts_service, "now_ms", lambda: record.expires_at_ms - 1)
    await accounts.authenticate(key)
    monkeypatch.setattr(accounts_service, "now_ms", lambda: record.expires_at_ms)
    with pytest.raises(ApiKeyRefused, match="API key has expired"):
        await accounts.authenticate(key)
    await service.services.revocation.end_sessions()
    assert service.services.live.table.is_live(session["session_id"])


@pytest.mark.anyio
async def test_a_rotated_key_can_do_the_same_while_the_old_one_goes_on_for_the_overlap(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = service.services.accounts
    account_id = (await accounts.authenticate(service.key)).account_id
    old, old_key = await accounts.create(
        name="bot",
        account_id=account_id,
        test=True,
        scopes=[Scope.SESSIONS_READ],
        sources=["127.0.0.1/32"],
        lasts_ms=9_000_000,
    )
    new, new_key = await accounts.rotate(old.id, overlap_ms=3_600_000)
    assert new_key != old_key and new_key.startswith("ah_test_")
    for name in ("account_id", "name", "test", "scopes", "sources"):
        assert getattr(new, name) == getattr(old, name), name
    assert new.expires_at_ms == new.created_at_ms + 9_000_000
    for key in (old_key, new_key):
        await accounts.authenticate(key, address="127.0.0.1")
    monkeypatch.setattr(accounts_service, "now_ms", lambda: new.created_at_ms + 3_600_000)
    with pytest.raises(ApiKeyRefused):
        await accounts.authenticate(old_key, address="127.0.0.1")
    await accounts.authenticate(new_key, address="127.0.0.1")
    with pytest.raises(KeyNotActive):
        await accounts.rotate(old.id, overlap_ms=0)
    await accounts.revoke(new.id)
    with pytest.raises(KeyNotActive):
        await accounts.rotate(new.id, overlap_ms=0)


@pytest.mark.anyio
async def test_the_last_use_of_a_key_is_written_once_a_minute(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = service.services.accounts
    record, key = await accounts.create(name="busy")
    instants_ms = [record.created_at_ms + at_ms for at_ms in (0, 10_000, 59_999, 60_000, 119_999)]
    written = []
    for at_ms in instants_ms:
        monkeypatch.setattr(accounts_service, "now_ms", lambda at_ms=at_ms: at_ms)
        await accounts.authenticate(key)
        await accounts.save_uses()
        (used,) = [one.last_used_at_ms for one in await accounts.all() if one.id == record.id]
        written.append(used)
    assert written == [instants_ms[0]] * 3 + [instants_ms[3]] * 2


def test_commands_limit_and_rotate_keys(visavis: Visavis) -> None:
    def keys(*arguments: str) -> str:
        return "\n".join(visavis("keys", *arguments))

    keys("create", "--name", "bot", "--scope", "sessions:read", "--source", "203.0.113.7", "--days", "1.5")
    (row,) = keys("list").splitlines()[1:]
    assert "sessions:read" in row and "203.0.113.7/32" in row and "active until" in row
    new = keys("rotate", row.split()[0], "--overlap-hours", "0").strip()
    assert new.startswith("ah_live_")
    old_row, new_row = keys("list").splitlines()[1:]
    assert "expired" in old_row and "active until" in new_row and "sessions:read" in new_row
    assert "[KEY_NOT_ACTIVE]" in keys("rotate", row.split()[0])
    assert "[KEY_NOT_FOUND]" in keys("rotate", "key_none")
    assert "203.0.113.0/24" in keys("create", "--name", "x", "--source", "nowhere")
    assert "admin" in keys("create", "--name", "x", "--scope", "everything")
