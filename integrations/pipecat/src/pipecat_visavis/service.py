"""The avatar in any transport with video: its picture and its sound go on to the transport.

The viewer gets picture and sound from the session's room (watching.py), and playback.py says which of the sound is
speech.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av import VideoFrame
from pipecat.frames.frames import (
    Frame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from visavis_client import AsyncSession, AsyncVisavis

from pipecat_visavis.avatar_service import AspectRatio, AvatarService
from pipecat_visavis.playback import Block, Playback, Sound
from pipecat_visavis.settings import VisavisVideoSettings
from pipecat_visavis.sound_on_the_way import SoundOnTheWay
from pipecat_visavis.watching import RATE_HZ, Viewer

ASPECT_RATIOS: dict[AspectRatio, float] = {"4:3": 4 / 3, "3:4": 3 / 4, "1:1": 1.0}
PICTURES_ON_THE_WAY = 3  # to the transport; while it stalls, newer ones are left out
PICTURES_WAITING = 16  # until their sound is sent, or the transport takes them; then the oldest is left out
WAIT_S = 0.5  # at most, for sound that is late or lost
# Before it is known which sound is a picture's: aiortc gives a picture when the next one begins to come, and a packet
# of sound when four more have come.
SOUND_BEHIND_S = 4 * 0.02 - 0.04
HOLD_FOR_VIEWER_S = 5.0  # the first words wait until the room is watched


class VisavisVideoService(AvatarService):
    """A live avatar that speaks what the text-to-speech service before it says, with any transport that has video.

    Events: `on_connected(service, session)`, `on_playback_started(service, utterance_id)`,
    `on_playback_finished(service, utterance_id, position_s, interrupted)`, `on_disconnected(service, reason)`.
    """

    def __init__(
        self,
        *,
        avatar: str | Path | bytes,
        api_url: str | None = None,
        api_key: str | None = None,
        settings: VisavisVideoSettings | None = None,
        metadata: Mapping[str, Any] | None = None,
        shows_states: bool = True,
        **kwargs: Any,
    ) -> None:
        """Prepare the service; it connects when the pipeline is set up.

        Args:
            avatar: An avatar's id, the address of a photo, or a photo (path or bytes).
            api_url: Of the Visavis server. Default: VISAVIS_API_URL, else port 8000 of this machine.
            api_key: Default: VISAVIS_API_KEY.
            settings: What the avatar shows at first.
            metadata: Of the session.
            shows_states: Whether the avatar listens while the user speaks, and thinks until the bot does.
            **kwargs: For AIService.
        """
        self._playback: Playback[Frame] = Playback()
        super().__init__(
            self._playback,
            avatar=avatar,
            api_url=api_url,
            api_key=api_key,
            settings=settings,
            metadata=metadata,
            shows_states=shows_states,
            **kwargs,
        )
        self._viewing: asyncio.Task[Any] | None = None  # once it is connected
        self._size_px: tuple[int, int] | None = None
        self._ready = False  # the transport takes frames
        self._pictures: deque[_Picture] = deque(maxlen=PICTURES_WAITING)  # those that were not pushed
        self._sound = SoundOnTheWay()
        self._something_came = asyncio.Event()
        # pictures that still exist, by the frame's id: the transport has not shown them yet
        self._on_the_way: weakref.WeakValueDictionary[int, OutputImageRawFrame] = weakref.WeakValueDictionary()
        self._turn = 0  # how often the bot was interrupted
        self._out: asyncio.Queue[tuple[int, Sound | Frame]] = asyncio.Queue()  # with the turn that it is of

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note when the transport takes pictures, and see `AvatarService`."""
        if isinstance(frame, OutputTransportReadyFrame):
            self._ready = True
            self._something_came.set()
        await super().process_frame(frame, direction)

    # Where the avatar is seen

    def _check_transport(self) -> None:
        output = _output_after(self)
        if output is not None:
            params = output._params  # noqa: SLF001  # the transport has them nowhere else
            if not params.video_out_enabled:
                raise ValueError(f"{output.name} shows no video: set video_out_enabled=True in its TransportParams")
            self._size_px = (params.video_out_width, params.video_out_height)
            _after_each_write(output, self._wrote)

    async def _open(self, client: AsyncVisavis) -> AsyncSession:
        return await client.sessions.create(
            self._avatar,
            aspect_ratio=_aspect_ratio(self._size_px),
            metadata=self._metadata,
            output=self._settings.output(),
            hold_for_viewer_s=HOLD_FOR_VIEWER_S,
        )

    def _begin_work(self, session: AsyncSession) -> list[asyncio.Task[Any]]:
        assert session.room is not None
        viewer = Viewer(session.room.url, session.room.token, on_picture=self._take_picture, on_sound=self._take_sound)
        self._viewing = self.create_task(viewer.run(), "viewer")
        return [
            self._viewing,
            self.create_task(self._push_pictures(), "pictures"),
            self.create_task(self._push_sound(), "sound"),
        ]

    def _started(self, utterance_id: str) -> None:
        self._queue(self._playback.started(utterance_id))

    def _finished(self, utterance_id: str, position_s: float) -> None:
        self._queue(self._playback.finished(utterance_id, position_s))

    def _interrupted(self) -> None:
        self._queue(self._playback.interrupted())

    async def _drop_speech(self) -> list[Frame]:
        self._turn += 1
        self._sound.drop()
        waited = self._playback.drop()
        while not self._out.empty():
            _, item = self._out.get_nowait()
            if not isinstance(item, Sound):
                waited.append(item)
        return waited

    async def _lost(self) -> None:
        if self._viewing is not None:
            self._viewing.cancel()  # there is no room to join again

    # What comes from the room

    def _take_sound(self, block: Block, played_s: float | None) -> None:
        self._queue(self._playback.take(block))
        if played_s is not None:
            self._sound.came(until_s=played_s + block.duration_s)
            self._something_came.set()

    def _wrote(self, seconds: float) -> None:
        self._sound.written(seconds)
        self._something_came.set()

    def _queue(self, items: list[Sound | Frame]) -> None:
        for item in items:
            self._out.put_nowait((self._turn, item))
            if isinstance(item, Sound):
                self._sound.pushed(item.block.duration_s, now_s=asyncio.get_running_loop().time())
        self._heard.set()

    async def _push_sound(self) -> None:
        while True:
            turn, item = await self._out.get()
            if isinstance(item, Sound):
                if turn != self._turn:
                    continue
                item = TTSAudioRawFrame(audio=item.block.pcm, sample_rate=RATE_HZ, num_channels=1)
            await self.push_frame(item)

    def _take_picture(self, picture: VideoFrame, shown_s: float | None) -> None:
        wait_s = SOUND_BEHIND_S if shown_s is None else WAIT_S
        self._pictures.append(_Picture(picture, shown_s, asyncio.get_running_loop().time() + wait_s))
        self._something_came.set()

    def _due_picture(self) -> VideoFrame | None:
        """Take the newest picture whose sound has come, and leave out those before it."""
        picture, now_s = None, asyncio.get_running_loop().time()
        while self._pictures and self._pictures[0].is_due(now_s, self._sound):
            picture = self._pictures.popleft().picture
        return picture

    async def _push_pictures(self) -> None:
        while True:
            self._something_came.clear()
            can_take = self._ready and len(self._on_the_way) < PICTURES_ON_THE_WAY
            picture = self._due_picture() if can_take else None
            if picture is None:
                until_s = self._pictures[0].until_s if self._pictures and can_take else None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until_s):
                        await self._something_came.wait()
                continue
            size_px = self._size_px or (picture.width, picture.height)
            image = await asyncio.to_thread(_rgb, picture, size_px)
            frame = OutputImageRawFrame(image=image, size=size_px, format="RGB")
            self._on_the_way[frame.id] = frame
            await self.push_frame(frame)
            del frame


