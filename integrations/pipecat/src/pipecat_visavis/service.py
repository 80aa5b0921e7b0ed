"""The service: a bot's voice goes to the avatar, and its picture and sound go on to the transport.

Speech goes over the session's channel, the viewer gets picture and sound from its room (watching.py), and playback.py
says which of the sound is speech. Whatever comes behind speech in the pipeline waits until that speech was heard, so
words, transcripts and recordings are those of what was heard. Without an avatar the bot keeps its own voice.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
import weakref
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from av import VideoFrame
from loguru import logger
from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    StartFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.services.ai_service import AIService
from pipecat.services.settings import NOT_GIVEN, ServiceSettings, is_given
from pipecat.transports.base_output import BaseOutputTransport
from visavis_client import AsyncSession, AsyncVisavis, Ended, PlaybackFinished, PlaybackStarted, VisavisError

from pipecat_visavis.playback import Block, Playback, Sound
from pipecat_visavis.watching import RATE_HZ, Viewer

ASPECT_RATIOS: dict[Literal["4:3", "3:4", "1:1"], float] = {"4:3": 4 / 3, "3:4": 3 / 4, "1:1": 1.0}
SPEECH_RATES_HZ = range(8_000, 48_001)
FALLBACK_RATE_HZ = 24_000
PICTURES_ON_THE_WAY = 3  # to the transport; while it stalls, newer ones are left out
HOLD_FOR_VIEWER_S = 5.0  # the first words wait until the room is watched
END_MARGIN_S = 2.0  # beyond what is left to be said
CANCELLED_WITHIN_S = 0.2
ENDED_WITHIN_S = 5.0


@dataclass
class VisavisVideoSettings(ServiceSettings):
    """What can change while the bot runs, by a `ServiceUpdateSettingsFrame`.

    `emotion`: a name, or {"name", "weight"}. `background`, `framing`: as in the reference of Visavis, "Output".
    """

    emotion: str | Mapping[str, Any] | None = field(default_factory=lambda: NOT_GIVEN)
    background: Mapping[str, Any] | None = field(default_factory=lambda: NOT_GIVEN)
    framing: Mapping[str, Any] | None = field(default_factory=lambda: NOT_GIVEN)


@dataclass(frozen=True, slots=True)
class _Speech:
    """An utterance that is being sent. `pieces`: None at its end."""

    id: str
    rate_hz: int
    pieces: asyncio.Queue[bytes | None]


class VisavisVideoService(AIService):
    """A live avatar that speaks what the text-to-speech service before it says.

    Events: `on_connected(service, session)`, `on_playback_started(service, utterance_id)`,
    `on_playback_finished(service, utterance_id, position_s, interrupted)`, `on_disconnected(service, reason)`.
    """

    Settings = VisavisVideoSettings
    _settings: VisavisVideoSettings

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
        first = VisavisVideoSettings(model=None, emotion=None, background=None, framing=None)
        if settings is not None:
            first.apply_update(settings)
        super().__init__(settings=first, **kwargs)
        self._avatar, self._metadata, self._shows_states = avatar, metadata, shows_states
        self._client_options = (api_url, api_key)
        self._client: AsyncVisavis | None = None
        self._session: AsyncSession | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._viewing: asyncio.Task[Any] | None = None  # once it is connected
        self._tasks: list[asyncio.Task[Any]] = []
        self._sending: set[asyncio.Task[Any]] = set()
        self._interrupting: set[asyncio.Task[Any]] = set()
        self._playback: Playback[Frame] = Playback()
        self._speech: _Speech | None = None
        self._resampler = create_stream_resampler()
        self._size_px: tuple[int, int] | None = None
        self._ready = False  # the transport takes frames
        self._picture: VideoFrame | None = None  # the newest one that was not pushed
        self._picture_came = asyncio.Event()
        # pictures that still exist, by the frame's id: the transport has not shown them yet
        self._on_the_way: weakref.WeakValueDictionary[int, OutputImageRawFrame] = weakref.WeakValueDictionary()
        self._turn = 0  # how often the bot was interrupted
        self._out: asyncio.Queue[tuple[int, Sound | Frame]] = asyncio.Queue()  # with the turn that it is of
        self._first_audio_ns: int | None = None  # of the present utterance, on the pipeline's clock
        self._heard = asyncio.Event()
        self._voice_only = False  # there is no avatar: the bot keeps its own voice
        self._closed = False
        self._ending: asyncio.Task[None] | None = None
        for event in ("on_connected", "on_playback_started", "on_playback_finished", "on_disconnected"):
            self._register_event_handler(event)

    @property
    def session(self) -> AsyncSession | None:
        """The session, once it is connected."""
        return self._session

    def can_generate_metrics(self) -> bool:
        """Time to the first byte: from the voice's start to the bot's being heard."""
        return True

    # Life

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Check the transport, and begin to connect. Raises ValueError for a transport without video output."""
        await super().setup(setup)
        self._check_output()
        self._connecting = self.create_task(self._connect(), "connect")

    def _check_output(self) -> None:
        output = _output_after(self)
        if output is not None:
            params = output._params  # noqa: SLF001  # the transport has them nowhere else
            if not params.video_out_enabled:
                raise ValueError(f"{output.name} shows no video: set video_out_enabled=True in its TransportParams")
            self._size_px = (params.video_out_width, params.video_out_height)

    async def stop(self, frame: EndFrame) -> None:
        """Let the avatar finish, and end the session."""
        await super().stop(frame)
        self._finish_speech()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._playback.remaining_s + END_MARGIN_S):
                while not self._playback.is_idle and not self._voice_only:
                    self._heard.clear()
                    await self._heard.wait()
        await self._close(within_s=ENDED_WITHIN_S)

    async def cancel(self, frame: CancelFrame) -> None:
        """End the session now."""
        await super().cancel(frame)
        await self._close(within_s=CANCELLED_WITHIN_S)

    async def cleanup(self) -> None:
        """Leave nothing behind."""
        await self._close()
        if self._ending is not None:
            await asyncio.wait({self._ending}, timeout=ENDED_WITHIN_S)
        await super().cleanup()

    async def _connect(self) -> None:
        try:
            self._client = AsyncVisavis(*self._client_options)
            session = await self._client.sessions.create(
                self._avatar,
                aspect_ratio=_aspect_ratio(self._size_px),
                metadata=self._metadata,
                output=_output(self._settings),
                hold_for_viewer_s=HOLD_FOR_VIEWER_S,
            )
            self._session = session
            await session.channel.open()
        except VisavisError as error:
            await self._lose(str(error))
            return
        assert session.room is not None
        viewer = Viewer(session.room.url, session.room.token, on_picture=self._take_picture, on_sound=self._take_sound)
        self._viewing = self.create_task(viewer.run(), "viewer")
        self._tasks = [
            self._viewing,
            self.create_task(self._read_events(session), "events"),
            self.create_task(self._push_pictures(), "pictures"),
            self.create_task(self._push_sound(), "sound"),
        ]
        await self._call_event_handler("on_connected", session)

    async def _lose(self, reason: str) -> None:
        """Go on without an avatar: with the voice alone."""
        if self._closed or self._voice_only:
            return
        self._voice_only = True
        if self._viewing is not None:
            self._viewing.cancel()  # there is no room to join again
        waiting = self._playback.release_all()
        self._heard.set()
        await self.push_error(error_msg=f"The avatar is lost, the bot goes on with its voice alone: {reason}")
        await self._call_event_handler("on_disconnected", reason)
        for frame in waiting:
            await self.push_frame(frame)

    async def _close(self, *, within_s: float | None = None) -> None:
        if self._closed:
            return
        self._closed = True
        if self._connecting is not None and not self._connecting.done():
            await self.cancel_task(self._connecting)
        if self._session is not None:
            self._ending = asyncio.ensure_future(self._end(self._session))
            await asyncio.wait({self._ending}, timeout=within_s)
        for task in [*self._tasks, *self._sending, *self._interrupting]:
            if not task.done():
                await self.cancel_task(task)
        self._tasks.clear()

    async def _end(self, session: AsyncSession) -> None:
        try:
            await session.end()
        except VisavisError as error:
            logger.warning(f"{self}: the session was not ended, it ends by itself: {error}")
        finally:
            if self._client is not None:
                await self._client.aclose()

    # Frames

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Send speech to the avatar; let what comes behind it wait until it was heard."""
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame):
            await self.stop_ttfb_metrics()
        elif isinstance(frame, OutputTransportReadyFrame):
            self._ready = True
            self._picture_came.set()
        elif isinstance(frame, InterruptionFrame):
            await self._interrupt()
        elif isinstance(frame, (UserStartedSpeakingFrame, UserStoppedSpeakingFrame)):
            await self._show_state("listening" if isinstance(frame, UserStartedSpeakingFrame) else "thinking")
        elif direction is FrameDirection.DOWNSTREAM and not isinstance(frame, (StartFrame, EndFrame, SystemFrame)):
            if isinstance(frame, TTSAudioRawFrame) and not self._voice_only:
                await self._speak(frame)
                return
            if isinstance(frame, TTSStartedFrame):
                self._finish_speech()
                await self.start_ttfb_metrics()
            elif isinstance(frame, TTSStoppedFrame):
                self._finish_speech()
            if self._wait_for_speech(frame):
                return
        await self.push_frame(frame, direction)

    def _wait_for_speech(self, frame: Frame) -> bool:
        """Have a frame wait for the speech before it. Return whether it does."""
        if self._voice_only:
            return False
        at_s = None
        if frame.pts and self._first_audio_ns is not None:  # a word, with the time of its sound
            self._first_audio_ns = min(
                self._first_audio_ns, frame.pts
            )  # the voice was earlier than its first sound here
            at_s = max(0.0, (frame.pts - self._first_audio_ns) / 1e9)
        held = self._playback.hold(frame, at_s=at_s)
        if held:
            frame.pts = None
        return held

    async def _speak(self, frame: TTSAudioRawFrame) -> None:
        if self._speech is None:
            rate_hz = frame.sample_rate if frame.sample_rate in SPEECH_RATES_HZ else FALLBACK_RATE_HZ
            self._speech = _Speech(f"utt_{uuid.uuid4().hex}", rate_hz, asyncio.Queue())
            self._first_audio_ns = self.get_clock().get_time()
            self._playback.begin(self._speech.id)
            task = self.create_task(self._send(self._speech), "speech")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        pcm = frame.audio if frame.num_channels == 1 else _first_channel(frame.audio, frame.num_channels)
        if frame.sample_rate != self._speech.rate_hz:
            pcm = await self._resampler.resample(pcm, frame.sample_rate, self._speech.rate_hz)
        self._playback.sent(self._speech.id, len(pcm) / 2 / self._speech.rate_hz)
        self._speech.pieces.put_nowait(pcm)

    def _finish_speech(self) -> None:
        if self._speech is not None:
            self._speech.pieces.put_nowait(None)
            self._speech = None

    async def _send(self, speech: _Speech) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            while (piece := await speech.pieces.get()) is not None:
                yield piece

        if self._connecting is not None:
            await asyncio.wait({self._connecting})
        if self._session is None or self._voice_only:
            async for pcm in pieces():  # the avatar never came: the voice is heard, a little late
                await self.push_frame(TTSAudioRawFrame(audio=pcm, sample_rate=speech.rate_hz, num_channels=1))
            return
        try:
            await self._session.send(pieces(), sample_rate=speech.rate_hz, utterance_id=speech.id)
        except VisavisError as error:
            logger.warning(f"{self}: speech was refused: {error}")
            self._queue(self._playback.finished(speech.id, 0.0))

    async def _interrupt(self) -> None:
        """Stop the avatar. Nothing of what was sent is heard any more, and what waited for it is dropped."""
        spoke, sending = not self._playback.is_idle, list(self._sending)
        self._speech, self._turn = None, self._turn + 1
        waited = self._playback.drop()
        while not self._out.empty():
            _, item = self._out.get_nowait()
            if not isinstance(item, Sound):
                waited.append(item)
        if spoke and self._session is not None and not self._voice_only:
            interrupting = self.create_task(self._interrupt_session(self._session), "interrupt")
            self._interrupting.add(interrupting)
            interrupting.add_done_callback(self._interrupting.discard)
        for task in sending:
            await self.cancel_task(task)
        for frame in waited:
            if not frame.interruptible:
                await self.push_frame(frame)

    async def _interrupt_session(self, session: AsyncSession) -> None:
        with contextlib.suppress(VisavisError):
            await session.interrupt()
        self._queue(self._playback.interrupted())

    async def _show_state(self, state: str) -> None:
        if self._shows_states and self._session is not None and not self._voice_only:
            with contextlib.suppress(VisavisError):
                await self._session.set_state(state)

    async def _update_settings(self, delta: ServiceSettings) -> dict[str, Any]:
        changed = await super()._update_settings(delta)
        wanted = {name: getattr(self._settings, name) for name in ("emotion", "background", "framing")}
        output = {name: value for name, value in wanted.items() if name in changed}
        if output and self._session is not None and not self._voice_only:
            try:
                await self._session.update(output)
            except VisavisError as error:
                await self.push_error(error_msg=f"The avatar cannot show that: {error}", exception=error)
        return changed

    # What comes from the avatar

    async def _read_events(self, session: AsyncSession) -> None:
        async for event in session.events():
            match event:
                case PlaybackStarted(utterance_id=name):
                    self._queue(self._playback.started(name))
                    await self._call_event_handler("on_playback_started", name)
                case PlaybackFinished(utterance_id=name, position_s=position_s, interrupted=interrupted):
                    self._queue(self._playback.finished(name, position_s))
                    await self._call_event_handler("on_playback_finished", name, position_s, interrupted)
                case Ended(reason=reason):
                    await self._lose(f"the session has ended: {reason}")

    def _take_sound(self, block: Block) -> None:
        self._queue(self._playback.take(block))

    def _queue(self, items: list[Sound | Frame]) -> None:
        for item in items:
            self._out.put_nowait((self._turn, item))
        self._heard.set()

    async def _push_sound(self) -> None:
        while True:
            turn, item = await self._out.get()
            if isinstance(item, Sound):
                if turn != self._turn:
                    continue
                item = TTSAudioRawFrame(audio=item.block.pcm, sample_rate=RATE_HZ, num_channels=1)
            await self.push_frame(item)

    def _take_picture(self, picture: VideoFrame) -> None:
        self._picture = picture
        self._picture_came.set()

    async def _push_pictures(self) -> None:
        while True:
            await self._picture_came.wait()
            self._picture_came.clear()
            picture = self._picture
            if picture is None or not self._ready or len(self._on_the_way) >= PICTURES_ON_THE_WAY:
                continue
            self._picture = None
            size_px = self._size_px or (picture.width, picture.height)
            image = await asyncio.to_thread(_rgb, picture, size_px)
            frame = OutputImageRawFrame(image=image, size=size_px, format="RGB")
            self._on_the_way[frame.id] = frame
            await self.push_frame(frame)
            del frame


def _output_after(processor: FrameProcessor) -> BaseOutputTransport | None:
    """Return the output of the transport behind a processor, None if it is not in the same pipeline."""
    following = processor.next
    while following is not None and not isinstance(following, BaseOutputTransport):
        following = following.next
    return following


def _aspect_ratio(size_px: tuple[int, int] | None) -> Literal["4:3", "3:4", "1:1"]:
    """Return the ratio of an avatar's picture that is nearest to the transport's."""
    wanted = 4 / 3 if size_px is None else size_px[0] / size_px[1]
    return min(ASPECT_RATIOS, key=lambda name: abs(ASPECT_RATIOS[name] / wanted - 1))


def _output(settings: VisavisVideoSettings) -> dict[str, Any] | None:
    given = {name: getattr(settings, name) for name in ("emotion", "background", "framing")}
    return {name: value for name, value in given.items() if is_given(value) and value is not None} or None


def _rgb(picture: VideoFrame, size_px: tuple[int, int]) -> bytes:
    width_px, height_px = size_px
    return picture.reformat(width=width_px, height=height_px, format="rgb24").to_ndarray().tobytes()


def _first_channel(pcm: bytes, channels: int) -> bytes:
    return b"".join(pcm[at : at + 2] for at in range(0, len(pcm) - 1, 2 * channels))
