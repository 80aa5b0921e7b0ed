"""The ways from a stage to a real livekit-server: TLS, and TURN servers (coturn) that the LiveKit server names."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path as File

import pytest

from tests.certificates import write_certificate
from tests.e2e.namespaces import Machine
from tests.livekit.agent import Agent, Finished
from tests.livekit.bare_session import joined
from tests.livekit.path import Path
from tests.networks.turn_server import PORT, SECRET, TLS_PORT, TURNSERVER, Protocol, turn_server
from tools.livekit.server import LiveKitServer, running
from visavis.errors import RoomUnreachable

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

RELAYED = range(61_100, 61_200)  # ports of coturn, which no socket gets by itself
ONE_WAY_S = 0.2  # to a slow server ...
SLOW_FOR_S = 1.3  # ... until it has made an allocation


class ThisMachine(Machine):
    """No namespace."""

    def command(self, *words: str) -> list[str]:
        return list(words)


def speaks_tls(certificate: File, key: File) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize("certified", ["localhost", "other.example.com"])
async def test_a_server_with_a_certificate_of_an_authority_of_its_own(
    certified: str, livekit: LiveKitServer, agent: Agent, tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = write_certificate(tmp_path, certified)
    async with Path(livekit).opened(tls=speaks_tls(certificate, key), host="localhost") as path:
        with pytest.raises(RoomUnreachable, match="certificate"):
            async with joined(livekit, path, agent):
                pass
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        if certified == "localhost":
            async with joined(livekit, path, agent):
                await agent.wait_seen(pictures=3)
        else:
            with pytest.raises(RoomUnreachable, match=r"certificate.*localhost"):
                async with joined(livekit, path, agent):
                    pass


@asynccontextmanager
async def slowly(port: int) -> AsyncIterator[int]:
    """Yield a port of TCP that leads to another one, slowly at first."""
    loop = asyncio.get_running_loop()
    sides: list[asyncio.StreamWriter] = []
    carrying: list[asyncio.Task[None] | None] = []

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        slow_until_s = loop.time() + SLOW_FOR_S
        while data := await source.read(65_536):
            if loop.time() < slow_until_s:
                await asyncio.sleep(ONE_WAY_S)
            target.write(data)
        target.close()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        sides.extend((writer, back))
        carrying.append(asyncio.current_task())
        await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for side in sides:
            side.transport.abort()
        await asyncio.gather(*(one for one in carrying if one is not None))


@pytest.mark.skipif(TURNSERVER is None, reason="coturn is not installed")
@pytest.mark.parametrize("protocol", ["udp", "tls"])
async def test_media_and_speech_pass_a_turn_server_that_the_server_names(
    protocol: Protocol, tmp_path: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Datagrams that do not come from coturn are dropped. The one over TLS takes more than a second to answer."""
    machine = ThisMachine(name="", address="127.0.0.1")
    relays = [f"--min-port={RELAYED.start}", f"--max-port={RELAYED.stop - 1}", "--allow-loopback-peers"]
    async with slowly(TLS_PORT) as slow_port:
        port = slow_port if protocol == "tls" else PORT
        named = (
            f"  turn_servers:\n  - host: 127.0.0.1\n    port: {port}\n    protocol: {protocol}\n    secret: {SECRET}\n"
        )
        with turn_server(machine, tmp_path / "coturn", protocol, *relays), running(tmp_path, rtc=named) as livekit:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "coturn" / "stage.pem"))
            agent = Agent(livekit, f"room-{secrets.token_hex(6)}")
            await agent.join()
            async with (
                Path(livekit, only_from=RELAYED.__contains__).opened() as path,
                joined(livekit, path, agent),
            ):
                await agent.wait_seen(pictures=3)
                await agent.speak(0.4)
                assert await agent.wait_finished(1) == [
                    Finished(pytest.approx(0.4, abs=0.02), False)  # type: ignore[arg-type]
                ]
                assert path.relayed > 0
            await agent.leave()
