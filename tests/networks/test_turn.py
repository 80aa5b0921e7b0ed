"""A viewer that cannot reach the stage by UDP sees the room through a real TURN server (coturn), over TCP, over TLS,
and over UDP on a path of 1,280 bytes.

The viewer is in a network namespace, whose UDP the server's namespace drops, but that to coturn. The server mints the
credentials of each join from the secret that it shares with coturn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import CHROMIUM
from tests.e2e.namespaces import Machine, close_udp, shorten_path, two_machines, why_unavailable
from tests.networks.scale import FULL
from tests.networks.turn_server import PORT, SECRET, TURNSERVER, URLS, Protocol, turn_server
from visavis.demo.server_process import free_port

UNAVAILABLE = why_unavailable()
WITHIN_S = 120
WATCHED_S = 20.0 if FULL else 4.0

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(400),  # a server, coturn and two browsers start, one after the other
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(TURNSERVER is None, reason="coturn is not installed"),
    pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE)),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """`service`: the machine of the server and of coturn. `viewer`: a machine in the office. `link`: of the room."""

    service: Machine
    viewer: Machine
    link: str


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder, port = tmp_path_factory.mktemp("office"), free_port()
    with two_machines() as (service, viewer):
        close_udp(service, but=PORT)
        urls = [url.format(host=service.address) for url in URLS.values()]
        servers = json.dumps([{"url": url, "secret": SECRET} for url in urls])
        server = subprocess.Popen(
            service.command(sys.executable, "-m", "tests.e2e.room_server", str(folder), str(port)),
            env=os.environ | {"VISAVIS_ICE_SERVERS": servers},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line, (folder / "log").read_text()
            room = json.loads(line)
            link = f"http://{service.address}:{port}/rooms/{room['name']}#t={room['token']}"
            yield Office(service=service, viewer=viewer, link=link)
        finally:
            server.communicate(timeout=WITHIN_S)
        assert "Traceback" not in (folder / "log").read_text()


def watch(machine: Machine, url: str) -> dict[str, Any]:
    """Watch the room in a browser on a machine; return what it saw (office_viewer.py)."""
    done = subprocess.run(
        machine.command(sys.executable, "-m", "tests.networks.office_viewer", url, str(WATCHED_S)),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("protocol", ["tcp", "tls", "udp"])
def test_a_viewer_without_udp_to_the_stage_sees_the_room_through_a_turn_server(
    office: Office, tmp_path: Path, protocol: Protocol
) -> None:
    if protocol == "udp":
        shorten_path(office.viewer)
    with turn_server(office.service, tmp_path / "coturn", protocol):
        seen = watch(office.viewer, office.link)
    marks = {name: round(ms) for name, ms in seen["marks"].items()}
    print(f"\nTURN over {protocol}: {marks} ms, {seen['shown']}")
    url = URLS[protocol].format(host=office.service.address)
    assert seen["relay"] == {"type": "relay", "protocol": protocol, "url": url}
    assert seen["shown"]["connections"] == 1
    assert seen["shown"]["shown"] > 5 * WATCHED_S