@dataclass(frozen=True, slots=True)
class _Picture:
    """`shown_s`: when it is to be shown, by the room's clock, if that is known. `until_s`: by the event loop, how long
    it waits for its sound.
    """

    picture: VideoFrame
    shown_s: float | None
    until_s: float

    def is_due(self, now_s: float, sound: SoundOnTheWay) -> bool:
        return now_s >= self.until_s or (self.shown_s is not None and sound.is_sent(self.shown_s, now_s=now_s))


def _after_each_write(output: BaseOutputTransport, wrote: Callable[[float], None]) -> None:
    """Call `wrote` with the seconds of sound that a transport has sent. It tells them nowhere else."""
    write = output.write_audio_frame

    async def write_and_tell(frame: OutputAudioRawFrame) -> bool:
        written = await write(frame)
        wrote(len(frame.audio) / 2 / frame.num_channels / frame.sample_rate)
        return written

    output.write_audio_frame = write_and_tell  # type: ignore[method-assign]


def _output_after(processor: FrameProcessor) -> BaseOutputTransport | None:
    """Return the output of the transport behind a processor, None if it is not in the same pipeline."""
    following = processor.next
    while following is not None and not isinstance(following, BaseOutputTransport):
        following = following.next
    return following


def _aspect_ratio(size_px: tuple[int, int] | None) -> AspectRatio:
    """Return the ratio of an avatar's picture that is nearest to the transport's."""
    wanted = 4 / 3 if size_px is None else size_px[0] / size_px[1]
    return min(ASPECT_RATIOS, key=lambda name: abs(ASPECT_RATIOS[name] / wanted - 1))


def _rgb(picture: VideoFrame, size_px: tuple[int, int]) -> bytes:
    width_px, height_px = size_px
    return picture.reformat(width=width_px, height=height_px, format="rgb24").to_ndarray().tobytes()
