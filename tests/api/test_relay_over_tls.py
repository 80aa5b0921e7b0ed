"""Two servers of a fleet that reach each other over HTTPS, with a certificate of an authority that only they know."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed

from tests import postgresql
from tests.api.two_servers import Both, Two
from tests.attacks.test_rooms import HEAD, VIDEO
from tests.fakes import FakeFleet, fake_prepare
from visavis.api import relayed_channel
from visavis.api.relay import Relay
from visavis.demo.server_process import free_port
from visavis.errors import CloseCode
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.tls import command, renewal
from visavis.tls.trust import read_authorities, trust_in

WITHIN_S = 20.0


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an authority, and of the owner's certificate."""
    folder = tmp_path_factory.mktemp("tls")
    command.run(["127.0.0.1"], folder)
    return folder


def trusting(folder: Path) -> ssl.SSLContext:
    return trust_in(read_authorities(folder / "authority.pem"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgresql_cluster: postgresql.Cluster, tls: Path) -> Iterator[Both]:
    url = postgresql.new_database(postgresql_cluster)
    ports, stages = (free_port(), free_port()), (FakeFleet(), FakeFleet())
    settings = [
        Settings(
            data_dir=tmp_path_factory.mktemp("server"),
            database_url=SecretStr(url),
            fleet=True,
            rate_limit_per_minute=100_000,
            stage_source_url=f"{scheme}://127.0.0.1:{port}",
            server_ca_file=tls / "authority.pem",
            secret=SecretStr("s" * 32),
            tls_cert=tls / "server.pem" if scheme == "https" else None,
            tls_key=tls / "server.key" if scheme == "https" else None,
        )
        for port, scheme in zip(ports, ("https", "http"), strict=True)
    ]
    with (
        pytest.MonkeyPatch.context() as patch,
        RunningServer(settings[0], fleet=stages[0], prepare=fake_prepare, port=ports[0]) as one,
        RunningServer(settings[1], fleet=stages[1], prepare=fake_prepare, port=ports[1]) as other,
        httpx.Client(base_url=one.base_url, headers={"x-api-key": one.api_key}, verify=trusting(tls)) as client,
    ):
        patch.setattr(renewal, "LOOK_EVERY_S", 0.05)
        assert one.base_url.startswith("https:") and other.base_url.startswith("http:")
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


def test_the_owners_certificate_is_renewed_and_nobody_with_another_is_asked(
    two: Two, tls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serial() -> str:
        plain = socket.create_connection(("127.0.0.1", urlsplit(two.one.base_url).port), timeout=5)
        with plain, trusting(tls).wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            return str((connection.getpeercert() or {})["serialNumber"])

    before = serial()
    command.run([], tls)
    until_s = time.monotonic() + WITHIN_S
    while serial() == before:
        assert time.monotonic() < until_s
        time.sleep(0.05)  # the server tells nobody when it has taken it
    with two.channel() as channel:
        channel.send(two.init())
        assert json.loads(channel.recv(WITHIN_S))["type"] == "connection.established"
    command.run(["127.0.0.1"], tmp_path)  # another authority: as if somebody else stood at the owner's address
    own = two.other.services.relay
    assert isinstance(own, Relay)
    monkeypatch.setattr(own, "tls", trusting(tmp_path))
    monkeypatch.setattr(own, "http", httpx.AsyncClient(verify=own.tls, trust_env=False))
    monkeypatch.setattr(relayed_channel, "OPEN_WITHIN_S", 0.5)
    told = two.http.get(f"{two.room}/picture", headers=two.bearer())
    assert (told.status_code, told.headers["visavis-should-retry"]) == (503, "true")
    with two.channel() as channel, pytest.raises(ConnectionClosed) as closed:
        channel.send(two.init())
        channel.recv(WITHIN_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == CloseCode.SERVER_CHANGES
