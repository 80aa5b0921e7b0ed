"""What a fleet keeps of one session, so that another stage can go on with it: what its client has set, who watches, and
the speech that was not yet played. Pure: the caller passes times in, in seconds of any monotonic clock.
"""

from __future__ import annotations

import msgspec

from visavis.engine.motion.states import AvatarState
from visavis.fleet.kept_speech import KeptSpeech
from visavis.rooms.spec import admitted, named
from visavis.stage.port import messages
from visavis.stage.port.events import (
    PerformerEvent,
    PlaybackFinished,
    PlaybackProgress,
    PlaybackStarted,
    RoomTokenRefreshed,
    SegmentsOpen,
    StateChanged,
    ViewerJoined,
    ViewerLeft,
)
from visavis.stage.port.line import KeptLine, LineSoFar
from visavis.stage.port.messages import Command, Result
from visavis.stage.port.so_far import PerformanceSoFar, SegmentSoFar
from visavis.stage.port.values import PerformanceSpec, Spoken
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ


class KeptPerformance:
    """`spec`: with size, output and name as they are now. `viewers`: those that watch now."""

    def __init__(self, spec: PerformanceSpec, *, now_s: float) -> None:
        self.spec = spec
        self.speech = KeptSpeech()
        self.line = KeptLine(LineSoFar())
        self.viewers: set[str] = set()
        self._began_s = now_s  # when its clock began; set anew by `opened`
        self._state: AvatarState = "idle"  # of the last StateChanged
        self._listening = self._thinking = self._streams_motion = False
        self._segments: dict[str, SegmentSoFar] = {}  # of the room, that have not ended
        self._held_until_s = 0.0  # no utterance begins before, unless a viewer comes

    @classmethod
    def of(cls, so_far: PerformanceSoFar, *, now_s: float) -> KeptPerformance:
        """Return a performance that another server has kept, or that a stage has told just now."""
        kept = cls(so_far.spec, now_s=now_s - so_far.position / PLAYOUT_RATE_HZ)
        kept.speech = KeptSpeech.of(so_far)
        kept.line = KeptLine(so_far.line)
        kept._state, kept._listening, kept._thinking = so_far.state, so_far.listening, so_far.thinking
        kept._streams_motion = so_far.streams_motion
        kept._held_until_s = now_s + so_far.hold_s
        kept._segments = {one.segment_id: one for one in so_far.segments}
        return kept

    @property
    def quiet(self) -> bool:
        """Whether nothing is said, and nothing waits to be said."""
        return (
            self._state != "speaking"
            and not self._segments
            and not self.speech.so_far()
            and not self.line.so_far().waiting
        )

    def opened(self, *, now_s: float) -> None:
        """Its first stage has opened the session: its clock begins."""
        self._began_s = now_s

    def carried_out(self, command: Command, result: Result, *, now_s: float) -> None:
        """The stage has carried out a command."""
        match command:
            case messages.Speak(speech=speech) if isinstance(result, Spoken):
                self.speech.taken(speech, result)
                if speech.line is not None:
                    self.line.advance(speech.line)
            case messages.KeepLine(waiting=waiting, mark=mark, message=message):
                self.line.keep(waiting, mark, message=message)
            case messages.Interrupt(through=through):
                self.speech.interrupted(through=through)
                self.line.interrupt(through=through)
            case messages.Resize(width_px=width_px, height_px=height_px):
                self.spec = msgspec.structs.replace(self.spec, width_px=width_px, height_px=height_px)
            case messages.ShowName(name=name):
                self.spec = msgspec.structs.replace(self.spec, room=named(self.spec.room, name))
            case messages.SetOutput(output=output):
                self.spec = msgspec.structs.replace(self.spec, output=output)
            case messages.SetState(state=state):
                self._listening = self._listening or state == "listening"
                self._thinking = state == "thinking"
            case messages.StreamMotion(on=on):
                self._streams_motion = on
            case messages.HoldForViewer(seconds=seconds) if not self.viewers:
                self._held_until_s = now_s + seconds

    def observe(self, event: PerformerEvent) -> bool:
        """An event of the stage. Return whether it is news for others: a stage that goes on with a session may tell
        again which state it has, and a token is kept here alone.
        """
        self.speech.observe(event)
        match event:
            case StateChanged(state=state):
                told, self._state = self._state, state
                if state == "speaking":
                    self._thinking = False
                return state != told
            case PlaybackStarted():
                self._thinking = False
            case SegmentsOpen(agents=agents):
                self._segments = {
                    one: self._segments.get(one) or SegmentSoFar(segment_id=one, agent=agent)
                    for one, agent in agents.items()
                }
            case RoomTokenRefreshed(token=token):
                self.spec = msgspec.structs.replace(self.spec, room=admitted(self.spec.room, token))
                return False
            case PlaybackFinished(utterance_id=one):
                self._segments.pop(one, None)
            case PlaybackProgress(utterance_id=one, played_samples=played) if one in self._segments:
                self._segments[one] = msgspec.structs.replace(self._segments[one], played_samples=played)
            case ViewerJoined(viewer_id=viewer_id):
                self.viewers.add(viewer_id)
                self._held_until_s = 0.0
            case ViewerLeft(viewer_id=viewer_id):
                self.viewers.discard(viewer_id)
        return True

    def position(self, *, now_s: float) -> int:
        """Return where the session's clock is now, in whole blocks."""
        return int((now_s - self._began_s) * PLAYOUT_RATE_HZ) // BLOCK_SAMPLES * BLOCK_SAMPLES

    def so_far(self, *, now_s: float, viewers: int) -> PerformanceSoFar:
        """Return what another stage needs. `viewers`: how many watched when the stage was lost."""
        return PerformanceSoFar(
            spec=self.spec,
            position=self.position(now_s=now_s),
            utterances=self.speech.so_far(),
            ended_ids=dict(self.speech.ended_ids),
            dropped_through=self.speech.dropped_through,
            late_id=self.speech.late_id,
            last_number=self.speech.last_number,
            generated_ids=self.speech.generated_ids,
            state=self._state,
            listening=self._listening,
            thinking=self._thinking,
            hold_s=max(0.0, self._held_until_s - now_s),
            viewers=viewers,
            streams_motion=self._streams_motion,
            segments=tuple(self._segments.values()),
            line=self.line.so_far(),
        )
