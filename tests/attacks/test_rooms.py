"""What a viewer, who has the token of a room, can do to the other viewers, to the stage, and to addresses of its
choice; and what anybody can do who sends to the ports of a stage.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import selectors
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from aiortc.rtp import RTCP_PSFB_PLI, RtcpPsfbPacket
from ulid import ULID

from tests.attacks.scale import FULL, SCALE, only_in_full
from tests.conftest import open_service
from tests.rooms.offers import make_offer
from tests.used_folder import create_key, used_before
from visavis.demo.server_process import ServerProcess
from visavis.rooms.watch import RoomViewer, WhepViewer
from visavis.rooms.webrtc.private.datagrams import on_datagram, take_over_reading
from visavis.rooms.webrtc.receiving_peer import ReceivingPeer
from visavis.rooms.webrtc.rtp import is_rtp

MAX_DATAGRAMS = 12 * 6  # to each kept candidate at most as many tries before the viewer is removed
MAX_GAP_S = 0.2  # between two pictures, by their time stamps; asserted at full size alone
ALLOWED_MB = 40.0
GONE_WITHIN_S = 10.0
HEAD = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=setup:actpass\r\na=mid:0\r\n"
# The WebRTC library took 21 s to parse the first one.
HOSTILE_OFFERS = {
    "codecs times feedback": HEAD + VIDEO + "a=rtpmap:9 a/9\r\n" * 1700 + "a=rtcp-fb:* x\r\n" * 2400,
    "codecs times feedback, few lines": HEAD + VIDEO + "a=rtpmap:9 a/9\r\n" * 900 + "a=rtcp-fb:* x\r\n" * 1000,
    "streams": HEAD + VIDEO + "".join(f"a=ssrc:{number} a:\r\n" for number in range(1900)),
    "sections": HEAD + VIDEO * 900,
    "long lines": HEAD + VIDEO + "a=candidate:" + "1 " * 30_000,
    "a long group": HEAD + "a=group:BUNDLE" + " 0" * 30_000 + "\r\n" + VIDEO,
}
PRIORITY = 0x0024


def stun_message(attribute: int, value: bytes) -> bytes:
    """Return a STUN binding request (RFC 8489) with one attribute."""
    body = struct.pack("!HH", attribute, len(value)) + value + bytes(-len(value) % 4)
    return struct.pack("!HHI12s", 1, len(body), 0x2112A442, bytes(12)) + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    server: ServerProcess
    url: str  # of WHEP
    token: str

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", "content-type": "application/sdp"}

    def stages_memory_mb(self) -> float:
        """Return the memory of the server's children."""
        children = Path(f"/proc/{self.server.pid}/task").glob("*/children")
        pids = {pid for tasks in children for pid in tasks.read_text().split()}
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
        lines = [next(line for line in text.splitlines() if line.startswith("Rss:")) for text in rollups]
        return sum(int(line.split()[1]) for line in lines) / 1024


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """The room of a started session on a server of its own."""
    folder = tmp_path_factory.mktemp("rooms")
    settings = {
        "VISAVIS_STAGES": "1",
        "VISAVIS_CHANNEL_GRACE_S": "600",
        "VISAVIS_JOIN_TIMEOUT_S": "600",
        "VISAVIS_ROOM_EMPTY_GRACE_S": "600",
    }
    with ServerProcess(data_dir=used_before(folder / "data"), log=folder / "log", settings=settings) as server:
        server.wait_ready()
        headers = {"x-api-key": create_key(folder / "data")}
        with httpx.Client(base_url=server.base_url, headers=headers, timeout=60) as http:
            character = http.get("/v1/avatars/public").json()["avatars"][0]["avatar_id"]
            looks = http.get("/v1/avatars", params={"parent_id": character, "characters_only": "false"}).json()
            body = {"avatar_id": looks["avatars"][0]["avatar_id"]}
            session = http.post("/v1/sessions", json=body).json()["session"]
            while http.put(f"/v1/sessions/{session['session_id']}/start").json()["ws_uri"] == "try_again":
                pass
        shown = session["daily_room"]
        yield Room(server=server, url=f"{shown['url']}/whep", token=shown["token"])
        assert "Traceback" not in (folder / "log").read_text(), (folder / "log").read_text()[:5000]


def offer_of_a_viewer() -> str:
    return asyncio.run(make_offer("video", "audio"))


