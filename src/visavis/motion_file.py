"""`visavis motion`: writes the motion of speech as ARKit coefficients to a file, for a head that another program draws.

The file has one JSON line for each frame: {"time_s": 0.04, "coefficients": {"jawOpen": 0.31, …}, "head": {"yaw_deg": …,
"pitch_deg": …, "roll_deg": …}}; or it is CSV with the same values as columns. `engine/motion/arkit.py` converts our
coefficients to ARKit's. Yaw > 0 turns the face to the viewer's right, pitch > 0 lowers the chin, roll > 0 tilts the top
of the head to the viewer's right.
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
from visavis.offline import motion_frames, read_sound, read_visemes, speech_motion
from visavis.output_file import replacing

DIGITS = 4
SUFFIXES = (".jsonl", ".csv")


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
    """Write the motion of the recording `speech` at `fps` frames a second to `out`, .jsonl or .csv; return the number
    of frames. Time 0 is the start of the recording. `pcm_rate_hz`: `speech` is raw PCM16 at this rate.

    Raises `AudioUnreadable`, `PhonesUnreadable`, and `InvalidRequest` for a recording without sound or another suffix
    of `out`, `FileUnusable`. After an error no part of the file is left.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise InvalidRequest(f"{out.name} must end in .jsonl or .csv")
    _, pcm = read_sound(speech, pcm_rate_hz)
    times_s, rows = motion_rows(pcm, fps=fps, phones=phones, alphabet=alphabet, mood=mood, seed=seed)
    with replacing(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        if out.suffix.lower() == ".csv":
            writer = csv.writer(file)
            writer.writerow(["time_s", *ARKIT, *HEAD])
            writer.writerows([time_s, *row] for time_s, row in zip(times_s, rows, strict=True))
        else:
            file.writelines(_lines(times_s, rows))
    return len(rows)


def motion_rows(
    pcm: NDArray[np.int16],
    *,
    fps: int,
    phones: Path | None = None,
    alphabet: Alphabet = "arpabet",
    mood: Mood = NEUTRAL,
    seed: int = 0,
) -> tuple[list[float], list[list[float]]]:
    """Return the times of the frames in seconds, and a row for each: the 52 coefficients and the three angles of the
    head, interpolated between steps of 10 ms.
    """
    motion = speech_motion(pcm, read_visemes(phones, alphabet, pcm))
    frames = list(motion_frames(motion, len(motion), MOTION_RATE_HZ, seed, mood))
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
