"""Media for rooms, and a recorder of their events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import numpy as np

from visavis.engine.motion.states import SettableState
from visavis.rooms.port import EncodedPacket, RawPicture, RawSound, RoomCall, RoomSpeech, Sink
from visavis.rooms.spec import RoomEnd
from visavis.stage.encoder import AudioEncoder, VideoEncoder

WIDTH_PX, HEIGHT_PX = 64, 48
BLOCK = 960  # samples in one block of sound, 20 ms; every second block comes with a picture


class RecordedEvents:
    """Implements `rooms.port.RoomEvents`: records all events."""

    def __init__(self) -> None:
        self.viewers: list[tuple[str, str, int]] = []
        self.keyframes_wanted: list[str] = []
        self.keyframes_before_joining = 0  # that were wanted when the first viewer joined
        self.first_frames = 0
        self.newest_sent = -1
        self.speech: list[RoomSpeech] = []
        self.interrupts = self.pauses = 0
        self.states: list[SettableState] = []
        self.calls: list[RoomCall] = []
        self.ends: list[tuple[str, str]] = []
        self.segments: dict[str, str] = {}

    def viewer_joined(self, viewer_id: str, viewers: int) -> None:
        if not self.viewers:
            self.keyframes_before_joining = len(self.keyframes_wanted)
        self.viewers.append(("joined", viewer_id, viewers))

    def viewer_left(self, viewer_id: str, viewers: int) -> None:
        self.viewers.append(("left", viewer_id, viewers))

    def user_came(self) -> None: ...

    def keyframe_wanted(self, *, joining: bool) -> None:
        self.keyframes_wanted.append("joining" if joining else "missing")

    def picture_sent(self, position: int) -> None:
        self.newest_sent = position

    def first_frame_sent(self) -> None:
        self.first_frames += 1

    def speech_arrived(self, speech: RoomSpeech) -> None:
        self.speech.append(speech)

    def interrupted(self) -> None:
        self.interrupts += 1

    def paused(self) -> None:
        self.pauses += 1

    def resumed(self) -> None:
        self.pauses -= 1

    def state_wanted(self, state: SettableState) -> None:
        self.states.append(state)

    def call_arrived(self, call: RoomCall) -> None:
        self.calls.append(call)

    def segments_changed(self, agents: Mapping[str, str]) -> None:
        self.segments = dict(agents)

    def token_refreshed(self, token: str) -> None: ...

    def room_ended(self, end: RoomEnd, detail: str) -> None:
        self.ends.append((end, detail))


class Feed:
    """Publishes to one sink like a session: a block of sound every 20 ms and a picture every 40 ms, in the sink's form.

    Each picture is one grey level brighter than the one before, and all are drawn into the same memory.
    """

    def __init__(self, sink: Sink, events: RecordedEvents) -> None:
        self.sink, self._events = sink, events
        self.position = 0  # of the next block
        self._video = VideoEncoder(width_px=WIDTH_PX, height_px=HEIGHT_PX, fps=25)
        self._audio = AudioEncoder()
        self._pixels = np.full((HEIGHT_PX * 3 // 2, WIDTH_PX), 128, np.uint8)
        self._keyframes_requested = 0

    def publish(self, blocks: int = 1) -> None:
        """Publish this many blocks at once, with their pictures."""
        for _ in range(blocks):
            if self.position % (2 * BLOCK) == 0:
                self._pixels[:HEIGHT_PX] = brightness_at(self.position)
                self._publish_picture()
            samples = np.full(BLOCK, 1000, np.int16)
            if self.sink.takes == "raw":
                self.sink.publish(RawSound(samples=samples, position=self.position))
            else:
                self.sink.publish(self._audio.encode(samples, self.position))
            self.position += BLOCK

    def _publish_picture(self) -> None:
        if self.sink.takes == "raw":
            self.sink.publish(RawPicture(pixels=self._pixels, position=self.position))
            return
        for _ in self._events.keyframes_wanted[self._keyframes_requested :]:
            self._video.want_keyframe(joining=True)
        self._keyframes_requested = len(self._events.keyframes_wanted)
        packet: EncodedPacket | None = self._video.encode(self._pixels, self.position)
        if packet is not None:
            self.sink.publish(packet)

    async def until(self, happened: Callable[[], bool]) -> None:
        """Publish at the pace of a session until `happened` returns true."""
        while not happened():
            self.publish()
            await asyncio.sleep(BLOCK / 48_000)


def brightness_at(position: int) -> int:
    return 30 + position // (2 * BLOCK) % 200
