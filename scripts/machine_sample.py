"""Writes what this machine makes of a recording, to compare it with another machine:

    machine_sample.py OUT.npz [OTHER.npz]

The file has the motion, the layout of a picture, and pictures. With the file of another machine, the pictures show the
motion of that one, and all that differs is printed. Fails if motion or pictures differ by more than MOST.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis import library
from visavis.engine.motion.frame import MotionFrame
from visavis.engine.render.cpu import CpuRenderer
from visavis.offline import load_avatar, motion_frames, read_sound, speech_motion

SIZE_PX, FRAMES, FPS = 512, 50, 25
ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")
# By how much, and in which share of the numbers. The kernels give the same bytes everywhere; numpy, OpenBLAS and OpenCV
# round their last digits by the processor.
MOST = {"motion": (1e-5, 1.0), "angles": (1e-4, 1.0), "pictures": (1.0, 1e-4)}
Array = NDArray[np.generic]


def own_motion() -> Iterator[MotionFrame]:
    """Yield the frames of the library's sample."""
    _, pcm = read_sound(Path(library.__file__).parent / "voices" / "sample.wav", None)
    yield from motion_frames(speech_motion(pcm[: 16_000 * FRAMES // FPS]), FRAMES, FPS, seed=0)


def arrays_of(name: str, value: object) -> Iterator[tuple[str, Array]]:
    """Yield all arrays in a tree of dataclasses, by their names."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays_of(f"{name}.{field.name}", getattr(value, field.name))


def difference(here: Array, there: Array) -> tuple[float, float]:
    """Return by how much two arrays differ at most, and in which share of their numbers."""
    if here.shape != there.shape:
        return np.inf, 1.0
    apart = np.abs(here.astype(np.float64) - there.astype(np.float64))
    return float(apart.max(initial=0.0)), float(np.mean(apart > 0)) if apart.size else 0.0


def main(out: str, other: str | None = None) -> None:
    """Write the file, and print what differs from the other one."""
    there = dict(np.load(other)) if other else {}
    frames = list(own_motion())
    found = {
        "motion": np.array([frame.coefficients for frame in frames]),
        "angles": np.array([[getattr(frame, name) for name in ANGLES] for frame in frames]),
    }
    renderer = CpuRenderer(load_avatar("iris"), SIZE_PX, SIZE_PX)
    found |= dict(arrays_of("plan", renderer.plan))
    coefficients, angles = (there.get(name, found[name]) for name in ("motion", "angles"))
    found["pictures"] = np.stack(
        [
            renderer.render(MotionFrame(coefficients=row, **dict(zip(ANGLES, map(float, turn), strict=True)))).copy()
            for row, turn in zip(coefficients, angles, strict=True)
        ]
    )
    np.savez(out, **found)
    failed = []
    for name in there:
        most, share = difference(found[name], there[name])
        print(f"{name}: " + (f"{most:.2g} at most, in {share:.4%} of the numbers" if most else "the same"))
        if any(is_ > may_be for is_, may_be in zip((most, share), MOST.get(name, (np.inf, 1.0)), strict=True)):
            failed.append(name)
    if failed:
        raise SystemExit(f"too far from {other}: {', '.join(failed)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
