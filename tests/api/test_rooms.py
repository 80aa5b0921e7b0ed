"""The embedded room: its page, its token, and watching it over WHEP."""

from __future__ import annotations

import base64
import hmac
import re
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.conftest import Service, open_service
from visavis.errors import IceRestartUnavailable
from visavis.rooms.spec import EmbeddedRoomSpec
from visavis.sessions.joining import MAX_PER_ADDRESS
from visavis.stage.port.events import ViewerLeft

pytestmark = pytest.mark.anyio

OFFER = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


async def make(service: Service, *, start: bool = True) -> dict[str, Any]:
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    session: dict[str, Any] = answer.json()["session"]
    if start:
        await service.client.put(f"/v1/sessions/{session['session_id']}/start")
    return session


def headers(session: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {session['daily_room']['token']}", "content-type": "application/sdp"}


async def test_a_viewer_joins_and_leaves(service: Service) -> None:
    session = await make(service)
    whep = session["daily_room"]["url"] + "/whep"
    answer = await service.client.post(whep, content=OFFER, headers=headers(session))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.text.startswith("v=0")
    assert answer.headers["access-control-allow-origin"] == "*"
    location = answer.headers["location"]
    assert location.startswith(f"/rooms/{session['daily_room']['name']}/whep/")
    assert len(service.performer(session["session_id"]).viewers) == 1
    assert (await service.client.delete(location)).status_code == 401
    assert (await service.client.delete(location, headers=headers(session))).status_code == 200
    assert (await service.client.delete(location, headers=headers(session))).status_code == 404
    assert service.performer(session["session_id"]).viewers == set()


async def test_a_viewer_that_closes_its_connection_before_it_says_so_is_no_unknown_one(service: Service) -> None:
    session = await make(service)
    whep = session["daily_room"]["url"] + "/whep"
    location = (await service.client.post(whep, content=OFFER, headers=headers(session))).headers["location"]
    performer = service.performer(session["session_id"])
    (viewer_id,) = performer.viewers
    performer.viewers.clear()
    performer.emit(ViewerLeft(viewer_id=viewer_id, viewers=0))
    while (await service.client.get(location, headers=headers(session))).status_code != 404:
        pass
    assert (await service.client.delete(location, headers=headers(session))).status_code == 200
    assert (await service.client.delete(location, headers=headers(session))).status_code == 404


async def test_a_viewer_can_be_asked_for_until_it_has_left(service: Service) -> None:
    session = await make(service)
    whep = session["daily_room"]["url"] + "/whep"
    for method in ("GET", "HEAD"):
        assert (await service.client.request(method, whep, headers=headers(session))).status_code == 204
        assert (await service.client.request(method, whep)).status_code == 401
    location = (await service.client.post(whep, content=OFFER, headers=headers(session))).headers["location"]
    for method in ("GET", "HEAD"):
        assert (await service.client.request(method, location, headers=headers(session))).status_code == 204
    assert (await service.client.get(location)).status_code == 401
    assert (await service.client.get(location[:-1] + "!", headers=headers(session))).status_code == 404
    await service.client.delete(location, headers=headers(session))
    assert (await service.client.get(location, headers=headers(session))).status_code == 404
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    assert (await service.client.get(location, headers=headers(session))).status_code == 410


async def test_methods_that_whep_does_not_need_are_refused_with_those_that_it_takes(service: Service) -> None:
    session = await make(service)
    whep = session["daily_room"]["url"] + "/whep"
    location = (await service.client.post(whep, content=OFFER, headers=headers(session))).headers["location"]
    taken = {whep: "GET, POST, OPTIONS", location: "GET, PATCH, DELETE, OPTIONS"}
    for address, methods in taken.items():
        for method in {"PUT", "PATCH", "POST", "DELETE"} - set(methods.split(", ")):
            answer = await service.client.request(method, address, headers=headers(session))
            assert (answer.status_code, answer.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED"), method
            assert answer.headers["allow"] == methods
            assert answer.headers["access-control-allow-origin"] == "*"


CANDIDATE = "a=candidate:1 1 udp 2122252543 192.0.2.7 50000 typ host\r\n"


async def test_candidates_may_follow_the_offer(service: Service) -> None:
    session = await make(service)
    joined = await service.client.post(session["daily_room"]["url"] + "/whep", content=OFFER, headers=headers(session))
    location, etag = joined.headers["location"], joined.headers["etag"]
    sent = headers(session) | {"content-type": "application/trickle-ice-sdpfrag", "if-match": etag}
    answer = await service.client.patch(location, content=CANDIDATE, headers=sent)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert service.performer(session["session_id"]).fragments == [CANDIDATE]

    async def refused(content: str | bytes = CANDIDATE, at: str = location, **changed: str) -> tuple[int, str]:
        header = {name.replace("_", "-"): value for name, value in changed.items()}
        answer = await service.client.patch(at, content=content, headers=sent | header)
        return answer.status_code, answer.json()["error"]["code"]

    assert await refused(if_match='"view_other"') == (412, "PRECONDITION_FAILED")
    assert await refused(if_match="*") == (400, "CANDIDATES_REFUSED"), "a restart needs new credentials"
    assert await refused(if_match=f'{etag[:-1]}.1"') == (412, "PRECONDITION_FAILED"), "no restart yet"
    for odd in (f'{etag[:-1]}.0"', f'{etag[:-1]}.01"', f'{etag[:-1]}.x"', etag[:-1], etag.strip('"')):
        assert await refused(if_match=odd) == (412, "PRECONDITION_FAILED")
    assert await refused(content_type="application/sdp") == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert await refused(content=b"\xff") == (400, "CANDIDATES_REFUSED")
    assert await refused(content="x" * 20_000) == (413, "PAYLOAD_TOO_LARGE")
    assert await refused(at=location[:-1] + "!") == (404, "VIEWER_NOT_FOUND")
    assert await refused(authorization="Bearer x") == (401, "UNAUTHORIZED")
    del sent["if-match"]
    assert await refused() == (428, "PRECONDITION_REQUIRED")
    assert await refused(if_match=f'"a", {etag}', content=b"") == (400, "CANDIDATES_REFUSED")
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    assert await refused() == (410, "SESSION_ENDED")


async def test_a_restart_of_ice_names_the_new_session_and_ends_the_one_before(service: Service) -> None:
    session = await make(service)
    joined = await service.client.post(session["daily_room"]["url"] + "/whep", content=OFFER, headers=headers(session))
    location, etag = joined.headers["location"], joined.headers["etag"]
    sent = headers(session) | {"content-type": "application/trickle-ice-sdpfrag"}
    credentials = "a=ice-ufrag:new1\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n"
    tags = [etag]
    for _ in range(2):
        answer = await service.client.patch(location, content=credentials, headers=sent | {"if-match": "*"})
        assert (answer.status_code, answer.text) == (200, "a=ice-ufrag:fake\r\n")
        assert answer.headers["content-type"] == "application/trickle-ice-sdpfrag"
        tags.append(answer.headers["etag"])
    assert len(set(tags)) == 3
    outcomes = [
        (await service.client.patch(location, content=CANDIDATE, headers=sent | {"if-match": tag})).status_code
        for tag in tags
    ]
    assert outcomes == [412, 412, 204]
    service.performer(session["session_id"]).refusal = IceRestartUnavailable()
    refused = await service.client.patch(location, content=credentials, headers=sent | {"if-match": "*"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "ICE_RESTART_UNAVAILABLE")


async def test_an_address_that_sends_too_many_offers_is_told_when_to_come_back(service: Service) -> None:
    session, other = await make(service), await make(service)
    whep = session["daily_room"]["url"] + "/whep"
    for _ in range(MAX_PER_ADDRESS):
        joined = await service.client.post(whep, content=OFFER, headers=headers(session))
        assert joined.status_code == 201
        await service.client.delete(joined.headers["location"], headers=headers(session))
    refused = await service.client.post(whep, content=OFFER, headers=headers(session))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TOO_MANY_OFFERS")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert service.performer(session["session_id"]).viewers == set()
    elsewhere = other["daily_room"]["url"] + "/whep"
    assert (await service.client.post(elsewhere, content=OFFER, headers=headers(other))).status_code == 201


async def test_the_room_waits_for_the_start_and_is_gone_after_the_end(service: Service) -> None:
    session = await make(service, start=False)
    whep = session["daily_room"]["url"] + "/whep"
    early = await service.client.post(whep, content=OFFER, headers=headers(session))
    assert (early.status_code, early.json()["error"]["code"]) == (409, "SESSION_NOT_STARTED")
    assert int(early.headers["retry-after"]) >= 1
    assert early.headers["access-control-allow-origin"] == "*"
    await service.client.put(f"/v1/sessions/{session['session_id']}/start")
    assert (await service.client.post(whep, content=OFFER, headers=headers(session))).status_code == 201
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    late = await service.client.post(whep, content=OFFER, headers=headers(session))
    assert (late.status_code, late.json()["error"]["code"]) == (410, "SESSION_ENDED")
    assert late.json()["error"]["details"] == {"reason": "ended_by_client"}


async def test_only_the_rooms_own_token_opens_it(service: Service) -> None:
    session, other = await make(service), await make(service)
    whep = session["daily_room"]["url"] + "/whep"
    name = session["daily_room"]["name"]
    forged = jwt.encode({"room": name}, "0" * 32, algorithm="HS256")
    unsigned = jwt.encode({"room": name}, "", algorithm="none")
    for token in (other["daily_room"]["token"], session["access_token"], forged, unsigned, "x", "é"):
        sent = {name.encode(): value.encode() for name, value in headers(session).items()}
        sent[b"authorization"] = f"Bearer {token}".encode("latin-1")
        answer = await service.client.post(whep, content=OFFER, headers=sent)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED"), token
    for authorization in ({}, {"authorization": "Basic x"}, {"authorization": "Bearer "}):
        answer = await service.client.post(
            whep, content=OFFER, headers={"content-type": "application/sdp"} | authorization
        )
        assert answer.status_code == 401
    unknown = await service.client.post("/rooms/vv-nothing/whep", content=OFFER, headers=headers(session))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "ROOM_NOT_FOUND")
    assert service.performer(session["session_id"]).viewers == set()


async def test_the_token_is_an_hs256_jwt_of_this_room(service: Service) -> None:
    session = await make(service, start=False)
    token = session["daily_room"]["token"]
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["room"] == session["daily_room"]["name"]
    assert (await service.client.get(f"/v1/sessions/{session['session_id']}")).json()["session"]["daily_room"][
        "token"
    ] == token


BAD_OFFERS = [
    (b"{}", "application/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
    (b"", "application/sdp", 400, "OFFER_REFUSED"),
    (b"\xff\xfe", "application/sdp", 400, "OFFER_REFUSED"),
    (b"v=0\r\nm=audio 9 RTP/AVP 0\r\n", "application/sdp", 400, "OFFER_REFUSED"),
    (b"v=0\r\n" + b"a=x\r\n" * 20_000, "application/sdp", 413, "PAYLOAD_TOO_LARGE"),
]


async def test_a_bad_offer_is_refused(service: Service) -> None:
    for content, content_type, status, code in BAD_OFFERS:
        session = await make(service)
        answer = await service.client.post(
            session["daily_room"]["url"] + "/whep",
            content=content,
            headers=headers(session) | {"content-type": content_type},
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), content[:40]


async def test_preflight_and_ice_servers(tmp_path: Path) -> None:
    ice = [
        {"url": "stun:stun.example.org"},
        {"url": "turn:turn.example.org?transport=udp", "username": "u", "credential": "c"},
    ]
    async with open_service(tmp_path, ice_servers=ice) as service:
        session = await make(service)
        whep = session["daily_room"]["url"] + "/whep"
        preflight = await service.client.options(
            whep, headers={"origin": "https://example.org", "access-control-request-method": "POST"}
        )
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        assert {"PATCH", "DELETE"} <= set(preflight.headers["access-control-allow-methods"].split(", "))
        assert preflight.headers["accept-post"] == "application/sdp"
        assert preflight.headers["accept-patch"] == "application/trickle-ice-sdpfrag"
        answer = await service.client.post(whep, content=OFFER, headers=headers(session))
        assert answer.headers["link"] == (
            '<stun:stun.example.org>; rel="ice-server", <turn:turn.example.org?transport=udp>; rel="ice-server"; '
            'username="u"; credential="c"; credential-type="password"'
        )


async def test_a_stage_gets_credentials_of_one_session_and_not_the_secret(tmp_path: Path) -> None:
    ice = [{"url": "turn:turn.example.org", "secret": "shared"}, {"url": "stun:stun.example.org"}]
    async with open_service(tmp_path, ice_servers=ice) as service:
        session_id = (await make(service))["session_id"]
        room = service.performer(session_id).spec.room
    assert isinstance(room, EmbeddedRoomSpec)
    (server,) = room.ice_servers
    assert server.url == "turn:turn.example.org" and server.username is not None
    assert re.fullmatch(rf"\d+:{session_id}", server.username)
    digest = hmac.new(b"shared", server.username.encode(), "sha1").digest()
    assert server.credential == base64.b64encode(digest).decode()


async def test_a_room_says_what_it_shows(service: Service) -> None:
    look = {"avatar_id": service.look_id, "output": {"background": {"type": "transparent"}}}
    session = (await service.client.post("/v1/sessions", json=look)).json()["session"]
    address = session["daily_room"]["url"] + "/picture"
    assert (await service.client.get(address, headers=headers(session))).status_code == 409
    await service.client.put(f"/v1/sessions/{session['session_id']}/start")
    shown = await service.client.get(address, headers=headers(session))
    assert shown.json() == {"video_width": 1280, "video_height": 720, "transparent": True}
    assert shown.headers["cache-control"] == "no-store"
    assert (await service.client.get(address)).status_code == 401
    asked = await service.client.options(address)  # as a page of another origin does first
    assert (
        "GET" in asked.headers["access-control-allow-methods"] and asked.headers["access-control-allow-origin"] == "*"
    )
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    assert (await service.client.get(address, headers=headers(session))).status_code == 410


async def test_a_room_of_an_ordinary_session_carries_no_matte(service: Service) -> None:
    session = await make(service)
    shown = (await service.client.get(session["daily_room"]["url"] + "/picture", headers=headers(session))).json()
    assert shown["transparent"] is False
