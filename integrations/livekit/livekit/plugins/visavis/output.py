"""Where an agent's session sends its speech: to the avatar, or to the agent's own voice once the avatar has failed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from livekit import rtc
from livekit.agents.voice.io import (
    AudioOutput,
    AudioOutputCapabilities,
    PlaybackFinishedEvent,
    PlaybackStartedEvent,
)

CLEARED_WITHIN_S = 2.0  # after a clear: then the segments that have not finished are given up


@dataclass(slots=True, eq=False)
class _Segment:
    """A segment of speech that has not finished. `sink`: where it goes, None while it waits for the avatar."""

    sink: AudioOutput | None = None
    pushed_s: float = 0.0
    started_s: float | None = None  # monotonic
    dropped: bool = False  # what else comes of it goes nowhere


class AvatarOutput(AudioOutput):
    """Speech waits until `open` or `fail_over`. Every segment finishes exactly once, whatever becomes of the avatar.

    A segment that begins during a pause waits here: the avatar pauses what it has, and an interruption ends that pause.

    `avatar`: sends speech to the avatar. `pause_avatar`: called with whether it shall pause.
    """

    def __init__(self, avatar: AudioOutput, *, pause_avatar: Callable[[bool], None]) -> None:
        super().__init__(label="Visavis", capabilities=AudioOutputCapabilities(pause=True))
        self._avatar, self._pause_avatar = avatar, pause_avatar
        self._sink = avatar
        self._is_settled = False  # set by `open` and `fail_over`
        self._is_paused = False
        self._changed = asyncio.Event()  # what a segment waits for before it goes to a sink
        self._segments: deque[_Segment] = deque()  # that have not finished
        self._sent: dict[AudioOutput, deque[_Segment]] = {}  # that a sink has not finished, some of them given up
        self._captured: _Segment | None = None  # the segment that is being captured
        self._is_attached = True
        self._resampler: rtc.AudioResampler | None = None
        self._giving_up: asyncio.TimerHandle | None = None
        self._listen(avatar)

    # --- the avatar
    def open(self) -> None:
        """The avatar hears from now on."""
        self._is_settled = True
        self._changed.set()

    def fail_over(self, voice: AudioOutput) -> None:
        """The avatar is gone: what it has not said is interrupted, and later segments go to another output. A segment
        that still waits for the avatar goes there whole.
        """
        if self._sink is voice:
            return
        for segment in [one for one in self._segments if one.sink is not None]:
            self._give_up(segment)
        self._sink = voice
        self._listen(voice)
        if self._is_attached:
            voice.on_attached()
        self._is_settled = True
        self._changed.set()

    def aclose(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
        self._give_up_all(list(self._segments))

    # --- AudioOutput
    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        segment = self._captured
        if segment is None:
            segment = self._captured = _Segment(dropped=not self._is_attached)
            self._segments.append(segment)
        while segment.sink is None and not segment.dropped and not self._may_begin():
            self._changed.clear()
            await self._changed.wait()
        if segment.dropped:
            return
        if segment.sink is None:
            segment.sink, self._resampler = self._sink, None
            self._sent[segment.sink].append(segment)
        segment.pushed_s += frame.duration
        for converted in self._converted(frame, segment.sink):
            await segment.sink.capture_frame(converted)

    def flush(self) -> None:
        super().flush()
        segment, self._captured = self._captured, None
        if segment is None:
            return
        if segment.sink is None:
            self._finish(segment, position_s=0.0, interrupted=True)
        else:
            segment.sink.flush()  # also after a clear: the next segment must not go on in the same stream

    def clear_buffer(self) -> None:
        for segment in [one for one in self._segments if one.sink is None]:
            self._give_up(segment)
        if not self._segments:
            return
        self._sink.clear_buffer()
        if self._giving_up is not None:
            self._giving_up.cancel()
        loop = asyncio.get_running_loop()
        self._giving_up = loop.call_later(CLEARED_WITHIN_S, self._give_up_all, list(self._segments))

    def pause(self) -> None:
        self._is_paused = True
        if self._sink is not self._avatar:
            self._sink.pause()
        elif any(one.sink is self._avatar for one in self._segments):
            self._pause_avatar(True)

    def resume(self) -> None:
        self._is_paused = False
        self._changed.set()
        if self._sink is self._avatar:
            self._pause_avatar(False)
        else:
            self._sink.resume()

    @property
    def can_pause(self) -> bool:
        return self._sink is self._avatar or self._sink.can_pause

    def on_attached(self) -> None:
        self._is_attached = True

    def on_detached(self) -> None:
        """The session sends no sound any more: the avatar is silent at once."""
        self._is_attached = False
        if self._captured is not None:
            self._captured.dropped = True
        self.clear_buffer()

    # --- segments
    def _may_begin(self) -> bool:
        return self._is_settled and not (self._is_paused and self._sink is self._avatar)

    def _listen(self, sink: AudioOutput) -> None:
        """Take what a sink tells of its segments, in their order. One that was given up may still finish, late and
        interrupted: that is not the end of the next one.
        """
        sent: deque[_Segment] = deque()
        self._sent[sink] = sent

        def started(event: PlaybackStartedEvent) -> None:
            segment = next((one for one in sent if one in self._segments), None)
            if segment is not None and segment.started_s is None:
                segment.started_s = time.monotonic()
                self.on_playback_started(created_at=event.created_at)

        def finished(event: PlaybackFinishedEvent) -> None:
            while sent:
                segment = sent.popleft()
                if segment in self._segments:
                    self._finish(segment, position_s=event.playback_position, interrupted=event.interrupted)
                    return
                if event.interrupted:
                    return

        sink.on("playback_started", started)
        sink.on("playback_finished", finished)

    def _give_up_all(self, segments: list[_Segment]) -> None:
        for segment in segments:
            self._give_up(segment)

    def _give_up(self, segment: _Segment) -> None:
        """Finish a segment that its sink does not finish."""
        segment.dropped = True
        self._changed.set()
        played_s = 0.0 if segment.started_s is None else time.monotonic() - segment.started_s
        self._finish(segment, position_s=min(played_s, segment.pushed_s), interrupted=True)

    def _finish(self, segment: _Segment, *, position_s: float, interrupted: bool) -> None:
        if segment in self._segments:
            self._segments.remove(segment)
            segment.dropped = segment.dropped or interrupted
            if interrupted and segment.sink is self._avatar:
                self._pause_avatar(False)  # one that is still on its way would stop the next segment
            self.on_playback_finished(playback_position=position_s, interrupted=interrupted)

    def _converted(self, frame: rtc.AudioFrame, sink: AudioOutput) -> list[rtc.AudioFrame]:
        """Return the frame at the rate that the sink takes."""
        if sink.sample_rate is None or sink.sample_rate == frame.sample_rate:
            return [frame]
        if self._resampler is None:
            self._resampler = rtc.AudioResampler(frame.sample_rate, sink.sample_rate, num_channels=frame.num_channels)
        return self._resampler.push(frame)
