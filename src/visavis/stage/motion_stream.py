"""The motion of a session for a head that somebody else draws: ahead of the sound, tied to it, and alive where nobody
speaks. Pure.

Frames of speech carry their utterance and their position in its audio, and come as soon as they are certain: while the
sound plays, some 100 to 200 ms before it does. Where nothing is said, the life of the face goes on in frames of no
utterance, at the pace of the clock. Frames that an interrupt made void are told by a `MotionCut`. The face lives a life
of its own here, since it is seen ahead of the picture: its mouth is the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.arkit import to_arkit
from visavis.engine.motion.frame import MotionFrame
from visavis.engine.motion.liveliness import REST_MOUTH, SILENCE, Liveliness
from visavis.engine.motion.mood import Mood
from visavis.engine.motion.states import State
from visavis.stage.performance import Performance
from visavis.stage.port.events import MotionCut, MotionEvent, MotionFrames
from visavis.stage.timeline import STEP_SAMPLES, seconds
from visavis.stage.utterances import Utterance, UtteranceState
from visavis.stage.voice import Instant

FRAME_STEPS = 2  # 50 frames a second
FRAME_SAMPLES = FRAME_STEPS * STEP_SAMPLES
BATCH_FRAMES = 5  # of speech, in one message: 100 ms
IDLE_BATCH_FRAMES = 10
EASE_FRAMES = 5  # what is left of a mouth when speech ends, and of rest when it begins, has gone after this
KEPT_MOUTHS = 64  # of frames sent: more than lie ahead of the sound
DIGITS, ANGLE_DIGITS = 3, 2

AT_REST = Instant(mouth=REST_MOUTH, cue=SILENCE)


class MotionStream:
    """One session's stream, from the moment it is asked for."""

    def __init__(self, performance: Performance, *, seed: int) -> None:
        self._performance = performance
        self._life = Liveliness(seed)
        self._born = performance.position // STEP_SAMPLES
        self._lived = 0  # steps of its life that have been told
        self._utterance: Utterance | None = performance.current
        self._next = 0  # the position of the utterance's next frame
        if self._utterance is not None:
            self._next = -(-self._utterance.voice.played // FRAME_SAMPLES) * FRAME_SAMPLES
        self._frames: list[MotionFrame] = []  # of the batch that is being filled
        self._batch: tuple[str | None, int] = (None, 0)
        self._begins = False  # the next frame of speech is the first of an utterance
        self._shown = REST_MOUTH
        self._left, self._easing = REST_MOUTH, 0
        self._spoke = False
        # of the utterance's frames that may still lie ahead of the sound, by position
        self._mouths: dict[int, NDArray[np.float32]] = {}
        performance.begun = []

    def close(self) -> None:
        self._performance.begun = None

    def step(self) -> list[MotionEvent]:
        """Return what has become certain; to be called after each block."""
        out: list[MotionEvent] = []
        begun = self._performance.begun
        assert begun is not None
        self._speak(out)
        while begun:
            out += self._flush()
            self._utterance, self._next, self._begins = begun.pop(0), 0, True
            self._mouths.clear()
            self._speak(out)
        if self._performance.current is None or not self._performance.speaking:
            self._idle(out)
        return out

    def _speak(self, out: list[MotionEvent]) -> None:
        """Tell all frames of the utterance that are certain, and its end."""
        utterance = self._utterance
        if utterance is None:
            return
        if utterance.state is UtteranceState.INTERRUPTED:
            self._cut(utterance, out)
            return
        voice = utterance.voice
        while (instant := voice.ahead(self._next)) is not None:
            own = voice.mood_at(self._next)
            out += self._add(
                utterance.utterance_id, self._next, instant, "speaking", self._performance.mood if own is None else own
            )
            self._mouths[self._next] = self._shown
            if len(self._mouths) > KEPT_MOUTHS:
                del self._mouths[next(iter(self._mouths))]
            self._next += FRAME_SAMPLES
            if self._begins or len(self._frames) >= BATCH_FRAMES:
                self._begins = False
                out += self._flush()
        if utterance.state is UtteranceState.FINISHED or voice.drained:
            out += self._flush()
        if utterance.state is UtteranceState.FINISHED:
            self._utterance = None

    def _cut(self, utterance: Utterance, out: list[MotionEvent]) -> None:
        """Take back what was told of an interrupted utterance beyond what was heard; the mouth goes on from where it
        was.
        """
        heard = utterance.voice.played
        if self._batch[0] == utterance.utterance_id:
            self._frames.clear()
        last = max((position for position in self._mouths if position <= heard), default=None)
        if last is not None:
            self._shown = self._mouths[last]
        self._mouths.clear()
        self._utterance = None
        out.append(MotionCut(utterance_id=utterance.utterance_id, position_s=seconds(heard)))

    def _idle(self, out: list[MotionEvent]) -> None:
        """Live on where nothing is said, as far as the clock has come."""
        now = self._performance.position // STEP_SAMPLES - self._born
        while self._lived + FRAME_STEPS <= now:
            position = (self._born + self._lived) * STEP_SAMPLES
            out += self._add(None, position, AT_REST, self._performance.silent_state, self._performance.mood)
            if len(self._frames) >= IDLE_BATCH_FRAMES:
                out += self._flush()

    def _add(
        self, utterance_id: str | None, position: int, instant: Instant, state: State, mood: Mood
    ) -> list[MotionEvent]:
        """Add a frame to the batch; return the one before it where the frame does not continue it."""
        out: list[MotionEvent] = []
        if self._frames and (utterance_id, position) != (
            self._batch[0],
            self._batch[1] + len(self._frames) * FRAME_SAMPLES,
        ):
            out = self._flush()
        if not self._frames:
            self._batch = (utterance_id, position)
        speaks = utterance_id is not None
        if speaks is not self._spoke:
            self._spoke, self._left, self._easing = speaks, self._shown, EASE_FRAMES
        mouth = instant.mouth
        if self._easing:
            mouth = np.maximum(mouth, self._left * np.float32(0.5 - 0.5 * np.cos(np.pi * self._easing / EASE_FRAMES)))
            self._easing -= 1
        self._shown = mouth
        self._frames.append(self._life.frame(self._lived, mouth, instant.cue, state, mood))
        self._lived += FRAME_STEPS
        return out

    def _flush(self) -> list[MotionEvent]:
        frames, self._frames = self._frames, []
        if not frames:
            return []
        coefficients = to_arkit(np.stack([frame.coefficients for frame in frames]))
        heads = [
            [round(angle, ANGLE_DIGITS) for angle in (frame.yaw_deg, frame.pitch_deg, frame.roll_deg)]
            for frame in frames
        ]
        return [
            MotionFrames(
                utterance_id=self._batch[0],
                position_s=seconds(self._batch[1]),
                coefficients=np.round(coefficients.astype(np.float64), DIGITS).tolist(),
                heads=heads,
            )
        ]
