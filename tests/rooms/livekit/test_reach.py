"""What a caller's LiveKit server can have the avatar connect to: nothing that the operator does not allow."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from livekit.protocol import rtc

from visavis.errors import RoomRefused, RoomUnreachable, RoomUrlRefused
from visavis.outbound.public_addresses import is_public
from visavis.outbound.reach import allowed_by
from visavis.rooms.livekit.server_addresses import ServerAddresses, checked_servers
from visavis.rooms.livekit.signalling import Signalling, is_address
from visavis.rooms.spec import ANYWHERE

pytestmark = pytest.mark.anyio

LOOPBACK = allowed_by(["127.0.0.0/8"])
PUBLIC = is_public  # alone, without the question which addresses are this machine's
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: ws://%s\r\nContent-Length: 0\r\n\r\n"


@dataclass(eq=False)
class Listener:
    """A service of loopback that counts who connects, and answers each request with `answer`."""

    port: int
    answer: bytes = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    connections: int = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    made = Listener(port=0)
    async with await asyncio.start_server(made.take, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


class Names:
    """A resolver with the names of a test; it counts the questions. Each answer is the next of a name's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **addresses: list[str]) -> None:
        self.addresses, self.questions = addresses, 0
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self.find)

    async def find(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        self.questions += 1
        answers = self.addresses.get(host.partition(".")[0], [host])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (str(ip_address(one)), port)) for one in answer.split()]
        except ValueError:
            raise socket.gaierror("no such name") from None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.1.2.3"])
async def test_a_private_host_is_refused_before_anything_connects(listener: Listener, host: str) -> None:
    with pytest.raises(RoomUrlRefused):
        await Signalling.open(f"ws://{host}:{listener.port}", "token", is_allowed=allowed_by([]))
    assert listener.connections == 0


def test_a_server_that_sends_the_avatar_elsewhere_names_an_address() -> None:
    assert is_address("wss://next.example.com") and is_address("http://192.0.2.1:7880")
    for url in ("", "ftp://example.com", "wss://", "wss://[", "ws://example.com:port", "example.com"):
        assert not is_address(url)


async def test_an_allowed_network_is_reached(listener: Listener) -> None:
    with pytest.raises(RoomRefused, match="no such room"):
        await Signalling.open(f"ws://127.0.0.1:{listener.port}", "token", is_allowed=LOOPBACK)
    assert listener.connections == 1


async def test_a_name_with_one_private_address_is_refused(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, livekit=["93.184.216.34 127.0.0.1"])
    with pytest.raises(RoomUrlRefused):
        await Signalling.open(f"ws://livekit.example.com:{listener.port}", "token", is_allowed=PUBLIC)
    assert listener.connections == 0


async def test_a_name_that_changes_changes_nothing(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name leads to an allowed address when it is checked, and to another one from then on."""
    names = Names(monkeypatch, livekit=["127.0.0.1", "127.0.0.2"])
    url = f"ws://livekit.example.com:{listener.port}"
    with pytest.raises(RoomRefused, match="no such room"):
        await Signalling.open(url, "token", is_allowed=lambda address: str(address) == "127.0.0.1")
    assert (listener.connections, names.questions) == (1, 1)
    with pytest.raises(RoomUrlRefused):
        await Signalling.open(url, "token", is_allowed=lambda address: str(address) == "127.0.0.1")
    assert listener.connections == 1


async def test_a_redirect_is_not_followed(listener: Listener) -> None:
    inside = Listener(port=0)
    async with await asyncio.start_server(inside.take, "127.0.0.1", 0) as server:
        listener.answer = REDIRECT % b"127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
        with pytest.raises(RoomUnreachable, match="redirect"):
            await Signalling.open(f"ws://127.0.0.1:{listener.port}", "token", is_allowed=LOOPBACK)
    assert (listener.connections, inside.connections) == (1, 0)


def candidate(address: str, transport: str = "udp") -> str:
    return f"1 1 {transport} 2130706431 {address} 7882 typ host"


def test_candidates_of_private_addresses_are_left_out() -> None:
    addresses = ServerAddresses(PUBLIC)
    sdp = "".join(
        f"a={line}\r\n"
        for line in (
            "mid:0",
            f"candidate:{candidate('10.0.0.1')}",
            f"candidate:{candidate('93.184.216.34')}",
            f"candidate:{candidate('metadata.internal')}",
            "end-of-candidates",
        )
    )
    assert addresses.without_others(sdp) == (
        f"a=mid:0\r\na=candidate:{candidate('93.184.216.34')}\r\na=end-of-candidates\r\n"
    )
    assert addresses.problem() is None


def test_what_keeps_media_from_a_server_is_named() -> None:
    nothing = ServerAddresses(PUBLIC)
    assert nothing.problem() is None  # perhaps a candidate is still on its way
    private = ServerAddresses(PUBLIC)
    assert not private.takes(candidate("192.168.1.2"))
    assert isinstance(private.problem(), RoomUrlRefused)
    tcp = ServerAddresses(allowed_by(ANYWHERE))
    assert not tcp.takes(candidate("192.168.1.2", "tcp"))
    problem = tcp.problem()
    assert isinstance(problem, RoomUnreachable) and "TCP alone" in problem.message
    assert tcp.takes(candidate("192.168.1.2")) and tcp.problem() is None


async def test_turn_servers_are_checked_and_the_one_that_helps_most_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names(monkeypatch, turn=["93.184.216.34"], inside=["10.0.0.1"], absent=["-"])
    named = [
        rtc.ICEServer(urls=["stun:turn.example.com", "stun:inside.example.com:19302"]),
        rtc.ICEServer(
            urls=[
                "turn:turn.example.com:3478?transport=udp",
                "turn:169.254.169.254:80?transport=tcp",
                "turns:inside.example.com:443?transport=tcp",
                "turns:turn.example.com:443?transport=tcp",
                "turn:absent.example.com",
            ],
            username="name",
            credential="word",
        ),
    ]
    servers = await checked_servers(named, PUBLIC)
    assert [(server.url, server.username, server.tls_name) for server in servers] == [
        ("turns:93.184.216.34:443?transport=tcp", "name", "turn.example.com"),
        ("turn:93.184.216.34:3478?transport=udp", "name", None),
        ("stun:93.184.216.34:3478", None, None),
    ]
