"""The motion of the head: postures, nods on stressed syllables, and the nods of a listener.

People hold a posture and then move to the next one; they do not sway. While speaking they move more often and mark
stressed syllables with small nods (Hadar et al. 1983; Munhall et al. 2004). While listening they nod from time to time,
often twice (Hadar, Steiner & Rose 1985). Angles stay within yaw 6, pitch 5 and roll 4 degrees; beyond these it shows
that the photo is flat.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from random import Random

from visavis.engine.motion.springs import Spring

STEP_S = 0.01
YAW_LIMIT_DEG, PITCH_LIMIT_DEG, ROLL_LIMIT_DEG = 6.0, 5.0, 4.0
_NOD_HOLD_STEPS = 13
_NOD_AGAIN_STEPS = 44  # from one nod of a pair to the next
_PULSE_GAIN = 2.2  # the springs of a nod let 1 / 2.2 of a pulse through
_SWAY_DEG = 0.18  # a slow, small motion that never stops


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadStyle:
    """How the head moves in one state.

    `yaw_deg`, `pitch_deg`, `roll_deg`: standard deviations of the postures. `hold_s`: for how long a posture is held,
    least and most. `lowered_deg`: the mean pitch. `aside_deg`: the mean tilt, to either side. `nods_every_s`: the time
    between nods that speech does not cause, least and most.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    hold_s: tuple[float, float]
    lowered_deg: float = 0.0
    aside_deg: float = 0.0
    nods_every_s: tuple[float, float] | None = None


STYLES: dict[str, HeadStyle] = {
    "idle": HeadStyle(yaw_deg=1.2, pitch_deg=0.6, roll_deg=0.7, hold_s=(2.5, 6.0)),
    "listening": HeadStyle(
        yaw_deg=0.7,
        pitch_deg=0.5,
        roll_deg=0.5,
        hold_s=(2.5, 5.5),
        lowered_deg=0.4,
        aside_deg=1.1,
        nods_every_s=(2.6, 7.5),
    ),
    "thinking": HeadStyle(yaw_deg=2.4, pitch_deg=0.8, roll_deg=0.9, hold_s=(1.6, 3.4), lowered_deg=-1.1, aside_deg=0.9),
    "speaking": HeadStyle(yaw_deg=1.9, pitch_deg=1.0, roll_deg=1.1, hold_s=(0.8, 2.4)),
}


def _soft_limit(value: float, limit: float) -> float:
    return limit * math.tanh(value / limit)


class _Nods:
    """Nods: pulses through two springs in a row, so that a nod begins as gently as it ends."""

    def __init__(self) -> None:
        self._guide, self._angle = Spring(0.2), Spring(0.3)
        # (steps until the nod begins, degrees), in the order of their times.
        self._due: deque[tuple[int, float]] = deque(maxlen=4)
        self._hold_steps = 0
        self._depth_deg = 0.0

    def nod(self, depth_deg: float, in_steps: int = 0) -> None:
        """Plan a nod by about `depth_deg`. If too many nods are planned already, leave it out."""
        if len(self._due) < 4:
            self._due.append((in_steps, depth_deg))

    def step(self) -> float:
        if self._due:
            self._due = deque(((steps - 1, depth_deg) for steps, depth_deg in self._due), maxlen=4)
        while self._due and self._due[0][0] < 0:
            self._depth_deg, self._hold_steps = self._due.popleft()[1] * _PULSE_GAIN, _NOD_HOLD_STEPS
        self._hold_steps = max(0, self._hold_steps - 1)
        guide = self._guide.step(self._depth_deg if self._hold_steps else 0.0, STEP_S)
        return self._angle.step(guide, STEP_S)


class Head:
    """The angles of the head. Call `step` once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        # A spring follows a spring that follows the posture, so a movement begins as gently as it ends.
        self._guides = (Spring(1.0), Spring(1.0), Spring(1.0))
        self._angles = (Spring(0.5), Spring(0.5), Spring(0.5))
        self._nods = _Nods()
        self._target = (0.0, 0.0, 0.0)
        self._wait_steps = random.randrange(20, 150)
        self._nod_wait_steps = random.randrange(80, 400)
        self._side = -1.0 if random.random() < 0.5 else 1.0
        self._sway = [(random.uniform(0.07, 0.23), random.uniform(0, 2 * math.pi)) for _ in range(3)]
        self._time_steps = 0
        self._stress_before = 0.0
        self._state_before = ""

    def step(
        self, state: str, stress: float, mood_angles: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> tuple[float, float, float]:
        """Return (yaw, pitch, roll) of this step in degrees. `stress`: 0 to 1; `mood_angles`: added for a mood."""
        style = STYLES[state]
        self._time_steps += 1
        if state != self._state_before and self._state_before:
            self._wait_steps = min(self._wait_steps, self._random.randrange(5, 45))
        self._state_before = state
        self._wait_steps -= 1
        if self._wait_steps <= 0:
            self._target = self._posture(style)
            self._wait_steps = round(self._random.uniform(*style.hold_s) / STEP_S)
        self._nod(style, stress)
        nod = self._nods.step()
        angles = []
        for axis in range(3):
            guide = self._guides[axis].step(self._target[axis], STEP_S)
            rate_hz, phase = self._sway[axis]
            sway = _SWAY_DEG * math.sin(2 * math.pi * rate_hz * self._time_steps * STEP_S + phase)
            angles.append(self._angles[axis].step(guide, STEP_S) + sway + mood_angles[axis])
        yaw, pitch, roll = angles
        return (
            _soft_limit(yaw, YAW_LIMIT_DEG),
            _soft_limit(pitch + nod, PITCH_LIMIT_DEG),
            _soft_limit(roll, ROLL_LIMIT_DEG),
        )

    def _posture(self, style: HeadStyle) -> tuple[float, float, float]:
        """Return the next posture: yaw, pitch, roll in degrees. The head tilts towards the side to which it turns."""
        draw = self._random
        if draw.random() < 0.3:
            self._side = -self._side
        yaw = draw.gauss(0.0, style.yaw_deg)
        return (
            yaw,
            draw.gauss(style.lowered_deg, style.pitch_deg),
            draw.gauss(0.25 * yaw + self._side * style.aside_deg, style.roll_deg),
        )

    def _nod(self, style: HeadStyle, stress: float) -> None:
        """Plan nods: when the stress rises above one half, and those of a listener."""
        draw = self._random
        if stress > 0.5 >= self._stress_before:
            self._nods.nod(draw.uniform(0.6, 1.5) * stress)
        self._stress_before = stress
        if style.nods_every_s is None:
            return
        self._nod_wait_steps -= 1
        if self._nod_wait_steps <= 0:
            depth_deg = draw.uniform(0.9, 2.0)
            self._nods.nod(depth_deg)
            if draw.random() < 0.45:
                self._nods.nod(0.6 * depth_deg, _NOD_AGAIN_STEPS)
            self._nod_wait_steps = round(draw.uniform(*style.nods_every_s) / STEP_S)
