"""A server that speaks HTTPS itself, with a certificate of the local authority."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

import visavis
from tests.certificates import write_certificate
from tests.fakes import FakeFleet, fake_prepare
from visavis.doctor import services
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.tls import command, renewal
from visavis.tls.pair import read_pair

ROOT = Path(__file__).parents[2]
WEB = Path(visavis.__file__).parent / "web"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("tls")
    command.run(["box.lan"], found)
    return found


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renewal, "LOOK_EVERY_S", 0.05)
        settings = Settings(
            data_dir=tmp_path_factory.mktemp("data"), tls_cert=folder / "server.pem", tls_key=folder / "server.key"
        )
        with RunningServer(settings, fleet=FakeFleet(), prepare=fake_prepare) as running:
            yield running


@pytest.fixture
def http(server: RunningServer, folder: Path) -> Iterator[httpx.Client]:
    """A client that has imported the authority."""
    tls = trusting(folder)
    with httpx.Client(base_url=server.base_url, headers={"x-api-key": server.api_key}, verify=tls) as client:
        yield client


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "authority.pem")


def serial_now(server: RunningServer, folder: Path) -> int:
    with raw(server) as plain, trusting(folder).wrap_socket(plain, server_hostname="box.lan") as tls:
        found = tls.getpeercert()
        assert found is not None
        return int(str(found["serialNumber"]), 16)


def raw(server: RunningServer) -> socket.socket:
    url = httpx.URL(server.base_url)
    return socket.create_connection((url.host, url.port or 0), timeout=10)


def start_session(http: httpx.Client) -> tuple[dict[str, Any], str]:
    """Return the document of a started session, and the address of its channel."""
    look = http.get("/v1/avatars?view=flat").json()["public_avatars"][0]["avatar_id"]
    session = http.post("/v1/sessions", json={"avatar_id": look}).json()["session"]
    return session, http.post(f"/v1/sessions/{session['session_id']}/start").json()["ws_uri"]


def until(what: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_channel_stays_open_over_a_renewal(server: RunningServer, http: httpx.Client, folder: Path) -> None:
    session, address = start_session(http)
    assert server.base_url.startswith("https://127.0.0.1:")
    assert session["daily_room"]["url"].startswith(server.base_url + "/rooms/")
    assert address.startswith("wss" + server.base_url.removeprefix("https"))
    before = serial_now(server, folder)
    init = {
        "type": "session.init",
        "session_id": session["session_id"],
        "session_token": session["access_token"],
        "features": ["lifecycle"],
    }
    speech = {"type": "agent.speak", "audio": "A" * 8000, "sample_rate": 24000}
    with connect(address, ssl=trusting(folder)) as channel:
        channel.send(json.dumps(init))
        assert json.loads(channel.recv(timeout=10))["type"] == "connection.established"
        command.run([], folder)
        until(lambda: serial_now(server, folder) != before)
        assert serial_now(server, folder) == read_pair(folder / "server.pem", folder / "server.key").serial
        channel.send(json.dumps(speech))
        assert json.loads(channel.recv(timeout=10))["type"] == "agent.speak.confirmed"
        assert http.get("/healthz").status_code == 200, "the connection of before is still in use"


def test_the_cookie_of_a_browser_is_for_https_alone(server: RunningServer, http: httpx.Client) -> None:
    answer = http.post("/sign-in", json={"key": server.api_key}, headers={"origin": server.base_url})
    assert answer.status_code == 200 and "; Secure" in answer.headers["set-cookie"]


def test_large_bodies_and_answers_pass(http: httpx.Client) -> None:
    refused = http.post("/v1/sessions", json={"avatar_id": "none", "metadata": {"text": "x" * 200_000}})
    assert refused.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert len(http.get("/client.js").content) == (WEB / "client.js").stat().st_size > 40_000


def test_plain_http_is_for_this_machine(server: RunningServer) -> None:
    plain = server.base_url.replace("https", "http")
    assert httpx.get(plain + "/healthz").status_code == 200
    assert httpx.get(plain + "/v1/sessions", headers={"x-api-key": server.api_key}).status_code == 200
    led = httpx.get(plain + "/rooms/a?t=b", headers={"host": "box.lan:8000"})
    assert (led.status_code, led.headers["location"]) == (307, "https://box.lan:8000/rooms/a?t=b")
    refused = httpx.post(plain + "/v1/sessions", headers={"host": "box.lan:8000"}, json={})
    assert refused.status_code == 400 and "https://" in refused.json()["error"]["message"]


def test_the_health_check_of_the_image_passes(server: RunningServer) -> None:
    image = (ROOT / "deploy" / "Containerfile").read_text()
    written = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", image, re.M)
    assert written is not None
    check = [word.replace("/8000", f"/{httpx.URL(server.base_url).port}") for word in json.loads(written[1])]
    assert check[-1] != json.loads(written[1])[-1]
    subprocess.run(check, check=True, timeout=20)


def test_the_doctor_knows_a_server_that_speaks_https(server: RunningServer) -> None:
    port = httpx.URL(server.base_url).port or 0
    for secure in (True, False):  # on this machine it need not know
        found = asyncio.run(services.check_port("127.0.0.1", port, secure=secure))
        assert found.text == f"a Visavis server listens on 127.0.0.1:{port}"


def test_connections_count_before_their_handshake(server: RunningServer) -> None:
    guard = server.connections
    until(lambda: len(guard) == 0)
    with raw(server) as silent, raw(server) as halfway:
        halfway.sendall(bytes.fromhex("16030100c8"))  # the head of a handshake
        until(lambda: len(guard) == 2)
        silent.close()
        until(lambda: len(guard) == 1)
        halfway.sendall(b"\xff" * 200)  # no handshake after all
        assert halfway.recv(100)[:1] in (b"", b"\x15"), "an alert, or the end"
        until(lambda: len(guard) == 0)


def test_an_old_client_is_told_by_an_alert(server: RunningServer, folder: Path) -> None:
    tls = trusting(folder)
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with raw(server) as plain, pytest.raises(ssl.SSLError):
        tls.wrap_socket(plain, server_hostname="box.lan")


def test_a_server_does_not_start_with_a_wrong_pair(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path, "box.lan")
    (tmp_path / "other").mkdir()
    other = write_certificate(tmp_path / "other", "box.lan")[1]
    environment = {
        "VISAVIS_DATA_DIR": str(tmp_path / "data"),
        "VISAVIS_TLS_CERT": str(cert),
        "VISAVIS_TLS_KEY": str(key),
    }
    done = subprocess.run(
        [sys.executable, "-m", "visavis", "serve", "--port", "0", "--tls-key", str(other)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"visavis: The key {other} is not that of the certificate {cert} [SETTING_INVALID]\n"
    assert not (tmp_path / "data").exists()
