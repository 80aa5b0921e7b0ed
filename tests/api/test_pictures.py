"""Who may see the pictures of avatars, for how long, and how they may be kept."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest

from tests.conftest import Service, open_service
from visavis.api import media, services
from visavis.avatars.picture_signatures import LEFT_S, WINDOW_S, PictureSigner
from visavis.library import DEFAULT_PORTRAIT
from visavis.store.records import KeyRecord

pytestmark = pytest.mark.anyio

HOUR_S = 3600
NOON_S = 1_705_320_000  # a full hour


def test_only_addresses_that_we_have_signed_are_signed_anew() -> None:
    signer, other = PictureSigner(b"s" * 32), PictureSigner(b"t" * 32)
    avatar_id = "avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B4"

    def text(of: PictureSigner, now_s: int) -> bytes:
        address = (
            f"https://a.example/media/avatars/{avatar_id}/image.jpg?{of.query(avatar_id, 'image.jpg', now_s=now_s)}"
        )
        return f'{{"image_url":"{address}","name":"{avatar_id}/image.jpg?e=1&s=x"}}'.encode()

    later_s = NOON_S + 100 * HOUR_S
    assert signer.renewed(text(signer, NOON_S), now_s=later_s) == text(signer, later_s)
    assert signer.renewed(text(other, NOON_S), now_s=later_s) == text(other, NOON_S)


@dataclass(slots=True)
class Clock:
    now_s: int = NOON_S

    def now_ms(self) -> int:
        return self.now_s * 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (media, services):
        monkeypatch.setattr(module, "now_ms", clock.now_ms)
    return clock


@pytest.fixture
async def anyone(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key, as a browser is when it shows an image."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://visavis.test") as client:
        yield client


async def addresses(service: Service) -> list[str]:
    """Return all addresses of the private look's pictures that answers show."""
    flat = (await service.client.get("/v1/avatars?view=flat")).json()["my_avatars"][0]
    characters = (await service.client.get("/v1/avatars")).json()["avatars"]
    sessions = (await service.client.get("/v1/sessions")).json()["sessions"]
    return [flat["preview_url"], flat["image_url"], characters[0]["preview_img_url"], sessions[0]["avatar"]["url"]]


@pytest.fixture
async def shown(service: Service, clock: Clock) -> list[str]:
    await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    return await addresses(service)


async def test_a_browser_shows_private_pictures_by_their_addresses_alone(
    anyone: httpx.AsyncClient, shown: list[str]
) -> None:
    for address in shown:
        answer = await anyone.get(address)
        assert (answer.status_code, answer.content) == (200, b"a face"), address
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_an_address_stays_the_same_for_an_hour_and_expires_after_one_or_two(
    service: Service, anyone: httpx.AsyncClient, shown: list[str], clock: Clock
) -> None:
    clock.now_s = NOON_S + HOUR_S - 1
    assert await addresses(service) == shown
    clock.now_s = NOON_S + HOUR_S
    later = await addresses(service)
    assert not set(later) & set(shown)
    clock.now_s = NOON_S + 2 * HOUR_S - 1
    assert (await anyone.get(shown[0])).status_code == 200
    clock.now_s = NOON_S + 2 * HOUR_S
    for address in shown:
        expired = await anyone.get(address)
        assert (expired.status_code, expired.json()["error"]["code"]) == (403, "PICTURE_ADDRESS_EXPIRED")
        assert expired.headers["cache-control"] == "no-store"
    for address in later:
        assert (await anyone.get(address)).status_code == 200


def test_every_new_address_has_at_least_an_hour_left() -> None:
    signer = PictureSigner(b"s" * 32)
    for now_s in range(NOON_S, NOON_S + WINDOW_S + 1, 7):
        expires_s = int(parse_qs(signer.query("avat_1", "image.jpg", now_s=now_s))["e"][0])
        assert LEFT_S <= expires_s - now_s <= WINDOW_S + LEFT_S


