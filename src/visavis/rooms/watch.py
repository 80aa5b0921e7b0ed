"""A viewer without a screen: joins a room by WHEP, receives its media over WebRTC, and can record them.

The room's RTCP sender reports put sound and picture on one clock. A browser uses them in the same way to keep lips and
voice together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import httpx
import numpy as np
from numpy.typing import NDArray

from visavis import signals
from visavis.errors import InvalidRequest
from visavis.film import FilmWriter
from visavis.rooms.port import MediaKind
from visavis.rooms.webrtc.receiving_peer import AUDIO_RATE_HZ, VIDEO_RATE_HZ, ReceivingPeer

CONNECT_WITHIN_S = 15.0
CHECK_EVERY_S = 0.5  # a room sends sound every 20 ms; a viewer that gets none asks whether the room knows it


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPicture:
    """`media_time_s`: on the room's clock (unix time of its sender reports). `frame.pts`: 90 kHz since the first
    picture.
    """

    media_time_s: float
    arrived_s: float
    frame: av.VideoFrame

    def rgb(self) -> NDArray[np.uint8]:
        """Return uint8 (H, W, 3)."""
        return self.frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSound:
    """`media_time_s`: that of the first sample, on the same clock. `pts`: 48 kHz since the first block. `samples`:
    int16 (n,), mono, 48 kHz.
    """

    media_time_s: float
    arrived_s: float
    pts: int
    samples: NDArray[np.int16]


class RoomViewer:
    """One viewer of a room. `open` connects, or raises and leaves nothing open. `aclose` is idempotent.

    `pictures` and `sound` have one consumer each. Media that nobody consumes stay in memory, so consume both or close
    soon.
    """

    def __init__(self, exchange: Callable[[str], Awaitable[str]]) -> None:
        """`exchange` sends the SDP offer to the room and returns the answer."""
        self._exchange = exchange
        self._peer = ReceivingPeer()
        self._opened_s = 0.0
        self.time_to_first_frame_s: float | None = None  # from the call of `open`; set by the first decoded picture

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open(self) -> None:
        """Make an offer and apply the answer. Raises what `exchange` raises."""
        self._opened_s = time.monotonic()
        try:
            await self._peer.accept(await self._exchange(await self._peer.offer()))
        except BaseException:
            await self.aclose()
            raise

    @property
    def synchronised(self) -> bool:
        """Whether sender reports of both streams have arrived. From then on media times of sound and picture are
        exact.
        """
        return self._peer.synchronised

    async def pictures(self) -> AsyncGenerator[ReceivedPicture, None]:
        """Every decoded picture, until the room or this viewer closes."""
        async for frame in self._peer.pictures():
            assert frame.pts is not None
            now_s = time.monotonic()
            if self.time_to_first_frame_s is None:
                self.time_to_first_frame_s = now_s - self._opened_s
            at_s = self._peer.media_time_s("video", frame.pts, arrived_s=now_s)
            yield ReceivedPicture(media_time_s=at_s, arrived_s=now_s, frame=frame)

    async def sound(self) -> AsyncIterator[ReceivedSound]:
        """Every decoded block of sound, until the room or this viewer closes."""
        async for frame in self._peer.sound():
            assert frame.pts is not None
            now_s = time.monotonic()
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
            at_s = self._peer.media_time_s("audio", frame.pts, arrived_s=now_s)
            yield ReceivedSound(media_time_s=at_s, arrived_s=now_s, pts=frame.pts, samples=samples.astype(np.int16))

    def media_time_s(self, kind: MediaKind, pts: int) -> float:
        """Return the media time of a pts that has been received, by the newest sender report. Requires
        `synchronised`.
        """
        return self._peer.media_time_s(kind, pts, arrived_s=0.0)

    async def aclose(self) -> None:
        await self._peer.aclose()


class WhepViewer(RoomViewer):
    """A viewer that joins by WHEP: it POSTs its offer with the room's token, and DELETEs the resource at the end.

    If the room does not know it any more, because the stage that sent its media is lost, it closes: `pictures` and
    `sound` end, and `lost` is true. Whoever wants to go on opens another viewer.
    """

    def __init__(self, *, whep_url: str, token: str = "") -> None:
        super().__init__(self._post)
        self.lost = False
        self._watching: asyncio.Task[None] | None = None
        self._url = whep_url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._resource: str | None = None

    async def open(self) -> None:
        await super().open()
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Close when no packets come and the room does not know this viewer any more."""
        before = 0
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            packets = await self._peer.packets_received()
            if packets and packets == before and await self._is_forgotten():
                self.lost, self._resource = True, None
                await self._peer.aclose()
                return
            before = packets

    async def _is_forgotten(self) -> bool:
        if self._resource is None:
            return False
        try:
            async with httpx.AsyncClient() as client:
                answer = await client.get(self._resource, headers=self._headers, timeout=2.0)
        except httpx.HTTPError:
            return False
        return answer.status_code in (404, 410)

    async def _post(self, sdp: str) -> str:
        """Raises `InvalidRequest` with the room's answer if it refuses."""
        async with httpx.AsyncClient() as client:
            try:
                headers = {"Content-Type": "application/sdp", **self._headers}
                answer = await client.post(self._url, content=sdp, headers=headers, timeout=CONNECT_WITHIN_S)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise InvalidRequest(
                    f"The room cannot be reached: {error}", suggestion="Check the WHEP address"
                ) from error
        if answer.status_code != 201:
            raise InvalidRequest(
                f"The room answered {answer.status_code}: {answer.text[:300]}",
                suggestion="Check the address and the token",
            )
        if "location" in answer.headers:
            self._resource = str(httpx.URL(self._url).join(answer.headers["location"]))
        return answer.text

    async def aclose(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        resource, self._resource = self._resource, None
        if resource:
            try:
                async with httpx.AsyncClient() as client:
                    await client.delete(resource, headers=self._headers, timeout=2.0)
            except httpx.HTTPError:
                pass  # the room is already closed
        await super().aclose()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRecording:
    """A finished recording. `synchronised`: whether sound and picture were aligned by sender reports."""

    out: Path
    time_to_first_frame_s: float
    pictures: int
    sound_s: float
    width_px: int
    height_px: int
    synchronised: bool


def arrange_sound(blocks: list[ReceivedSound], starts_s: list[float]) -> NDArray[np.int16]:
    """Return the blocks as one int16 (n,) array from time 0, each at its start (in seconds), with silence between them.
    Sound before time 0 is cut off.
    """
    placed = [(round(start_s * AUDIO_RATE_HZ), block.samples) for start_s, block in zip(starts_s, blocks, strict=True)]
    sound = np.zeros(max((at + len(samples) for at, samples in placed), default=0), np.int16)
    for at, samples in placed:
        cut = max(0, -at)
        if cut < len(samples):
            sound[at + cut : at + len(samples)] = samples[cut:]
    return sound


async def record(viewer: RoomViewer, *, out: Path, seconds: float) -> RoomRecording:
    """Record what an open viewer receives in `seconds` from its first picture. Raises `InvalidRequest` if no picture
    comes.
    """
    with ExitStack() as stack:
        return await _record(viewer, out=out, seconds=seconds, stack=stack)


async def _record(viewer: RoomViewer, *, out: Path, seconds: float, stack: ExitStack) -> RoomRecording:
    """Like `record`. The film is opened in `stack`, which deletes an unfinished one."""
    blocks: list[ReceivedSound] = []
    film: FilmWriter | None = None
    first_arrived_s = 0.0

    async def record_pictures() -> None:
        nonlocal film, first_arrived_s
        pictures = viewer.pictures()
        async for picture in pictures:
            frame = picture.frame
            assert frame.pts is not None
            if film is None:
                film = FilmWriter(
                    out, width_px=frame.width, height_px=frame.height, ticks_hz=VIDEO_RATE_HZ, preset="superfast"
                )
                stack.enter_context(film)
                first_arrived_s = picture.arrived_s
            film.write_picture(frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False), at=frame.pts)
            if frame.pts >= seconds * VIDEO_RATE_HZ:
                return

    async def collect_sound() -> None:
        async for block in viewer.sound():
            blocks.append(block)  # noqa: PERF401  # must be in the list when this task is cancelled

    collecting = asyncio.create_task(collect_sound())
    try:
        async with asyncio.timeout(seconds + CONNECT_WITHIN_S):
            await record_pictures()
    except TimeoutError:
        pass  # the recording contains what has come until now
    finally:
        collecting.cancel()
        await asyncio.wait([collecting])
    if film is None:
        raise InvalidRequest("No picture came from the room", suggestion="Check that the session has started")
    if viewer.synchronised:
        zero_s = viewer.media_time_s("video", 0)
        starts_s = [viewer.media_time_s("audio", block.pts) - zero_s for block in blocks]
    else:
        starts_s = [block.arrived_s - first_arrived_s for block in blocks]  # a stream has no clock yet
    sound = arrange_sound(blocks, starts_s)[: int(seconds * AUDIO_RATE_HZ)]
    await asyncio.to_thread(film.write_sound, sound, AUDIO_RATE_HZ)
    await asyncio.to_thread(film.close)
    assert viewer.time_to_first_frame_s is not None
    return RoomRecording(
        out=out,
        time_to_first_frame_s=viewer.time_to_first_frame_s,
        pictures=film.pictures,
        sound_s=len(sound) / AUDIO_RATE_HZ,
        width_px=film.width_px,
        height_px=film.height_px,
        synchronised=viewer.synchronised,
    )


def record_room(*, whep_url: str, token: str, out: Path, seconds: float) -> RoomRecording:
    """The command `visavis watch`: join a room, record it, and print a summary. Raises `InvalidRequest`."""

    async def watch() -> RoomRecording:
        async with WhepViewer(whep_url=whep_url, token=token) as viewer:
            return await record(viewer, out=out, seconds=seconds)

    recording = signals.run(watch())
    print(
        f"{recording.out}: {recording.pictures} pictures of {recording.width_px}x{recording.height_px}, "
        f"{recording.sound_s:.2f} s of sound, "
        f"first picture after {recording.time_to_first_frame_s * 1000:.0f} ms"
    )
    return recording