def own_address(offer: str) -> str:
    """Return the first IPv4 address among an offer's candidates."""
    candidates = [line.split() for line in offer.splitlines() if line.startswith("a=candidate:")]
    return next(words[4] for words in candidates if "." in words[4])


def gone(http: httpx.Client, room: Room, resource: str) -> bool:
    return http.get(resource, headers=room.headers()).status_code == 404


def test_a_viewer_cannot_guess_the_address_of_another(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_service(tmp_path) as service:
            created = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
            session = created.json()["session"]
            await service.client.put(f"/v1/sessions/{session['session_id']}/start")
            shown = session["daily_room"]
            headers = {"authorization": f"Bearer {shown['token']}", "content-type": "application/sdp"}

            async def join() -> str:
                answer = await service.client.post(f"{shown['url']}/whep", content=HEAD + VIDEO, headers=headers)
                return str(answer.headers["location"])

            joined = await asyncio.gather(*(join() for _ in range(40)))
            own, others = joined[::2], joined[1::2]
            for known in own:
                path, _, number = known.rpartition("_")
                for step in range(-3 * SCALE, 3 * SCALE + 1):
                    guess = f"{path}_{ULID.from_int(int(ULID.from_str(number)) + step)}"
                    if guess not in own:
                        assert (await service.client.delete(guess, headers=headers)).status_code == 404
            for other in others:
                assert (await service.client.delete(other, headers=headers)).status_code == 200, "it is still there"

    asyncio.run(scenario())


def test_one_offer_makes_the_server_send_to_few_addresses(room: Room) -> None:
    offer = offer_of_a_viewer()
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as closing:
        ports = []
        for _ in range(60 * SCALE):
            target = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            target.bind((own_address(offer), 0))
            target.setblocking(False)
            selector.register(target, selectors.EVENT_READ)
            ports.append(target.getsockname()[1])
        candidates = "".join(
            f"a=candidate:{number} 1 udp {number + 1} {own_address(offer)} {port} typ {kind}\r\n"
            for number, (port, kind) in enumerate(itertools.product(ports, ("host", "srflx", "relay")))
        )[: 60_000 - len(offer)]
        hostile = offer.replace("a=mid:0\r\n", "a=mid:0\r\n" + candidates[: candidates.rindex("a=candidate")])
        received: dict[int, int] = {}
        with httpx.Client(base_url=room.server.base_url, timeout=20) as http:
            joined = http.post(room.url, content=hostile, headers=room.headers())
            assert joined.status_code == 201, joined.text
            while not gone(http, room, joined.headers["location"]):
                for key, _ in selector.select(timeout=0.25):
                    key.fileobj.recv(2048)  # type: ignore[union-attr]
                    received[key.fd] = received.get(key.fd, 0) + 1
    assert 0 < len(received) <= 12
    assert sum(received.values()) <= MAX_DATAGRAMS


def test_datagrams_before_the_handshake_take_no_memory(room: Room) -> None:
    with httpx.Client(base_url=room.server.base_url, timeout=20) as http:
        offer = offer_of_a_viewer()
        joined = http.post(room.url, content=offer, headers=room.headers())
        candidates = [line.split() for line in joined.text.splitlines() if line.startswith("a=candidate:")]
        address, port = next((words[4], int(words[5])) for words in candidates if "." in words[4])
        before_mb = room.stages_memory_mb()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.connect((address, port))
            for _ in range(20_000 * SCALE):
                flood.send(b"\x80" * 8000)
        for hostile in HOSTILE_OFFERS.values():  # round trips to the stage, which reads its datagrams in between
            assert http.post(room.url, content=hostile, headers=room.headers()).status_code == 400
        assert room.stages_memory_mb() < before_mb + ALLOWED_MB
        assert http.delete(joined.headers["location"], headers=room.headers()).status_code == 200


STRANGE_DATAGRAMS = {
    "nothing": b"",
    "one byte": b"\x80",
    "STUN with an attribute that is too short": stun_message(PRIORITY, b"\x01"),
    "STUN without a password": stun_message(PRIORITY, b"\x01\x02\x03\x04"),
    "a DTLS alert: handshake failure": b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28",
    "DTLS that is none": b"\x16" + bytes(40),
    "RTP": b"\x80\x60" + bytes(100),
    "RTCP": b"\x80\xc8" + bytes(100),
}


def test_strangers_do_not_disturb_a_viewer(room: Room) -> None:
    """Anybody can send to the ports of a stage, without a token."""

    async def scenario() -> None:
        answers: list[str] = []

        async def exchange(offer: str) -> str:
            async with httpx.AsyncClient() as http:
                answer = await http.post(room.url, content=offer, headers=room.headers())
            answers.append(answer.text)
            for _ in range(20):  # before the handshake, too
                disturb(answer.text)
            return answer.text

        async with RoomViewer(exchange) as viewer:
            pictures = viewer.pictures()
            async with asyncio.timeout(20):
                for _ in range(30 * SCALE):
                    await anext(pictures)
                    disturb(answers[0])

    asyncio.run(scenario())


def disturb(answer: str) -> None:
    """Send one of each strange datagram to each address of an answer."""
    for words in (line.split() for line in answer.splitlines() if line.startswith("a=candidate:")):
        family = socket.AF_INET if "." in words[4] else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as stranger:
            for datagram in STRANGE_DATAGRAMS.values():
                stranger.sendto(datagram, (words[4], int(words[5])))


WITHIN_S = 45.0  # a bound on waiting for what must happen


@asynccontextmanager
async def honest_viewer(room: Room) -> AsyncIterator[HonestViewer]:
    """A viewer that watches meanwhile. Its pictures must come as ever."""
    async with WhepViewer(whep_url=room.url, token=room.token) as viewer, asyncio.TaskGroup() as tasks:
        honest = HonestViewer()
        watching = [tasks.create_task(honest.see(viewer)), tasks.create_task(honest.hear(viewer))]
        await honest.until_seen(10)
        yield honest
        await honest.until_seen(len(honest.positions_s) + 25)
        for task in watching:
            task.cancel()
    if FULL:
        assert max(after - before for before, after in itertools.pairwise(honest.positions_s)) <= MAX_GAP_S


class HonestViewer:
    def __init__(self) -> None:
        self.positions_s: list[float] = []  # of the pictures, by their own time stamps
        self._came = asyncio.Condition()

    async def see(self, viewer: WhepViewer) -> None:
        async for picture in viewer.pictures():
            assert picture.frame.pts is not None
            async with self._came:
                self.positions_s.append(picture.frame.pts / 90_000)
                self._came.notify_all()

    async def hear(self, viewer: WhepViewer) -> None:
        async for _ in viewer.sound():
            pass

    async def until_seen(self, pictures: int) -> None:
        async with self._came:
            async with asyncio.timeout(WITHIN_S):
                await self._came.wait_for(lambda: len(self.positions_s) >= pictures)


def test_hostile_offers_do_not_hold_up_a_viewer(room: Room) -> None:
    async def scenario() -> None:
        honest = await make_offer("video", "audio")
        async with honest_viewer(room), httpx.AsyncClient(timeout=60) as http:
            for _ in range(SCALE):
                for hostile in HOSTILE_OFFERS.values():
                    assert (await http.post(room.url, content=hostile, headers=room.headers())).status_code == 400
            flood = [http.post(room.url, content=honest, headers=room.headers()) for _ in range(40)]
            answers = await asyncio.gather(*flood)
            assert {answer.status_code for answer in answers} == {201, 429}
            for answer in answers:
                if answer.status_code == 201:
                    resource = room.server.base_url + answer.headers["location"]
                    assert (await http.delete(resource, headers=room.headers())).status_code == 200

    asyncio.run(scenario())


def nack(stream: int, newest: int) -> bytes:
    """Return a report (RFC 4585, section 6.2.1) that 119 packets were lost, forty times each."""
    entries = [struct.pack("!HH", (newest - back) % 2**16, 0xFFFF) for back in range(119, 0, -17)] * 40
    return struct.pack("!BBHLL", 0x81, 205, 2 + len(entries), 1, stream) + b"".join(entries)


def test_a_viewers_reports_do_not_hold_up_another(room: Room) -> None:
    """It reports all that it gets as lost, forty times in each report, and asks for keyframes as fast as it can."""

    async def scenario() -> None:
        hostile = ReceivingPeer()
        newest: list[int] = []  # the sequence numbers of its packets
        came = asyncio.Event()

        def take(data: bytes) -> bool:
            if not is_rtp(data):
                return False
            newest.append(int.from_bytes(data[2:4]))
            came.set()
            return True

        try:
            async with httpx.AsyncClient(timeout=60) as http:
                answer = (await http.post(room.url, content=await hostile.offer(), headers=room.headers())).text
            await hostile.accept(answer)
            await hostile.connected()
            stream = int(next(line for line in answer.splitlines() if line.startswith("a=ssrc:")).split()[0][7:])
            transport = hostile._receivers["video"].transport
            on_datagram(transport, take)
            await came.wait()
            async with honest_viewer(room):
                for _ in range(100 * SCALE):
                    await transport._send_rtp(nack(stream, newest[-1]))
                    await transport._send_rtp(bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=stream)))
        finally:
            await hostile.aclose()

    asyncio.run(scenario())


FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}


async def join(http: httpx.AsyncClient, room: Room, peer: ReceivingPeer) -> httpx.Response:
    """Connect a viewer, when the room takes offers of this address again."""
    offer = await peer.offer()
    while (joined := await http.post(room.url, content=offer, headers=room.headers())).status_code == 429:  # noqa: ASYNC110
        await asyncio.sleep(int(joined.headers["retry-after"]))
    await peer.accept(joined.text)
    async with asyncio.timeout(WITHIN_S):
        await peer.connected()
    return joined


def test_floods_of_candidates_and_restarts_are_refused_and_hold_up_nobody(room: Room) -> None:
    async def scenario() -> None:
        flooding = ReceivingPeer()
        try:
            async with httpx.AsyncClient(base_url=room.server.base_url, timeout=60) as http:
                joined = await join(http, room, flooding)

                async def patch(if_match: str, body: str) -> int:
                    headers = room.headers() | FRAGMENT | {"if-match": if_match}
                    return (await http.patch(joined.headers["location"], content=body, headers=headers)).status_code

                async with honest_viewer(room):
                    for number in range(SCALE):
                        lines = (f"a=candidate:{n} 1 udp {n + 1} 203.0.113.{n} 50000 typ host" for n in range(150))
                        candidates = "\r\n".join(lines)
                        flood = [patch(joined.headers["etag"], candidates) for _ in range(50)]
                        outcomes = await asyncio.gather(*flood)
                        assert outcomes.count(429) >= (18 if number == 0 else 50)
                    credentials = (f"a=ice-ufrag:new{n}\r\na=ice-pwd:{'p' * 22}\r\n" for n in range(30))
                    outcomes = await asyncio.gather(*(patch("*", one) for one in credentials))
                    assert outcomes.count(200) <= 5 and set(outcomes) == {200, 429}
        finally:
            await flooding.aclose()

    asyncio.run(scenario())