async def test_a_private_picture_is_kept_by_one_browser_and_never_beyond_its_address(
    anyone: httpx.AsyncClient, shown: list[str], clock: Clock
) -> None:
    for after_s, kept_s in ((0, HOUR_S), (HOUR_S, HOUR_S), (2 * HOUR_S - 90, 90), (2 * HOUR_S - 1, 1)):
        clock.now_s = NOON_S + after_s
        answer = await anyone.get(shown[0])
        assert answer.headers["cache-control"] == f"private, max-age={kept_s}"
        again = await anyone.get(shown[0], headers={"if-none-match": f'"other", W/{answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert {name: again.headers[name] for name in ("etag", "cache-control")} == {
            name: answer.headers[name] for name in ("etag", "cache-control")
        }
        assert (await anyone.get(shown[0], headers={"if-none-match": '"other"'})).status_code == 200


def changed(address: str, *, e: str | None = None, s: str | None = None) -> str:
    query = parse_qs(urlsplit(address).query)
    return f"{address.partition('?')[0]}?e={query['e'][0] if e is None else e}&s={query['s'][0] if s is None else s}"


async def test_without_a_valid_signature_a_private_picture_is_as_unknown_as_any(
    service: Service, anyone: httpx.AsyncClient, shown: list[str]
) -> None:
    unknown = await anyone.get("/media/avatars/avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B4/preview.jpg")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
    preview, image = shown[:2]
    assert "preview.jpg" in preview and "image.jpg" in image
    other = await service.services.avatars.add(b"another face", name="Other", owner=await owner(service))
    expiry = int(parse_qs(urlsplit(preview).query)["e"][0])
    _, stranger = await service.services.accounts.create(name="stranger")
    plain = preview.partition("?")[0]
    foreign = PictureSigner(b"x" * 32).query(service.look_id, "preview.jpg", now_s=NOON_S)
    attempts: list[tuple[str, dict[str, str]]] = [
        (plain, {}),
        (plain, {"x-api-key": stranger}),
        (plain, {"x-api-key": "odd"}),
        (changed(preview, e=str(expiry + 1)), {}),
        (changed(preview, e=f"0{expiry}"), {}),
        (changed(preview, e=str(expiry - 10 * HOUR_S)), {}),
        (changed(preview, e="9" * 5000), {}),
        (changed(preview, e="\u0663"), {}),
        (changed(preview, e=""), {}),
        (changed(preview, s=""), {}),
        (changed(preview, s="\u00e9" * 22), {}),
        (changed(preview, s="A" * 22), {}),
        (preview[:-1], {}),
        (preview.replace("preview.jpg", "image.jpg"), {}),
        (preview.replace(service.look_id, other.id), {}),
        (f"{plain}?{foreign}", {}),
    ]
    for address, headers in attempts:
        refused = await anyone.get(address, headers=headers)
        assert (refused.status_code, refused.content) == (404, unknown.content), address
        assert refused.headers["cache-control"] == unknown.headers["cache-control"] == "no-store"


async def owner(service: Service) -> KeyRecord:
    return await service.services.accounts.authenticate(service.key)


async def test_the_owners_key_opens_a_private_picture_and_no_cache_gives_it_to_others(
    service: Service, shown: list[str], clock: Clock
) -> None:
    plain = shown[0].partition("?")[0]
    clock.now_s += 10 * HOUR_S
    for address in (plain, shown[0], changed(shown[0], s="A" * 22)):
        answer = await service.client.get(address)
        assert (answer.status_code, answer.content) == (200, b"a face")
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["vary"] == "X-Api-Key"
    known = await service.client.get(plain, headers={"if-none-match": answer.headers["etag"]})
    assert known.status_code == 304
    await service.services.accounts.revoke((await owner(service)).id)
    assert (await service.client.get(plain)).status_code == 404


async def test_pictures_of_the_library_are_public_and_unsigned(tmp_path: Path) -> None:
    async with open_service(tmp_path, portraits=[DEFAULT_PORTRAIT]) as service:
        with anyio.fail_after(20):
            while not (public := (await service.client.get("/v1/avatars?view=flat")).json()["public_avatars"]):  # noqa: ASYNC110 (as a client does)
                await anyio.sleep(0.01)
        look = public[0]
        session = (await service.client.post("/v1/sessions", json={"avatar_id": look["avatar_id"]})).json()["session"]
        listed = (await service.client.get("/v1/sessions")).json()["sessions"][0]
        one = (await service.client.get("/v1/avatars/public")).json()["avatars"][0]
        assert session["avatar"]["url"] == listed["avatar"]["url"] == look["image_url"]
        for address in (look["preview_url"], look["image_url"], one["preview_img_url"]):
            assert "?" not in address
            answer = await service.client.get(address, headers={"x-api-key": ""})
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "public, max-age=3600"
            again = await service.client.get(address, headers={"if-none-match": answer.headers["etag"]})
            assert again.status_code == 304


async def test_signatures_are_the_same_after_a_restart_and_differ_between_servers(tmp_path: Path, clock: Clock) -> None:
    seen = []
    for folder in ("one", "one", "two"):
        async with open_service(tmp_path / folder) as service:
            seen.append(service.services.pictures.query("avat_1", "image.jpg", now_s=NOON_S))
    assert seen[0] == seen[1] != seen[2]


async def test_answers_that_may_hold_tokens_are_stored_nowhere(service: Service) -> None:
    """Each call of a session's life, and a replayed answer."""
    seen: list[httpx.Response] = []

    async def call(method: str, address: str, **more: object) -> httpx.Response:
        seen.append(await service.client.request(method, address, **more))  # type: ignore[arg-type]
        return seen[-1]

    for _ in range(2):
        body = {"avatar_id": service.look_id}
        created = await call("POST", "/v1/sessions", json=body, headers={"idempotency-key": "one"})
    assert seen[-1].headers["idempotency-replayed"] == "true"
    session = created.json()["session"]
    room = session["daily_room"]
    await call("PUT", f"/v1/sessions/{session['session_id']}/start")
    await call("GET", f"/v1/sessions/{session['session_id']}")
    await call("GET", "/v1/sessions")
    await call("GET", "/v1/avatars")
    await call("POST", "/v1/sessions", json={"avatar": service.look_id})
    bearer = {"authorization": f"Bearer {room['token']}"}
    await call("OPTIONS", f"{room['url']}/whep", headers=bearer)
    await call("GET", f"{room['url']}/whep", headers=bearer)
    sdp = bearer | {"content-type": "application/sdp"}
    assert (await call("POST", f"{room['url']}/whep", content="v=0\r\n", headers=sdp)).status_code in (201, 400)
    await call("GET", f"{room['url']}/picture", headers=bearer)
    await call("POST", f"/v1/sessions/{session['session_id']}/end")
    await call("GET", "/v1/sessions", headers={"x-api-key": "wrong"})
    for answer in seen:
        assert answer.headers["cache-control"] == "no-store", (answer.request.method, answer.request.url)
    for page in ("/", "/docs", "/favicon.svg"):
        assert re.search("no-cache|max-age", (await service.client.get(page)).headers["cache-control"]), page
