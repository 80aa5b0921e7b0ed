"""The motion of a session as numbers, for a client that draws the head itself. Pure.

Frames of speech name their utterance and their position in its audio. They come as soon as they are certain: some 100
to 200 ms before their sound plays. Frames without speech name no utterance and come at the pace of the clock. After an
interrupt, a `MotionCut` tells which frames are void. The mouth is the same as in the picture. Blinks, gaze and head are
computed for the stream alone, because it runs ahead of the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.arkit import to_arkit
from visavis.engine.motion.frame import MotionFrame
from visavis.engine.motion.liveliness import REST_MOUTH, Liveliness
from visavis.engine.motion.mood import Mood
from visavis.engine.motion.states import AvatarState
from visavis.stage.performance import Performance
from visavis.stage.port.events import MotionCut, MotionEvent, MotionFrames
from visavis.stage.timeline import STEP_SAMPLES, seconds
from visavis.stage.utterance_media import AT_REST, MotionStep
from visavis.stage.utterances import Utterance, UtteranceState

FRAME_STEPS = 2  # 50 frames a second
FRAME_SAMPLES = FRAME_STEPS * STEP_SAMPLES
BATCH_FRAMES = 5  # per message, of speech: 100 ms
IDLE_BATCH_FRAMES = 10
EASE_FRAMES = 5  # the mouth eases within this many frames when speech starts and when it ends
KEPT_MOUTHS = 64  # of the last frames sent: more than can be ahead of the sound
DIGITS, ANGLE_DIGITS = 3, 2


class MotionStream:
    """One session's stream, from the moment it is created until `close`."""

    def __init__(self, performance: Performance, *, seed: int) -> None:
        self._performance = performance
        self._liveliness = Liveliness(seed)
        self._first_step = performance.position // STEP_SAMPLES
        self._steps = 0  # of the stream, so far
        self._utterance: Utterance | None = performance.current
        self._next_position = 0  # of the next frame, in the utterance
        if self._utterance is not None:
            self._next_position = -(-self._utterance.media.played // FRAME_SAMPLES) * FRAME_SAMPLES
        self._frames: list[MotionFrame] = []  # of the batch that is being filled
        self._batch: tuple[str | None, int] = (None, 0)  # its utterance, and the position of its first frame
        self._first_of_utterance = False  # the next frame of speech is the first of its utterance
        self._mouth = REST_MOUTH  # of the last frame
        self._old_mouth, self._ease_frames = REST_MOUTH, 0  # the mouth that fades out, and for how many more frames
        self._was_speech = False  # the last frame was one of speech
        # by position, of the utterance's frames that can be ahead of the sound
        self._mouths: dict[int, NDArray[np.float32]] = {}
        performance.started = []

    def close(self) -> None:
        self._performance.started = None

    def next_events(self) -> list[MotionEvent]:
        """Return the motion that has become certain. The caller calls this after each block."""
        out: list[MotionEvent] = []
        started = self._performance.started
        assert started is not None
        self._add_speech(out)
        while started:
            out += self._flush()
            self._utterance, self._next_position, self._first_of_utterance = started.pop(0), 0, True
            self._mouths.clear()
            self._add_speech(out)
        if self._performance.current is None or not self._performance.speaking:
            self._add_silence(out)
        return out

    def _add_speech(self, out: list[MotionEvent]) -> None:
        """Add all frames of the utterance that are certain, and handle its end."""
        utterance = self._utterance
        if utterance is None:
            return
        if utterance.state is UtteranceState.INTERRUPTED:
            self._cut(utterance, out)
            return
        media = utterance.media
        while (step := media.certain_motion_at(self._next_position)) is not None:
            own = media.mood_at(self._next_position)
            mood = self._performance.mood if own is None else own
            out += self._add_frame(utterance.utterance_id, self._next_position, step, "speaking", mood)
            self._mouths[self._next_position] = self._mouth
            if len(self._mouths) > KEPT_MOUTHS:
                del self._mouths[next(iter(self._mouths))]
            self._next_position += FRAME_SAMPLES
            if self._first_of_utterance or len(self._frames) >= BATCH_FRAMES:
                self._first_of_utterance = False
                out += self._flush()
        if utterance.state is UtteranceState.FINISHED or media.drained:
            out += self._flush()
        if utterance.state is UtteranceState.FINISHED:
            self._utterance = None

    def _cut(self, utterance: Utterance, out: list[MotionEvent]) -> None:
        """Make void the frames of an interrupted utterance that were sent but not played. The mouth eases on from the
        last frame that was played.
        """
        played = utterance.heard_samples
        if self._batch[0] == utterance.utterance_id:
            self._frames.clear()
        last = max((position for position in self._mouths if position <= played), default=None)
        if last is not None:
            self._mouth = self._mouths[last]
        self._mouths.clear()
        self._utterance = None
        out.append(MotionCut(utterance_id=utterance.utterance_id, position_s=seconds(played)))

    def _add_silence(self, out: list[MotionEvent]) -> None:
        """Add frames without speech up to the position of the clock."""
        now = self._performance.position // STEP_SAMPLES - self._first_step
        while self._steps + FRAME_STEPS <= now:
            position = (self._first_step + self._steps) * STEP_SAMPLES
            out += self._add_frame(None, position, AT_REST, self._performance.silent_state, self._performance.mood)
            if len(self._frames) >= IDLE_BATCH_FRAMES:
                out += self._flush()

    def _add_frame(
        self, utterance_id: str | None, position: int, step: MotionStep, state: AvatarState, mood: Mood
    ) -> list[MotionEvent]:
        """Add a frame to the batch. If it does not continue the batch, return that batch and begin a new one."""
        out: list[MotionEvent] = []
        if self._frames and (utterance_id, position) != (
            self._batch[0],
            self._batch[1] + len(self._frames) * FRAME_SAMPLES,
        ):
            out = self._flush()
        if not self._frames:
            self._batch = (utterance_id, position)
        is_speech = utterance_id is not None
        if is_speech is not self._was_speech:
            self._was_speech, self._old_mouth, self._ease_frames = is_speech, self._mouth, EASE_FRAMES
        mouth = step.mouth
        if self._ease_frames:
            weight = np.float32(0.5 - 0.5 * np.cos(np.pi * self._ease_frames / EASE_FRAMES))
            mouth = np.maximum(mouth, self._old_mouth * weight)
            self._ease_frames -= 1
        self._mouth = mouth
        self._frames.append(self._liveliness.frame(self._steps, mouth, step.cue, state, mood))
        self._steps += FRAME_STEPS
        return out

    def _flush(self) -> list[MotionEvent]:
        """Empty the batch into one event; no event if the batch is empty."""
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
