"""A bot for tests: a scripted voice, the avatar, and a transport that plays in real time and keeps what it played."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_turn_processor import UserTurnProcessor
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.workers.runner import WorkerRunner
from pipecat_visavis import VisavisVideoService
from visavis_client import AsyncVisavis

logger.remove()
logger.add(sys.stderr, level="INFO")

VOICE_HZ = 24_000
IDLE_AFTER_S = 0.6  # of silence, the bot takes its user for idle
SIZE_PX = (320, 240)


def tone(seconds: float, *, level: int = 12_000) -> np.ndarray:
    times = np.arange(round(seconds * VOICE_HZ)) / VOICE_HZ
    return (np.sin(times * 440 * 2 * np.pi) * level).astype("<i2")


@dataclass(frozen=True, slots=True)
class Heard:
    """A chunk that the transport has played: when, and how loud it was."""

    at_s: float
    seconds: float
    level: float


class Output(BaseOutputTransport):
    """Plays at the pace of its sound. `stalled`: takes no picture."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.heard: list[Heard] = []
        self.pictures: list[OutputImageRawFrame] = []
        self.picture_count = 0
        self.ready_s: float | None = None
        self.first_picture_s: float | None = None
        self.stalled = False
        self._next_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self.ready_s = asyncio.get_running_loop().time()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        loop = asyncio.get_running_loop()
        seconds = len(frame.audio) / 2 / frame.sample_rate
        self._next_s = max(self._next_s, loop.time())
        samples = np.frombuffer(frame.audio, np.int16).astype(float)
        self.heard.append(Heard(loop.time(), seconds, float(np.sqrt(np.mean(samples**2)))))
        self._next_s += seconds
        await asyncio.sleep(max(0.0, self._next_s - loop.time()))
        return True

    async def write_video_frame(self, frame: OutputImageRawFrame) -> bool:
        if self.first_picture_s is None:
            self.first_picture_s = asyncio.get_running_loop().time()
        self.picture_count += 1
        self.pictures = [OutputImageRawFrame(image=frame.image, size=frame.size, format=frame.format)]
        while self.stalled:
            await asyncio.sleep(0.05)
        return True

    def loud_s(self) -> float:
        return sum(one.seconds for one in self.heard if one.level > 500)


class Watch(FrameProcessor):
    """Keeps the frames that come by, with their direction and time."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[float, Frame, FrameDirection]] = []
        self.changed = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, (OutputAudioRawFrame, OutputImageRawFrame)):
            self.seen.append((asyncio.get_running_loop().time(), frame, direction))
            self.changed.set()
        await self.push_frame(frame, direction)

    def count(self, kind: type[Frame]) -> int:
        return len(self.times_s(kind))

    def times_s(self, kind: type[Frame]) -> list[float]:
        """When such frames came, by the event loop."""
        return [at_s for at_s, frame, _ in self.seen if isinstance(frame, kind)]

    def text(self) -> str:
        return " ".join(frame.text for _, frame, _ in self.seen if isinstance(frame, TTSTextFrame))

    def ttfb_s(self) -> list[float]:
        data = [one for _, frame, _ in self.seen if isinstance(frame, MetricsFrame) for one in frame.data]
        return [one.value for one in data if type(one).__name__ == "TTFBMetricsData" and one.value > 0]

    async def until(self, kind: type[Frame], count: int = 1) -> None:
        while self.count(kind) < count:
            self.changed.clear()
            await self.changed.wait()


class IdleUser(UserTurnProcessor):
    """Where a bot's user would be, who never says a word. `idle_s`: when it was found to be idle, by the event loop."""

    def __init__(self) -> None:
        super().__init__(user_turn_strategies=ExternalUserTurnStrategies(), user_idle_timeout=IDLE_AFTER_S)
        self.idle_s: list[float] = []
        self._came = asyncio.Event()

        @self.event_handler("on_user_turn_idle")
        async def _(_: object) -> None:
            self.idle_s.append(asyncio.get_running_loop().time())
            self._came.set()

    async def wait_idle(self) -> float:
        """Wait until it was found to be idle; return when."""
        await self._came.wait()
        return self.idle_s[-1]


@dataclass(slots=True)
class Voice:
    """What a bot says. `watch` is behind the transport's output, where the assistant's context would be."""

    worker: PipelineWorker
    watch: Watch
    idle_user: IdleUser

    async def say(self, sound: np.ndarray, *, words: list[str] | None = None) -> None:
        """Speak as a voice does: faster than real time, its words with their times."""
        await self.worker.queue_frame(TTSStartedFrame())
        step, words, start_ns = VOICE_HZ // 10, words or [], self.worker._clock.get_time()
        for at in range(0, len(sound), step):
            pcm = sound[at : at + step].tobytes()
            await self.worker.queue_frame(TTSAudioRawFrame(audio=pcm, sample_rate=VOICE_HZ, num_channels=1))
            for number, word in enumerate(words if at == 0 else []):
                text = TTSTextFrame(text=word, text_type="word")
                text.pts = start_ns + int(number / len(words) * len(sound) / VOICE_HZ * 1e9) + 1
                await self.worker.queue_frame(text)
        await self.worker.queue_frame(TTSStoppedFrame())

    async def interrupt(self) -> None:
        await self.worker.queue_frame(InterruptionFrame())


@dataclass(slots=True)
class Bot(Voice):
    """A bot whose transport plays in real time."""

    avatar: VisavisVideoService
    output: Output
    running: asyncio.Task[Any]
    client: AsyncVisavis

    async def session_status(self) -> str:
        assert self.avatar.session is not None
        return (await self.client.sessions.get(self.avatar.session.id)).status


async def public_avatar(client: AsyncVisavis) -> str:
    return (await client.avatars.public())[0].id


@asynccontextmanager
async def running(*, idle_s: float | None = None, **service: Any) -> AsyncIterator[Bot]:
    """Run a bot whose avatar is in the room when the context is entered; cancel it at the end."""
    async with AsyncVisavis() as client:
        avatar = VisavisVideoService(**{"avatar": await public_avatar(client)} | service)
        connected = asyncio.Event()

        @avatar.event_handler("on_connected")
        async def _(*_: object) -> None:
            connected.set()

        @avatar.event_handler("on_disconnected")
        async def _(*_: object) -> None:
            connected.set()

        output, watch, idle_user = Output(params()), Watch(), IdleUser()
        worker = PipelineWorker(
            Pipeline([idle_user, avatar, output, watch]),
            params=PipelineParams(enable_metrics=True, audio_out_sample_rate=VOICE_HZ),
            idle_timeout_secs=idle_s,
            enable_rtvi=False,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        task = asyncio.ensure_future(runner.run())
        try:
            waiting = asyncio.ensure_future(connected.wait())
            await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            yield Bot(worker, watch, idle_user, avatar, output, task, client)
        finally:
            if not task.done():
                await worker.cancel()
            await asyncio.wait({task}, timeout=10)
            await cancel_rest()


async def cancel_rest() -> None:
    """Cancel what is left, until it ends: in Python 3.11 `wait_for`, which Pipecat uses, may swallow a cancellation."""
    for _ in range(100):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        for one in left:
            one.cancel()
        await asyncio.wait(left, timeout=0.1)


def params(**others: Any) -> TransportParams:
    width_px, height_px = SIZE_PX
    return TransportParams(
        **{
            "audio_out_enabled": True,
            "video_out_enabled": True,
            "video_out_is_live": True,
            "video_out_width": width_px,
            "video_out_height": height_px,
        }
        | others
    )


__all__ = ["BotStartedSpeakingFrame", "BotStoppedSpeakingFrame"]
