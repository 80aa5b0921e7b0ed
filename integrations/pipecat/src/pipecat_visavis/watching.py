"""A viewer of the session's room: joins by WHEP, joins again when the connection is lost, and hands on what it gets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame
from loguru import logger

from pipecat_visavis.media_time import MediaTime
from pipecat_visavis.playback import Block

ANSWERED_WITHIN_S = 10.0
CONNECTED_WITHIN_S = 15.0  # from the answer to the first picture and the first sound
SILENT_S = 3.0  # a viewer that then gets no pictures or no sound for this time joins again
AGAIN_AFTER_S = 0.5
RATE_HZ, VIDEO_RATE_HZ = 48_000, 90_000


class Arrivals:
    """When pictures and sound came last. Pure: the caller passes seconds of any monotonic clock."""

    def __init__(self, *, began_s: float) -> None:
        self._began_s = began_s
        self._last_s: dict[str, float] = {}

    def came(self, kind: str, now_s: float) -> None:
        """A picture ("video") or a block of sound ("audio") has come."""
        self._last_s[kind] = now_s

    def are_over(self, now_s: float) -> bool:
        """Whether nothing more is to be expected of this connection."""
        if len(self._last_s) < 2:  # one kind has not come yet
            return now_s - self._began_s >= CONNECTED_WITHIN_S
        return now_s - min(self._last_s.values()) >= SILENT_S


class Viewer:
    """`url`, `token`: of the room. `on_picture` and `on_sound` are called in the event loop and must not block; with
    what has come, and when it is to be shown or played (s by the room's clock; None before that is known).
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        on_picture: Callable[[VideoFrame, float | None], None],
        on_sound: Callable[[Block, float | None], None],
    ) -> None:
        self._whep = url.rstrip("/") + "/whep"
        self._headers = {"authorization": f"Bearer {token}"}
        self._on_picture, self._on_sound = on_picture, on_sound
        self._peer: RTCPeerConnection | None = None
        self._location: str | None = None
        self._arrivals = Arrivals(began_s=0.0)
        self.joins = 0  # how often it has joined

    async def run(self) -> None:
        """Watch until cancelled."""
        async with httpx.AsyncClient(timeout=ANSWERED_WITHIN_S) as http:
            while True:
                try:
                    await self._watch(http)
                except (httpx.HTTPError, ConnectionError, ValueError) as error:
                    logger.warning(f"Visavis: the room cannot be watched: {error or type(error).__name__}")
                finally:
                    await self._leave(http)
                await asyncio.sleep(AGAIN_AFTER_S)

    async def _watch(self, http: httpx.AsyncClient) -> None:
        peer = self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        readers: list[asyncio.Task[None]] = []

        @peer.on("track")
        def _(track: MediaStreamTrack) -> None:
            receiver = next(receiver for receiver in peer.getReceivers() if receiver.track is track)
            times = MediaTime(receiver, rate_hz=VIDEO_RATE_HZ if track.kind == "video" else RATE_HZ)
            readers.append(asyncio.ensure_future(self._read(track, times)))

        peer.addTransceiver("video", direction="recvonly")
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        answer = await http.post(
            self._whep,
            content=peer.localDescription.sdp,
            headers={**self._headers, "content-type": "application/sdp"},
        )
        answer.raise_for_status()
        self._location = str(answer.url.join(answer.headers["location"]))
        self.joins += 1
        loop = asyncio.get_running_loop()
        self._arrivals = Arrivals(began_s=loop.time())
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer.text, type="answer"))
        try:
            while not self._arrivals.are_over(loop.time()):
                await asyncio.sleep(SILENT_S / 6)
                if peer.connectionState in ("failed", "closed"):
                    return
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def _read(self, track: MediaStreamTrack, times: MediaTime) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self._arrivals.came(track.kind, asyncio.get_running_loop().time())
                if isinstance(frame, VideoFrame):
                    self._on_picture(frame, times.of(frame.pts))
                elif isinstance(frame, AudioFrame):
                    self._on_sound(block_of(frame), times.of(frame.pts))

    async def _leave(self, http: httpx.AsyncClient) -> None:
        location, self._location = self._location, None
        peer, self._peer = self._peer, None
        if location is not None:
            with contextlib.suppress(httpx.HTTPError):
                async with asyncio.timeout(1.0):
                    await http.delete(location, headers=self._headers)
        if peer is not None:
            await peer.close()


def block_of(frame: AudioFrame) -> Block:
    """Return the left channel of a block of sound."""
    samples = np.asarray(frame.to_ndarray(), dtype=np.int16).reshape(-1)[:: len(frame.layout.channels)]
    loudest = int(np.abs(samples.astype(np.int32)).max(initial=0))
    return Block(pcm=samples.tobytes(), duration_s=len(samples) / frame.sample_rate, loudest=loudest)
