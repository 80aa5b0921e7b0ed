"""What an avatar of a bot does wherever it is seen: it has a session, speaks what the voice says, and may be lost.

Speech goes over the session's channel, which tells what was played. Whatever comes behind speech in the pipeline waits
until that speech was heard, so words, transcripts and recordings are those of what was heard. Without an avatar the bot
keeps its own voice.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from loguru import logger
from pipecat.audio.utils import create_stream_resampler
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    StartFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings
from visavis_client import AsyncSession, AsyncVisavis, Ended, PlaybackFinished, PlaybackStarted, VisavisError

from pipecat_visavis.settings import OUTPUT, VisavisVideoSettings

SPEECH_RATES_HZ = range(8_000, 48_001)
FALLBACK_RATE_HZ = 24_000
END_MARGIN_S = 2.0  # beyond what is left to be said
CANCELLED_WITHIN_S = 0.2
ENDED_WITHIN_S = 5.0

AspectRatio = Literal["4:3", "3:4", "1:1"]


@dataclass(frozen=True, slots=True)
class Speech:
    """An utterance that is being sent. `pieces`: None at its end."""

    id: str
    rate_hz: int
    pieces: asyncio.Queue[bytes | None]


class Line(Protocol):
    """What was sent and not heard to its end, in order, and the frames that wait for it."""

    @property
    def is_idle(self) -> bool:
        """Whether all speech was heard, or dropped."""
        ...

    @property
    def remaining_s(self) -> float:
        """How much of the speech was not heard yet."""
        ...

    def begin(self, utterance_id: str) -> None:
        """An utterance is about to be sent."""
        ...

    def sent(self, utterance_id: str, pcm: bytes, rate_hz: int) -> None:
        """So much more of it was sent: PCM16, one channel."""
        ...

    def hold(self, frame: Frame, *, at_s: float | None = None) -> bool:
        """Keep a frame until the speech before it was heard. Return False, and keep nothing, if there is none.

        `at_s`: where in the newest utterance the frame belongs; default: behind all that was sent of it.
        """
        ...

    def release_all(self) -> list[Frame]:
        """The session is lost: return the frames that wait."""
        ...


class AvatarService(AIService, ABC):
    """A live avatar that speaks what the text-to-speech service before it says. Subclasses say where it is seen.

    Events: `on_connected(service, session)`, `on_playback_started(service, utterance_id)`,
    `on_playback_finished(service, utterance_id, position_s, interrupted)`, `on_disconnected(service, reason)`.
    """

    Settings = VisavisVideoSettings
    _settings: VisavisVideoSettings

    def __init__(
        self,
        line: Line,
        *,
        avatar: str | Path | bytes,
        api_url: str | None,
        api_key: str | None,
        settings: VisavisVideoSettings | None,
        metadata: Mapping[str, Any] | None,
        shows_states: bool,
        **kwargs: Any,
    ) -> None:
        first = VisavisVideoSettings(model=None, emotion=None, background=None, framing=None)
        if settings is not None:
            first.apply_update(settings)
        super().__init__(settings=first, **kwargs)
        self._line = line
        self._avatar, self._metadata, self._shows_states = avatar, metadata, shows_states
        self._client_options = (api_url, api_key)
        self._client: AsyncVisavis | None = None
        self._session: AsyncSession | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._sending: set[asyncio.Task[Any]] = set()
        self._interrupting: set[asyncio.Task[Any]] = set()
        self._speech: Speech | None = None
        self._resampler = create_stream_resampler()
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

    # Where the avatar is seen

    @abstractmethod
    def _check_transport(self) -> None:
        """Raises ValueError for a transport with which the avatar cannot be seen."""

    @abstractmethod
    async def _open(self, client: AsyncVisavis) -> AsyncSession:
        """Create the session. Raises `VisavisError`."""

    @abstractmethod
    def _begin_work(self, session: AsyncSession) -> list[asyncio.Task[Any]]:
        """Begin what runs as long as the session, and return it."""

    @abstractmethod
    def _started(self, utterance_id: str) -> None:
        """The channel tells that the first sample of an utterance was played."""

    @abstractmethod
    def _finished(self, utterance_id: str, position_s: float) -> None:
        """The channel tells how much of an utterance was played, or it was refused."""

    @abstractmethod
    async def _drop_speech(self) -> list[Frame]:
        """Nothing of what was sent is heard any more. Return the frames that waited for it, in order."""

    def _interrupted(self) -> None:
        """The server has interrupted all that was sent."""

    async def _lost(self) -> None:
        """There is no avatar any more."""

    # Life

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Check the transport, and begin to connect. Raises ValueError for a transport that does not fit."""
        await super().setup(setup)
        self._check_transport()
        self._connecting = self.create_task(self._connect(), "connect")

    async def stop(self, frame: EndFrame) -> None:
        """Let the avatar finish, and end the session."""
        await super().stop(frame)
        self._finish_speech()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._line.remaining_s + END_MARGIN_S):
                while not self._line.is_idle and not self._voice_only:
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
            session = self._session = await self._open(self._client)
            await session.channel.open()
        except VisavisError as error:
            await self._lose(str(error))
            return
        self._tasks = [self.create_task(self._read_events(session), "events"), *self._begin_work(session)]
        await self._call_event_handler("on_connected", session)

    async def _lose(self, reason: str) -> None:
        """Go on without an avatar: with the voice alone."""
        if self._closed or self._voice_only:
            return
        self._voice_only = True
        await self._lost()
        waiting = self._line.release_all()
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
        held = self._line.hold(frame, at_s=at_s)
        if held:
            frame.pts = None
        return held

    async def _speak(self, frame: TTSAudioRawFrame) -> None:
        if self._speech is None:
            rate_hz = frame.sample_rate if frame.sample_rate in SPEECH_RATES_HZ else FALLBACK_RATE_HZ
            self._speech = Speech(f"utt_{uuid.uuid4().hex}", rate_hz, asyncio.Queue())
            self._first_audio_ns = self.get_clock().get_time()
            self._line.begin(self._speech.id)
            task = self.create_task(self._send(self._speech), "speech")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        pcm = frame.audio if frame.num_channels == 1 else _first_channel(frame.audio, frame.num_channels)
        if frame.sample_rate != self._speech.rate_hz:
            pcm = await self._resampler.resample(pcm, frame.sample_rate, self._speech.rate_hz)
        self._line.sent(self._speech.id, pcm, self._speech.rate_hz)
        self._speech.pieces.put_nowait(pcm)

    def _finish_speech(self) -> None:
        if self._speech is not None:
            self._speech.pieces.put_nowait(None)
            self._speech = None

    async def _send(self, speech: Speech) -> None:
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
            self._finished(speech.id, 0.0)

    async def _interrupt(self) -> None:
        """Stop the avatar. Nothing of what was sent is heard any more, and what waited for it is dropped."""
        spoke, sending = not self._line.is_idle, list(self._sending)
        self._speech = None
        waited = await self._drop_speech()
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
        self._interrupted()

    async def _show_state(self, state: str) -> None:
        if self._shows_states and self._session is not None and not self._voice_only:
            with contextlib.suppress(VisavisError):
                await self._session.set_state(state)

    async def _update_settings(self, delta: ServiceSettings) -> dict[str, Any]:
        changed = await super()._update_settings(delta)
        output = {name: getattr(self._settings, name) for name in OUTPUT if name in changed}
        if output and self._session is not None and not self._voice_only:
            try:
                await self._session.update(output)
            except VisavisError as error:
                await self.push_error(error_msg=f"The avatar cannot show that: {error}", exception=error)
        return changed

    async def _read_events(self, session: AsyncSession) -> None:
        async for event in session.events():
            match event:
                case PlaybackStarted(utterance_id=name):
                    self._started(name)
                    await self._call_event_handler("on_playback_started", name)
                case PlaybackFinished(utterance_id=name, position_s=position_s, interrupted=interrupted):
                    self._finished(name, position_s)
                    await self._call_event_handler("on_playback_finished", name, position_s, interrupted)
                case Ended(reason=reason):
                    await self._lose(f"the session has ended: {reason}")


def _first_channel(pcm: bytes, channels: int) -> bytes:
    return b"".join(pcm[at : at + 2] for at in range(0, len(pcm) - 1, 2 * channels))
