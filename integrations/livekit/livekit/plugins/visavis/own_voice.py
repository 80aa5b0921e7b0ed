"""The agent's own voice: the track that it publishes itself where no avatar speaks."""

from __future__ import annotations

import asyncio
import contextlib
import time

from livekit import rtc
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

RATE_HZ = 24_000
QUEUE_MS = 1_000
SUBSCRIBED_WITHIN_S = 2.0  # then it speaks all the same: nobody may want to hear it
LEAD_S = 0.3  # of silence: the first packets find a receiver whose connection is not ready, or fade in


class OwnVoice(AudioOutput):
    """Publishes its track with the first frame. Frames are mono, RATE_HZ."""

    def __init__(self, room: rtc.Room) -> None:
        super().__init__(
            label="VisavisOwnVoice", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE_HZ
        )
        self._room = room
        self._source: rtc.AudioSource | None = None  # set once somebody can hear the track
        self._publishing: asyncio.Task[rtc.AudioSource] | None = None
        self._in_segment = False  # one is captured or played
        self._pushed_s = 0.0  # of it
        self._cleared = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        if self._ending is not None:
            await asyncio.wait({self._ending})
        await super().capture_frame(frame)
        if not self._in_segment:
            self._in_segment = True
            self._cleared.clear()
        source = self._source
        if source is None:
            if self._publishing is None:
                self._publishing = asyncio.create_task(self._publish())
            source = self._source = await asyncio.shield(self._publishing)
        if self._cleared.is_set():
            return
        if not self._pushed_s:
            self.on_playback_started(created_at=time.time())
        self._pushed_s += frame.duration
        await source.capture_frame(frame)

    def flush(self) -> None:
        super().flush()
        if self._in_segment and self._ending is None:
            self._ending = asyncio.create_task(self._end())
            self._ending.add_done_callback(self._ended)

    def clear_buffer(self) -> None:
        if self._in_segment:
            self._cleared.set()

    async def aclose(self) -> None:
        self._cleared.set()
        if self._ending is not None:
            await asyncio.wait({self._ending})
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.wait({self._publishing})
        if self._source is not None:
            await self._source.aclose()

    async def _publish(self) -> rtc.AudioSource:
        source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track("agent_voice", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self._room.local_participant.publish_track(track, options)
        if self._room.remote_participants:  # what is said before somebody has subscribed is lost
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SUBSCRIBED_WITHIN_S):
                    await publication.wait_for_subscription()
        await source.capture_frame(rtc.AudioFrame.create(RATE_HZ, 1, round(LEAD_S * RATE_HZ)))
        return source

    async def _end(self) -> None:
        """Wait until the segment was played or cleared, and tell."""
        played_s, interrupted = 0.0, True
        if self._pushed_s and self._source is not None:
            playing = asyncio.create_task(self._source.wait_for_playout())
            clearing = asyncio.create_task(self._cleared.wait())
            await asyncio.wait({playing, clearing}, return_when=asyncio.FIRST_COMPLETED)
            played_s, interrupted = self._pushed_s, self._cleared.is_set()
            if interrupted:
                played_s = max(played_s - self._source.queued_duration, 0.0)
                self._source.clear_queue()
            playing.cancel()
            clearing.cancel()
        self._in_segment, self._pushed_s = False, 0.0
        self.on_playback_finished(playback_position=played_s, interrupted=interrupted)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._ending = None