@only_in_full
def test_viewers_that_never_read_are_gone_within_10_s_and_hold_up_nobody(room: Room) -> None:
    """They connect, and then neither read nor answer anything, without a word."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        peers = [ReceivingPeer() for _ in range(12)]
        try:
            async with httpx.AsyncClient(base_url=room.server.base_url, timeout=60) as http, honest_viewer(room):
                resources = [(await join(http, room, peer)).headers["location"] for peer in peers]
                for peer in peers:
                    asking = peer._receivers["video"].transport.transport._connection._query_consent_task
                    assert asking is not None
                    asking.cancel()  # otherwise it would leave in order when it gets no answers
                    for one in take_over_reading(peer._receivers["video"].transport):
                        one.socket.close()
                silent_s = loop.time()
                left = set(resources)
                while left:
                    left = {one for one in left if (await http.get(one, headers=room.headers())).status_code != 404}
                    assert loop.time() - silent_s < 2 * GONE_WITHIN_S, f"{len(left)} are still there"
                    await asyncio.sleep(0.1)
                print(f"\nviewers that never read were gone after {loop.time() - silent_s:.1f} s")
                assert loop.time() - silent_s <= GONE_WITHIN_S
        finally:
            for peer in peers:
                await peer.aclose()

    asyncio.run(scenario())


@only_in_full
def test_offers_that_never_connect_keep_nobody_out(room: Room) -> None:
    """For half a minute, as fast as they are answered."""

    async def scenario() -> None:
        offer = await make_offer("video", "audio")
        ends_s = asyncio.get_running_loop().time() + 30
        outcomes: list[int] = []

        async def flood(http: httpx.AsyncClient) -> None:
            while asyncio.get_running_loop().time() < ends_s:
                outcomes.append((await http.post(room.url, content=offer, headers=room.headers())).status_code)

        async with httpx.AsyncClient(timeout=60) as http, honest_viewer(room):
            await asyncio.gather(*(flood(http) for _ in range(8)))
        print(f"\noffers that never connect: {outcomes.count(201)} answered, {outcomes.count(429)} refused")
        assert set(outcomes) == {201, 429} and outcomes.count(201) <= 120

    asyncio.run(scenario())
