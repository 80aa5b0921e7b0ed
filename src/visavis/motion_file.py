"""`visavis motion`: the motion of speech as ARKit coefficients in a file, so that a head drawn elsewhere can speak it.

JSON lines, one for each frame: {"time_s": 0.04, "coefficients": {"jawOpen": 0.31, …}, "head": {"yaw_deg": …,
"pitch_deg": …, "roll_deg": …}}; or CSV with the same as columns. `engine/motion/arkit.py` says how ours become ARKit's;
yaw > 0 turns the face to the viewer's right, pitch > 0 lowers the chin, roll > 0 tilts the top of the head to the
viewer's right.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.arkit import to_arkit
from visavis.engine.motion.arkit_names import ARKIT, HEAD
from visavis.engine.motion.frame import MOTION_RATE_HZ
from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.speech.phones import Alphabet
from visavis.engine.speech.port import SPEECH_RATE_HZ
from visavis.errors import InvalidRequest
from visavis.offline import perform, read_sound, speech_motion, timings_of

DIGITS = 4
KINDS = (".jsonl", ".csv")


def write_motion(
    *,
    speech: Path,
    out: Path,
    fps: int = 60,
    pcm_rate_hz: int | None = None,
    phones: Path | None = None,
    alphabet: Alphabet = "arpabet",
    mood: Mood = NEUTRAL,
    seed: int = 0,
) -> int:
    """Write the motion of `speech` at `fps` frames a second to `out`, .jsonl or .csv; return how many frames. Time 0 is
    the start of the recording. `pcm_rate_hz`: `speech` is raw PCM16 at this rate.

    Raises `InvalidRequest` for a recording, phones or a name that are none. A file that fails half-way is not left
    behind.
    """
    if out.suffix.lower() not in KINDS:
        raise InvalidRequest(f"{out.name} must end in .jsonl or .csv")
    _, pcm = read_sound(speech, pcm_rate_hz)
    times_s, rows = motion_of(pcm, fps=fps, phones=phones, alphabet=alphabet, mood=mood, seed=seed)
    partial = out.with_name(out.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            if out.suffix.lower() == ".csv":
                writer = csv.writer(file)
                writer.writerow(["time_s", *ARKIT, *HEAD])
                writer.writerows([time_s, *row] for time_s, row in zip(times_s, rows, strict=True))
            else:
                file.writelines(_lines(times_s, rows))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return len(rows)


def motion_of(
    pcm: NDArray[np.int16],
    *,
    fps: int,
    phones: Path | None = None,
    alphabet: Alphabet = "arpabet",
    mood: Mood = NEUTRAL,
    seed: int = 0,
) -> tuple[list[float], list[list[float]]]:
    """Return the times of the frames and their rows: the 52 coefficients and the head's three angles, interpolated
    between steps of 10 ms.
    """
    motion = speech_motion(pcm, timings_of(phones, alphabet, pcm))
    frames = list(perform(motion, len(motion), MOTION_RATE_HZ, seed, mood))
    coefficients = to_arkit(np.stack([frame.coefficients for frame in frames]))
    heads = np.array([[frame.yaw_deg, frame.pitch_deg, frame.roll_deg] for frame in frames], np.float32)
    steps = np.concatenate([coefficients, heads], axis=1)
    count = -(-len(pcm) * fps // SPEECH_RATE_HZ)
    places = np.arange(count) * (MOTION_RATE_HZ / fps)
    rows = np.stack([np.interp(places, np.arange(len(steps)), column) for column in steps.T], axis=1)
    return [round(n / fps, 6) for n in range(count)], np.round(rows, DIGITS).tolist()


def _lines(times_s: list[float], rows: list[list[float]]) -> Iterator[str]:
    for time_s, row in zip(times_s, rows, strict=True):
        frame = {
            "time_s": time_s,
            "coefficients": dict(zip(ARKIT, row, strict=False)),
            "head": dict(zip(HEAD, row[len(ARKIT) :], strict=True)),
        }
        yield json.dumps(frame, separators=(",", ":")) + "\n"
