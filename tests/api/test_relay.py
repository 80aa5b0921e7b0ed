"""Two servers of a fleet on a real PostgreSQL, with fake stages: whichever is asked, the owner of a session answers."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import update
from websockets.asyncio.client import ClientConnection as OwnersConnection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests import postgresql
from tests.api.two_servers import Both, Two
from tests.attacks.test_rooms import HEAD, VIDEO
from tests.fakes import FakeFleet, fake_prepare
from visavis.api import relay, relayed_channel
from visavis.api.relay import PROOF, RELAYED_FOR, Relay
from visavis.channel.websocket import channel_router
from visavis.connections.guard import ConnectionGuard
from visavis.demo.server_process import free_port
from visavis.errors import CloseCode
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.store.database import Database
from visavis.store.models import servers
from visavis.tls.trust import trust_in

WITHIN_S = 20.0


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgresql_cluster: postgresql.Cluster) -> Iterator[Both]:
    url = postgresql.new_database(postgresql_cluster)
    ports, stages = (free_port(), free_port()), (FakeFleet(), FakeFleet())
    settings = [
        Settings(
            data_dir=tmp_path_factory.mktemp("server"),
            database_url=SecretStr(url),
            fleet=True,
            trusted_proxies=("127.0.0.1",),
            rate_limit_per_minute=100_000,
            stage_source_url=f"http://127.0.0.1:{port}",
            secret=SecretStr("s" * 32),
        )
        for port in ports
    ]
    with (
        RunningServer(settings[0], fleet=stages[0], prepare=fake_prepare, port=ports[0]) as one,
        RunningServer(settings[1], fleet=stages[1], prepare=fake_prepare, port=ports[1]) as other,
        httpx.Client(base_url=one.base_url, headers={"x-api-key": one.api_key}) as client,
    ):
        upload = client.post("/v1/avatars/upload-face", json={"image_base64": "YQ=="})
        yield Both(url, one, other, stages, client, upload.json()["avatar_id"])
    postgresql.drop_database(postgresql_cluster, url)


@pytest.fixture
def two(both: Both) -> Iterator[Two]:
    created = both.http.post("/v1/sessions", json={"avatar_id": both.avatar_id})
    session = created.json()["session"]
    assert both.http.put(f"/v1/sessions/{session['session_id']}/start").status_code == 200
    with httpx.Client(base_url=both.other.base_url, headers=both.http.headers) as client:
        yield Two(both.one, both.other, both.stages, session, client)
    both.http.put(f"/v1/sessions/{session['session_id']}/end")


def test_calls_about_a_session_are_answered_by_its_owner(two: Two) -> None:
    sdp = two.bearer() | {"content-type": "application/sdp"}
    joined = two.http.post(f"{two.room}/whep", content=HEAD + VIDEO, headers=sdp)
    assert (joined.status_code, joined.text) == (201, "v=0\r\na=fake answer\r\n")
    assert joined.headers["location"].startswith(f"{two.room}/whep/view_")
    assert len(joined.headers.get_list("request-id")) == 1
    viewer = joined.headers["location"]
    assert viewer.rpartition("/")[2] in two.performer.viewers
    assert two.http.get(viewer, headers=two.bearer()).status_code == 204
    picture = two.http.get(f"{two.room}/picture", headers=two.bearer())
    assert picture.json()["video_width"] == 1280
    assert two.http.head(f"{two.room}/picture", headers=two.bearer()).content == b""
    assert two.http.delete(viewer, headers=two.bearer()).status_code == 200
    assert not two.performer.viewers
    path = f"/v1/sessions/{two.session['session_id']}"
    assert two.http.get(f"{path}/metrics").status_code == 200
    assert two.http.put(f"{path}/end").json()["session"]["status"] == "ended"
    assert two.performer.ended
    assert two.http.get(f"{two.room}/picture", headers=two.bearer()).status_code == 410


def test_who_may_ask_and_for_whom_the_owner_decides(two: Two) -> None:
    sdp = {"authorization": "Bearer wrong", "content-type": "application/sdp"}
    assert two.http.post(f"{two.room}/whep", content=HEAD + VIDEO, headers=sdp).status_code == 401
    path = f"/v1/sessions/{two.session['session_id']}/end"
    assert two.http.put(path, headers={"x-api-key": "vv_wrong"}).status_code == 401
    forged = two.bearer() | {PROOF: "0" * 64, RELAYED_FOR: "10.1.2.3 https"}
    assert two.http.get(f"{two.room}/picture", headers=forged).status_code == 200
    large = two.http.post(
        f"{two.room}/whep",
        content=HEAD + VIDEO + "x" * 300_000,
        headers=two.bearer() | {"content-type": "application/sdp"},
    )
    assert large.json()["error"]["code"] == "PAYLOAD_TOO_LARGE", large.text
    assert not two.performer.viewers and not two.performer.ended


def test_a_channel_reaches_the_owner_of_its_session(two: Two) -> None:
    with two.channel() as channel:
        channel.send(two.init(session_token="wrong"))
        assert json.loads(channel.recv(WITHIN_S))["code"] == "UNAUTHORIZED"
        with pytest.raises(ConnectionClosed) as closed:
            channel.recv(WITHIN_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == CloseCode.UNAUTHORIZED
    with two.channel() as channel:
        channel.send(two.init())
        assert json.loads(channel.recv(WITHIN_S))["type"] == "connection.established"
        audio = base64.b64encode(b"\1\1" * 100_000).decode()
        channel.send(json.dumps({"type": "agent.speak", "audio": audio, "sample_rate": 16_000, "utterance_id": "u"}))
        said = {json.loads(channel.recv(WITHIN_S))["type"] for _ in range(2)}
        assert said == {"agent.speak.confirmed", "agent.playback.started"}
        assert two.performer.spoken[0][1].pcm == b"\1\1" * 100_000
        two.http.put(f"/v1/sessions/{two.session['session_id']}/end")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                channel.recv(WITHIN_S)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (CloseCode.NORMAL, "ended_by_client")


def test_a_channel_of_no_other_server_is_this_ones(two: Two) -> None:
    with two.channel() as channel:
        channel.send(two.init(session_id="sess_01ARZ3NDEKTSV4RRFFQ69G5FAV"))
        assert json.loads(channel.recv(WITHIN_S))["code"] == "SESSION_NOT_FOUND"
    with two.channel() as channel:
        channel.send("no json")
        assert json.loads(channel.recv(WITHIN_S))["type"] == "error"


def test_what_a_client_writes_is_never_part_of_the_address_that_is_asked(two: Two) -> None:
    """A path with percent signs, whose decoded form is a relayed one, and which would end the name of the host."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(1.0)
        at = f"@127.0.0.1:{stranger.getsockname()[1]}"
        room, session_id = two.room.removeprefix("/rooms/"), two.session["session_id"]
        for target in (
            f"%2Frooms%2F{room}%2Fwhep%2Fx{at}?a=b",
            f"%2Frooms%2F{room}%2Fpicture",
            f"%2Fv1%2Fsessions%2F{session_id}%2Fend",
            f"{at}/rooms/{room}/picture",
            f"/rooms/{room}%2Fwhep%2F{at}",
            f"/rooms/{room}/whep/{at}",
        ):
            with socket.create_connection(("127.0.0.1", urlsplit(two.other.base_url).port), timeout=5) as client:
                client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
                answer = client.recv(64)
                assert re.match(rb"HTTP/1.1 4\d\d ", answer), (target, answer)
        with pytest.raises(TimeoutError):
            stranger.accept()


