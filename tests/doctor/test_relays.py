"""The doctor names what is wrong with a TURN server: its port, its secret, the clock, or what it relays."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.doctor.coturn import coturn
from tests.networks.turn_server import SECRET, TURNSERVER
from visavis.demo.server_process import free_port
from visavis.doctor.finding import Finding, Verdict, line_of
from visavis.doctor.services import check_ice_servers
from visavis.settings import IceServer, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(TURNSERVER is None, reason="coturn is not installed")]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def port(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """The port of a coturn that relays to itself."""
    chosen = free_port()
    async with coturn(tmp_path_factory.mktemp("coturn"), chosen):
        yield chosen


async def found(url: str, *, secret: str | None = SECRET, **given: str) -> Finding:
    server = IceServer(url=url, secret=None if secret is None else SecretStr(secret), **given)  # type: ignore[arg-type]
    (finding,) = await check_ice_servers(Settings(ice_servers=(server,)))
    return finding


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_packet_goes_through_the_relay(port: int, transport: str) -> None:
    finding = await found(f"turn:127.0.0.1:{port}?transport={transport}")
    assert (finding.verdict, finding.advice) == (Verdict.GOOD, "") and "relays, from 127.0.0.1" in finding.text


async def test_stun_tells_the_address_of_this_machine(port: int) -> None:
    finding = await found(f"stun:127.0.0.1:{port}", secret=None)
    assert finding.verdict is Verdict.GOOD and "sees this machine at 127.0.0.1" in finding.text


async def test_another_secret(port: int) -> None:
    line = line_of(await found(f"turn:127.0.0.1:{port}", secret="another secret"))
    assert line.startswith("problem") and "refuses the credentials" in line and "static-auth-secret" in line


async def test_another_password(port: int) -> None:
    line = line_of(await found(f"turn:127.0.0.1:{port}", secret=None, username="ann", credential="wrong"))
    assert line.startswith("problem") and "Check username and credential" in line


async def test_a_clock_that_is_hours_late(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = time.time()
    monkeypatch.setattr("visavis.rooms.webrtc.relay_trial.time.time", lambda: now_s - 24 * 3600)
    line = line_of(await found(f"turn:127.0.0.1:{port}"))
    assert line.startswith("problem") and "set the clocks" in line


async def test_tls_where_there_is_none(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.doctor.services.ANSWER_WITHIN_S", 0.5)
    line = line_of(await found(f"turns:127.0.0.1:{port}?transport=tcp"))
    assert line.startswith("problem") and "TLS" in line


async def test_a_relay_that_passes_nothing_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.doctor.services.ANSWER_WITHIN_S", 1.0)
    port = free_port()
    async with coturn(tmp_path, port, options=()):  # without the option, nothing is relayed to loopback
        line = line_of(await found(f"turn:127.0.0.1:{port}"))
    assert line.startswith("problem") and "relays nothing" in line and "denied-peer-ip" in line


@pytest.mark.parametrize("kind", ["turn", "stun"])
async def test_nobody_answers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setattr("visavis.doctor.services.ANSWER_WITHIN_S", 0.2)
        port = silent.getsockname()[1]
        line = line_of(await found(f"{kind}:127.0.0.1:{port}", secret=None, username="ann", credential="x"))
    assert line.startswith("problem") and f"Open port {port}/udp there" in line


async def test_a_closed_port_of_tcp() -> None:
    line = line_of(await found(f"turn:127.0.0.1:{free_port()}?transport=tcp"))
    assert line.startswith("problem") and "Connection refused" in line
