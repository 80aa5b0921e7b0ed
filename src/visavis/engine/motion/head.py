"""The head: it rests, shifts its posture now and then, and nods with the stress of the speech.

People hold a posture and move to the next one rather than sway; while speaking they shift more often and mark stressed syllables with small nods
(Hadar et al. 1983; Munhall et al. 2004). Angles stay within yaw 6, pitch 5 and roll 4 degrees: a flat photo shows beyond.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from visavis.engine.motion.springs import Spring

STEP_S = 0.01
YAW_LIMIT_DEG, PITCH_LIMIT_DEG, ROLL_LIMIT_DEG = 6.0, 5.0, 4.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How the head moves in one state: spread of the postures in degrees, and seconds between them."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    hold_s: tuple[float, float]
    settle_s: float


MANNERS: dict[str, Manner] = {
    "idle": Manner(1.3, 0.7, 0.8, (2.0, 5.5), 1.6),
    "listening": Manner(0.9, 0.7, 1.2, (1.8, 4.5), 1.2),
    "thinking": Manner(2.2, 1.0, 1.5, (1.5, 3.0), 1.4),
    "speaking": Manner(2.0, 1.1, 1.2, (0.7, 2.2), 0.85),
}


def _soft_limit(value: float, limit: float) -> float:
    return limit * math.tanh(value / limit)


class Head:
    """The head's angles. Ask once a step."""

    def __init__(self, random: Random) -> None:
        self._random = random
        # The targets themselves are smoothed (a spring that chases a spring), so that a posture begins as gently as it ends.
        self._guides = (Spring(1.0), Spring(1.0), Spring(1.0))
        self._angles = (Spring(0.5), Spring(0.5), Spring(0.5))
        self._nod = Spring(0.32)
        self._target = (0.0, 0.0, 0.0)
        self._wait_steps = self._random.randrange(20, 150)
        self._sway = [(self._random.uniform(0.07, 0.23), self._random.uniform(0, 2 * math.pi)) for _ in range(3)]
        self._time_steps = 0
        self._stress_before = 0.0

    def step(self, state: str, stress: float) -> tuple[float, float, float]:
        """Return (yaw, pitch, roll) in degrees, now. `stress` is 0 to 1."""
        manner = MANNERS.get(state, MANNERS["idle"])
        self._time_steps += 1
        self._wait_steps -= 1
        if self._wait_steps <= 0:
            draw = self._random
            yaw = draw.gauss(0.0, manner.yaw_deg)
            self._target = (yaw, draw.gauss(0.0, manner.pitch_deg), draw.gauss(0.25 * yaw, manner.roll_deg))
            self._wait_steps = round(draw.uniform(*manner.hold_s) / STEP_S)
        if stress > 0.5 >= self._stress_before:
            self._nod.nudge(self._random.uniform(14.0, 30.0) * stress)
        self._stress_before = stress
        nod = self._nod.step(0.0, STEP_S)
        angles = []
        for axis in range(3):
            guide = self._guides[axis].step(self._target[axis], STEP_S)
            rate_hz, phase = self._sway[axis]
            sway = 0.18 * math.sin(2 * math.pi * rate_hz * self._time_steps * STEP_S + phase)
            angles.append(self._angles[axis].step(guide, STEP_S) + sway)
        yaw, pitch, roll = angles
        return _soft_limit(yaw, YAW_LIMIT_DEG), _soft_limit(pitch + nod, PITCH_LIMIT_DEG), _soft_limit(roll, ROLL_LIMIT_DEG)
