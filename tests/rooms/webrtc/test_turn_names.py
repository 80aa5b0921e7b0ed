"""A TURN server by TLS is connected to at the address that was checked, and must have the certificate of its name."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

from tests.certificates import write_certificate
from visavis.rooms.spec import IceServer, tls_name
from visavis.rooms.webrtc.private.gathering import name_turn_server

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("certified", ["turn.example.com", "other.example.com"])
async def test_the_certificate_is_that_of_the_name(
    certified: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = write_certificate(tmp_path, certified)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    taken = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    taken.load_cert_chain(certificate, key)
    reached = asyncio.Event()
    names: list[str | None] = []
    taken.sni_callback = lambda _socket, name, _context: names.append(name)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):  # the first byte of TURN: the client has accepted the certificate
            reached.set()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0, ssl=taken) as server:
        port = server.sockets[0].getsockname()[1]
        turn = IceServer(
            url=f"turns:127.0.0.1:{port}?transport=tcp", username="u", credential="c", tls_name="turn.example.com"
        )
        connection = RTCPeerConnection(
            RTCConfiguration([RTCIceServer(urls=turn.url, username=turn.username, credential=turn.credential)])
        )
        transport = connection.addTransceiver("video").sender.transport.transport
        name_turn_server(transport, tls_name((IceServer(url="stun:192.0.2.1"), turn)))
        gathering = asyncio.ensure_future(transport.iceGatherer.gather())
        if certified == "turn.example.com":
            await reached.wait()
        else:
            await asyncio.wait({gathering}, timeout=10)
            assert not reached.is_set()
        assert names[0] == "turn.example.com"
        gathering.cancel()
        await asyncio.gather(gathering, return_exceptions=True)
        await connection.close()