def test_a_proof_is_of_one_call_at_one_time(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    own = two.one.services.relay
    assert isinstance(own, Relay)
    scope = {"type": "http", "method": "GET", "path": "/a", "scheme": "http", "client": ("10.0.0.1", 1), "headers": []}
    headers = {name.decode(): value.decode() for name, value in own.headers_for(scope)}
    assert own.is_proven(scope, headers)
    assert not own.is_proven(scope | {"path": "/b"}, headers)
    assert not own.is_proven(scope | {"method": "PUT"}, headers)
    assert not own.is_proven(scope | {"type": "websocket"}, headers)
    assert not own.is_proven(scope, headers | {RELAYED_FOR: "127.0.0.1 http"})
    assert not own.is_proven(scope, headers | {PROOF: "1e9.00"})
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + 70)
    assert not own.is_proven(scope, headers)


def test_a_call_is_passed_on_without_what_the_client_did_not_send(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that relays would ask for gzip itself, and send cookies that an owner has given to others."""
    asked: list[httpx.Request] = []
    own = two.other.services.relay
    assert isinstance(own, Relay)
    own.http.cookies.set("other", "1", domain="127.0.0.1")
    send = own.http.send

    async def record(request: httpx.Request, **options: Any) -> httpx.Response:
        asked.append(request)
        return await send(request, **options)

    monkeypatch.setattr(own.http, "send", record)
    path = f"/v1/sessions/{two.session['session_id']}/metrics"
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Api-Key: {two.http.headers['x-api-key']}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(two.other.base_url).port), timeout=5) as client:
        client.sendall(head.encode())
        assert client.recv(64).startswith(b"HTTP/1.1 200 ")
    [request] = asked
    assert set(request.headers) == {"host", "x-api-key", PROOF, RELAYED_FOR}
    own.http.cookies.clear()


def test_a_preflight_proves_no_connection(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    proven: list[str] = []
    monkeypatch.setattr(relay, "prove", lambda scope: proven.append(scope["method"]))
    assert two.http.options(f"{two.room}/whep").status_code == 204
    assert proven == ["OPTIONS"], "by the owner, which trusts the relay; not by the relay"
    assert two.http.get(f"{two.room}/picture", headers=two.bearer()).status_code == 200
    assert proven[1:] == ["GET", "GET"]


def test_a_channel_whose_client_reads_slowly_is_not_taken_for_one_whose_owner_is_gone(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's answers to pings stand behind what the client has not read."""

    async def unanswered(self: object) -> asyncio.Future[float]:
        return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(OwnersConnection, "ping", unanswered)
    monkeypatch.setattr(relayed_channel, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(relayed_channel, "SILENT_S", 0.05)
    with two.channel() as channel:
        channel.send(two.init())
        assert json.loads(channel.recv(WITHIN_S))["type"] == "connection.established"
        time.sleep(1.0)
        channel.send(json.dumps({"type": "agent.interrupt"}))
        assert json.loads(channel.recv(WITHIN_S))["type"] != "error"
        monkeypatch.setattr(relayed_channel, "GONE_S", 0.1)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                channel.recv(WITHIN_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == CloseCode.SERVER_CHANGES


def test_browser_tokens_open_a_session_through_any_server(two: Two) -> None:
    shop = {"origin": "https://shop.example"}
    path = f"/v1/sessions/{two.session['session_id']}"

    def mint(purpose: str) -> str:
        body = {"purpose": purpose, "origins": [shop["origin"]]}
        return str(two.http.post(f"{path}/tokens", json=body).json()["token"]["token"])

    with httpx.Client(base_url=two.other.base_url) as browser:
        watch = {"authorization": f"Bearer {mint('watch')}", "content-type": "application/sdp"}
        for origin, status in ((shop, 201), ({"origin": "https://thief.example"}, 403)):
            joined = browser.post(f"{two.room}/whep", content=HEAD + VIDEO, headers=watch | origin)
            assert joined.status_code == status, joined.text
        assert len(two.performer.viewers) == 1
        speak = mint("speak")
        for origin, answer in (({"origin": "https://thief.example"}, "error"), (shop, "connection.established")):
            address = f"ws{two.other.base_url.removeprefix('http')}/v1/channel"
            with connect(address, additional_headers=origin) as channel:
                channel.send(two.init(session_token=speak))
                assert json.loads(channel.recv(WITHIN_S))["type"] == answer
        control = {"authorization": f"Bearer {mint('control')}"}
        refused = browser.put(f"{path}/end", headers=watch | shop)
        assert refused.status_code == 401 and not two.performer.ended
        assert browser.get(f"{path}/metrics", headers=control | shop).status_code == 200
        assert browser.put(f"{path}/end", headers=control | shop).json()["session"]["status"] == "ended"


def test_the_owner_takes_a_relayed_call_for_that_of_the_client_whom_the_first_servers_proxy_names(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    relayed = relay._relayed

    def record(scope: Any, headers: Any) -> Any:
        found = relayed(scope, headers)
        seen.append((found["client"][0], found["scheme"]))
        return found

    monkeypatch.setattr(relay, "_relayed", record)
    by_proxy = {"x-forwarded-for": "198.51.100.9, 203.0.113.7", "x-forwarded-proto": "https"}
    assert two.http.get(f"{two.room}/picture", headers=two.bearer() | by_proxy).status_code == 200
    own = two.bearer() | {RELAYED_FOR: "192.0.2.1 http"}
    assert two.http.get(f"{two.room}/picture", headers=own).status_code == 200
    with two.channel() as channel:
        channel.send(two.init())
        channel.recv(WITHIN_S)
    assert seen == [("203.0.113.7", "https"), ("127.0.0.1", "http"), ("127.0.0.1", "ws")]


def test_channels_that_a_server_relays_do_not_take_the_places_of_unknown_callers(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They all come from the address of that server, which counts its own callers."""
    proven: list[int] = []
    prove = ConnectionGuard.prove

    def record(guard: ConnectionGuard, key: int) -> None:
        proven.append(id(guard))
        prove(guard, key)

    monkeypatch.setattr(ConnectionGuard, "prove", record)
    with two.channel() as channel:
        channel.send(two.init(session_token="wrong"))
        assert json.loads(channel.recv(WITHIN_S))["code"] == "UNAUTHORIZED"
    assert len(proven) == 1, "by the owner; the relay knows nothing of this caller yet"
    with two.channel() as channel:
        channel.send(two.init())
        channel.recv(WITHIN_S)
    assert len(set(proven)) == 2


@pytest.mark.anyio
async def test_a_channel_that_says_nothing_has_one_time_for_its_first_frame() -> None:
    app, sent = FastAPI(), list[Any]()
    app.include_router(channel_router(cast(Any, None), init_timeout_s=1.0))
    coming = iter([{"type": "websocket.connect"}])

    async def receive() -> Any:
        if (message := next(coming, None)) is None:
            await anyio.sleep_forever()
        return message

    async def send(message: Any) -> None:
        sent.append(message)

    async def owner_of(first: object) -> None:
        raise AssertionError(first)

    scope = {"type": "websocket", "path": "/v1/channel", "headers": [], "query_string": b"", "subprotocols": []}
    began_s = anyio.current_time()
    with anyio.fail_after(WITHIN_S):
        await relayed_channel.relay_channel(
            app,
            (scope, receive, send),
            owner_of,
            path="/v1/channel",
            headers=list,
            tls=trust_in(None),
            init_within_s=1.0,
        )
    assert [one["type"] for one in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[-1]["code"] == CloseCode.INIT_TIMEOUT
    assert anyio.current_time() - began_s < 1.7


def test_while_the_owner_is_gone_the_client_is_told_to_come_again(
    two: Two, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's row names an address where nobody listens, as of a server that has just died."""

    async def leave() -> None:
        database = await Database.open(both.url)
        owner = servers.c.id == two.one.services.sessions._store.server_id
        async with database.write() as connection:
            gone = {"address": f"http://127.0.0.1:{free_port()}"}
            await connection.execute(update(servers).where(owner).values(**gone))
        await database.aclose()

    asyncio.run(leave())
    monkeypatch.setattr(relayed_channel, "OPEN_WITHIN_S", 0.5)
    with two.channel() as channel:
        channel.send(two.init())
        with pytest.raises(ConnectionClosed) as closed:
            channel.recv(WITHIN_S)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == CloseCode.SERVER_CHANGES
    told = two.http.get(f"{two.room}/picture", headers=two.bearer())
    assert (told.status_code, told.headers["visavis-should-retry"]) == (503, "true")
