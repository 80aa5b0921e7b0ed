"""Players of every kind join a room: real connections whose offers are written in other ways than ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import anyio
import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.rooms.media import Feed, RecordedEvents
from visavis.rooms.embedded.room import EmbeddedRoom
from visavis.rooms.webrtc.dtls_settings import apply_dtls_settings
from visavis.rooms.webrtc.ice_settings import apply_ice_settings

Change = Callable[[str], str]
CANDIDATES = re.compile(r"a=(?:candidate:.*|end-of-candidates)\r\n")


def same(sdp: str) -> str:
    return sdp


def without_candidates(sdp: str) -> str:
    return CANDIDATES.sub("", sdp)


def named(video: str, audio: str) -> Form:
    """Give the sections these mids. The player knows them by its own ones."""
    return Form(
        offer=lambda sdp: (
            sdp.replace("BUNDLE 0 1", f"BUNDLE {video} {audio}")
            .replace("a=mid:0", f"a=mid:{video}")
            .replace("a=mid:1", f"a=mid:{audio}")
        ),
        answer=lambda sdp: (
            sdp.replace(f"BUNDLE {video} {audio}", "BUNDLE 0 1")
            .replace(f"a=mid:{video}\r", "a=mid:0\r")
            .replace(f"a=mid:{audio}\r", "a=mid:1\r")
        ),
    )


def for_all_sections(sdp: str) -> str:
    """Tell the transport before the first section, as some players do."""
    head, *sections = re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)
    lines = re.compile(r"^a=(?:ice-ufrag|ice-pwd|fingerprint|setup):.*\r\n", re.MULTILINE)
    return head + "".join(lines.findall(sections[0])) + "".join(lines.sub("", section) for section in sections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a player writes its offer, and what it makes of the answer. `ice_name`: its ICE user name."""

    kinds: tuple[str, ...] = ("video", "audio")
    offer: Change = same
    answer: Change = same
    direction: str = "recvonly"
    data: bool = False
    ice_name: str = ""


FORMS = {
    "as ours": Form(),
    "without candidates": Form(offer=without_candidates),
    "a data channel": Form(data=True),
    "sound first": Form(kinds=("audio", "video")),
    "sound alone": Form(kinds=("audio",)),
    "video alone": Form(kinds=("video",)),
    "video alone, without a group": Form(
        kinds=("video",),
        offer=lambda sdp: sdp.replace("a=group:BUNDLE 0\r\n", ""),
        answer=lambda sdp: sdp.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0\r\n"),
    ),
    "sendrecv": Form(direction="sendrecv"),
    "without a direction": Form(offer=lambda sdp: sdp.replace("a=recvonly\r\n", "")),
    "the client of the handshake": Form(offer=lambda sdp: sdp.replace("a=setup:actpass", "a=setup:active")),
    "the server of the handshake": Form(offer=lambda sdp: sdp.replace("a=setup:actpass", "a=setup:passive")),
    "one transport for all": Form(offer=for_all_sections),
    "lines without carriage returns": Form(offer=lambda sdp: sdp.replace("\r\n", "\n")),
    "without retransmission and feedback": Form(
        offer=lambda sdp: re.sub(r"a=(?:rtcp-fb:.*|rtpmap:\d+ rtx/.*|fmtp:\d+ apt=.*)\r\n", "", sdp)
    ),
    "without header extensions": Form(offer=lambda sdp: re.sub(r"a=extmap:.*\r\n", "", sdp)),
    "a fingerprint in small letters": Form(
        offer=lambda sdp: re.sub(r"a=fingerprint:.*", lambda found: found[0].lower(), sdp)
    ),
    "names of sections": named("video0", "audio0"),
    "long names of sections": named("v" * 32, "a" * 32),
    "strange names of sections": named("~!#$%&'*+.^_`{|}-v", "~!#$%&'*+.^_`{|}-a"),
    "the longest ICE name": Form(ice_name="u" * 256),
    "the shortest ICE name": Form(ice_name="ab+/"),
}


class Player:
    """A viewer that writes its offer in some form."""

    def __init__(self, form: Form) -> None:
        apply_ice_settings()
        apply_dtls_settings()
        self._form = form
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))

    async def offer(self) -> str:
        if self._form.data:
            self._connection.createDataChannel("chat")
        for kind in self._form.kinds:
            self._connection.addTransceiver(kind, direction=self._form.direction)
        made = await self._connection.createOffer()
        if self._form.ice_name:
            for transceiver in self._connection.getTransceivers():
                transceiver.receiver.transport.transport.iceGatherer._connection._local_username = self._form.ice_name
        await self._connection.setLocalDescription(made)
        sdp = self._connection.localDescription.sdp
        if self._form.ice_name:
            assert f"a=ice-ufrag:{self._form.ice_name}\r\n" in sdp
        return self._form.offer(sdp)

    async def accept(self, answer: str) -> None:
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=self._form.answer(answer), type="answer"))

    async def until_seen(self) -> None:
        """Wait for a picture or a block of sound of each kind."""
        async with asyncio.TaskGroup() as tasks:
            for receiver in self._connection.getReceivers():
                tasks.create_task(receiver.track.recv())

    async def aclose(self) -> None:
        await self._connection.close()


@pytest.mark.parametrize("name", FORMS)
def test_media_come_whatever_the_form_of_the_offer(name: str) -> None:
    async def scenario() -> None:
        events = RecordedEvents()
        room, player = EmbeddedRoom(events, wall_clock_at_start_ns=0), Player(FORMS[name])
        feed = Feed(room, events)
        try:
            with anyio.fail_after(20):
                await player.accept(await room.offer(viewer_id="one", sdp=await player.offer()))
                seen = asyncio.create_task(player.until_seen())
                await feed.until(seen.done)
                await seen
        finally:
            await player.aclose()
            await room.aclose()

    asyncio.run(scenario())


def test_candidates_that_come_later_are_checked() -> None:
    """The player itself checks nothing: it gets an answer without candidates."""

    async def scenario() -> None:
        events = RecordedEvents()
        room, player = EmbeddedRoom(events, wall_clock_at_start_ns=0), Player(Form())
        feed = Feed(room, events)
        try:
            with anyio.fail_after(20):
                offer = await player.offer()
                answer = await room.offer(viewer_id="one", sdp=without_candidates(offer))
                await player.accept(without_candidates(answer))
                later = "".join(f"{line}\r\n" for line in offer.split("\r\n") if line.startswith("a=candidate:"))
                await room.add_candidates(viewer_id="one", fragment=later)
                seen = asyncio.create_task(player.until_seen())
                await feed.until(seen.done)
                await seen
        finally:
            with suppress(ConnectionError):
                await player.aclose()
            await room.aclose()

    asyncio.run(scenario())
