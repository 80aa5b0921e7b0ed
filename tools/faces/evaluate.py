"""`make eval-face`: measures the face of every public avatar on rendered frames.

    python -m tools.faces.evaluate [--write docs/face.md] [--photo PHOTO ...]

Each portrait is prepared like an upload, speaks `speech.wav`, and is silent for a minute, at 512x512 and 25 frames/s.
The result is a Markdown table; `--write` puts it between the marks in a page. The exit status is 1 if a figure is out
of its bounds. Seeds and speech are fixed, so that figures of two builds can be compared (decision 76).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.faces import measures
from tools.faces.measures import Points
from tools.mediapipe import environment
from visavis.engine.audio.files import read_speech
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOTION_RATE_HZ, SPOKEN_COUNT, MotionFrame
from visavis.engine.motion.liveliness import Liveliness
from visavis.engine.motion.mood import EMOTIONS, Mood
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.prepare import prepare_avatar
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.framing import lay_out
from visavis.engine.speech.port import SPEECH_RATE_HZ
from visavis.library import PORTRAITS
from visavis.offline import motion_frames, speech_motion

Picture = NDArray[np.uint8]
SIZE_PX, FPS, SEED = 512, 25, 7
BEGIN, END = "<!-- eval-face -->", "<!-- /eval-face -->"
CAMERA_NOISE = 2.0  # standard deviation in levels of 8 bits: a good webcam in daylight
SPEAKING_FRAMES = 150
SPEECH = Path(__file__).parent / "speech.wav"  # the library's first sample, of flite; the bounds were set with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The bounds of a figure, and how to print them and it."""

    text: str
    low: float = -np.inf
    high: float = np.inf
    digits: int = 2


FIGURES: dict[str, Bound] = {
    "SSIM with the photo, outside the moving person, speaking": Bound(text=">= 0.98", low=0.98, digits=3),
    "SSIM with the photo, without mouth and eyes, at rest": Bound(text=">= 0.98", low=0.98, digits=3),
    "pixels of the background that change": Bound(text="0", high=0, digits=0),
    "pixels of the mouth that change in silence": Bound(text="0", high=0, digits=0),
    "pixels of the mouth that change in silence, sum over all moods": Bound(text="0", high=0, digits=0),
    "nose jitter, tracked, speaking": Bound(text="", digits=1),
    "nose jitter, tracked, speaking with the mouth held at rest": Bound(text="", digits=1),
    "ratio of the line above to the jitter of a still picture with camera noise": Bound(text="<= 1", high=1.0),
    "nose jitter, registered, speaking": Bound(text="<= 3", high=3.0, digits=1),
    "blinks per minute, silent": Bound(text="12 to 30", low=12, high=30, digits=0),
    "blinks per minute, speaking": Bound(text="12 to 30", low=12, high=30, digits=0),
    "ratio of mouth sharpness to the photo's, speaking": Bound(text="0.6 to 1.2", low=0.6, high=1.2),
    "distance of the neutral face's mesh from the photo's, % of the eye distance": Bound(text="<= 1", high=1.0),
}


def evaluate(photo: Path) -> dict[str, float]:
    """Return every figure of FIGURES for one photo."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pack"
        prepare_avatar(photo.read_bytes(), out, timeout_s=600)  # long enough for a busy machine
        pack = AvatarPack.load(out)
        picture = cv2.imread(str(out / "image.jpg"))[..., ::-1]
    renderer = CpuRenderer(pack, SIZE_PX, SIZE_PX)
    height, width = pack.matte.shape
    picture = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=cv2.INTER_CUBIC)
    frame = renderer.plan.frame
    framed = lay_out(picture, frame, SIZE_PX, SIZE_PX, 1.0, cv2.BORDER_CONSTANT, sharp=True)
    inside = lay_out(np.full((height, width), 255, np.uint8), frame, SIZE_PX, SIZE_PX, 1.0, cv2.BORDER_CONSTANT) == 255
    person = lay_out(pack.matte, frame, SIZE_PX, SIZE_PX, 1.0, cv2.BORDER_REPLICATE)
    speaking = list(motion_frames(speech_motion(_read(SPEECH)), SPEAKING_FRAMES, FPS, SEED))
    views = [_rgb(renderer.render(motion)) for motion in speaking]
    rest = _rgb(renderer.render(_of()))
    return {
        **_pictures(renderer, framed, inside, person, views, rest),
        **_stillness(renderer, person, speaking),
        **_noses(renderer, views, rest, speaking),
        **_blinks(pack),
        "distance of the neutral face's mesh from the photo's, % of the eye distance": measures.likeness(
            _find(framed), _find(rest)
        ),
    }


def _pictures(
    renderer: CpuRenderer,
    photo: Picture,
    inside: NDArray[np.bool_],
    person: Picture,
    views: Sequence[Picture],
    rest: Picture,
) -> dict:
    e = renderer.face.unit
    moving = cv2.dilate(person, np.ones((2 * round(0.3 * e) + 1,) * 2, np.uint8)) > 2
    features = np.zeros(person.shape, np.uint8)
    for box in (
        _box(renderer, (13, 61, 291), 0.25),
        _box(renderer, (33, 133, 159, 145), 0.12),
        _box(renderer, (263, 362, 386, 374), 0.12),
    ):
        features[box[1] : box[3], box[0] : box[2]] = 1
    still = inside & ~moving
    mouth = _box(renderer, (13, 61, 291), 0.18)
    sharp = measures.mouth_sharpness(photo, views, mouth)
    outside = [float("nan")]
    if still.sum() > 1000:
        outside = [measures.similarity(photo, view, still) for view in views[::25]]
    return {
        "SSIM with the photo, outside the moving person, speaking": float(np.mean(outside)),
        "SSIM with the photo, without mouth and eyes, at rest": measures.similarity(
            photo, rest, inside & (features == 0)
        ),
        "ratio of mouth sharpness to the photo's, speaking": float(np.median(sharp)),
    }


def _stillness(renderer: CpuRenderer, person: Picture, speaking: Sequence[MotionFrame]) -> dict[str, float]:
    e = renderer.face.unit
    reach = cv2.dilate(person, np.ones((2 * round(0.4 * e) + 1,) * 2, np.uint8))
    luma = [renderer.render(motion)[:SIZE_PX].copy() for motion in speaking[::5]]
    lips = [*range(SPOKEN_COUNT), *(INDEX[name] for name in ("moodSmile", "mouthFrown", "mouthShrugLower"))]
    box = _box(renderer, (13, 61, 291), 0.1)

    def silent(mood: Mood) -> int:
        """Return the pixels of the mouth that change, with the head, the eyes and the breath held."""
        life, pictures = Liveliness(SEED), []
        for n in range(20 * FPS):
            row = np.zeros(len(COEFFICIENTS), np.float32)
            row[lips] = life.frame(n * MOTION_RATE_HZ // FPS, mood=mood).coefficients[lips]
            if n >= 8 * FPS:
                pictures.append(_rgb(renderer.render(MotionFrame(coefficients=row)))[box[1] : box[3], box[0] : box[2]])
        return measures.changed(pictures, np.ones(pictures[0].shape[:2], bool))

    return {
        "pixels of the background that change": measures.changed(luma, reach == 0),
        "pixels of the mouth that change in silence": silent(Mood()),
        "pixels of the mouth that change in silence, sum over all moods": sum(
            silent(Mood.of(emotion)) for emotion in EMOTIONS[1:]
        ),
    }


def _noses(
    renderer: CpuRenderer, views: Sequence[Picture], rest: Picture, speaking: Sequence[MotionFrame]
) -> dict[str, float]:
    e, rng = renderer.face.unit, np.random.default_rng(SEED)
    heads = []
    for motion in speaking:
        row = motion.coefficients.copy()
        row[:SPOKEN_COUNT] = 0
        still = MotionFrame(
            coefficients=row, yaw_deg=motion.yaw_deg, pitch_deg=motion.pitch_deg, roll_deg=motion.roll_deg
        )
        heads.append(_rgb(renderer.render(still)))
    noisy = [np.clip(rest + rng.normal(0, CAMERA_NOISE, rest.shape), 0, 255).astype(np.uint8) for _ in views]
    nose = _box(renderer, (6, 197, 195, 5, 4), 0.1)
    held = _tracked(heads)
    return {
        "nose jitter, tracked, speaking": _tracked(views),
        "nose jitter, tracked, speaking with the mouth held at rest": held,
        "ratio of the line above to the jitter of a still picture with camera noise": held / _tracked(noisy),
        "nose jitter, registered, speaking": measures.jitter(measures.registered(views, nose), e),
    }


def _blinks(pack: AvatarPack) -> dict[str, float]:
    """Count how often in a minute the pupils disappear from rendered frames, in silence and in speech."""
    renderer = CpuRenderer(pack, SIZE_PX // 2, SIZE_PX // 2)
    speech = np.concatenate([_read(SPEECH)] * 8)[: 60 * SPEECH_RATE_HZ]
    life = Liveliness(SEED)
    silent = (life.frame(n * MOTION_RATE_HZ // FPS) for n in range(60 * FPS))
    figures = {}
    for name, motions in (("silent", silent), ("speaking", motion_frames(speech_motion(speech), 60 * FPS, FPS, SEED))):
        figures[f"blinks per minute, {name}"] = float(
            measures.blinks([_eyes_dark(renderer, motion) for motion in motions], *_open_and_shut(renderer))
        )
    return figures


def _open_and_shut(renderer: CpuRenderer) -> tuple[float, float]:
    return _eyes_dark(renderer, _of()), _eyes_dark(renderer, _of(eyeBlinkLeft=1.0, eyeBlinkRight=1.0))


def _eyes_dark(renderer: CpuRenderer, motion: MotionFrame) -> float:
    """Return the darkest luma at the pupils, the mean of both eyes."""
    luma = renderer.render(motion)[: renderer.height_px]
    found = []
    for rim in ((469, 470, 471, 472), (474, 475, 476, 477)):
        left, top, right, bottom = _box(renderer, rim, 0.0)
        found.append(float(np.percentile(luma[top:bottom, left:right], 5)))
    return float(np.mean(found))


def _read(path: Path) -> NDArray[np.int16]:
    return read_speech(path)[0]


def _of(**coefficients: float) -> MotionFrame:
    row = np.zeros(len(COEFFICIENTS), np.float32)
    for name, value in coefficients.items():
        row[INDEX[name]] = value
    return MotionFrame(coefficients=row)


def _rgb(i420: NDArray[np.uint8]) -> Picture:
    return np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420), np.uint8)


def _box(renderer: CpuRenderer, points: tuple[int, ...], margin: float) -> tuple[int, int, int, int]:
    p, m = renderer.face.landmarks[list(points), :2], margin * renderer.face.unit
    (left, top), (right, bottom) = p.min(axis=0) - m, p.max(axis=0) + m
    return (
        max(0, int(left)),
        max(0, int(top)),
        min(renderer.width_px, int(right) + 1),
        min(renderer.height_px, int(bottom) + 1),
    )


def _meshes(pictures: Sequence[Picture], *options: str) -> list[Points]:
    """Return the mesh that MediaPipe finds in each picture, without the pictures in which it finds none."""
    with tempfile.TemporaryDirectory() as name:
        given, found = Path(name) / "pictures.npy", Path(name) / "meshes.npy"
        np.save(given, np.stack(pictures))
        program = environment.PROJECT / "meshes.py"
        subprocess.run([environment.prepare(), program, given, found, *options], check=True, capture_output=True)
        return [mesh for mesh in np.load(found) if np.isfinite(mesh).all()]


def _find(picture: Picture) -> Points:
    (mesh,) = _meshes([picture])
    return mesh


def _tracked(pictures: Sequence[Picture]) -> float:
    """Return the nose jitter as the lip-sync measure defines it, but divided by the median eye distance: the eye
    distance of a single frame contains the tracker's noise.
    """
    tracks = _meshes(pictures, "--follow")
    return measures.jitter(np.array([p[1] for p in tracks]), float(np.median([measures.unit(p) for p in tracks])))


def table(columns: dict[str, dict[str, float]]) -> str:
    """Return a Markdown table: a row for each figure with its bounds, a column for each portrait."""
    lines = ["| | bound | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for name, bound in FIGURES.items():
        lines.append(
            f"| {name} | {bound.text} | "
            + " | ".join(f"{figures[name]:.{bound.digits}f}" for figures in columns.values())
            + " |"
        )
    return "\n".join(lines)


def failures(columns: dict[str, dict[str, float]]) -> list[str]:
    """Return a line for each figure that is out of its bounds. A figure that could not be measured (NaN) is not."""
    return [
        f"{portrait}: {name} is {figures[name]:.3f}, its bound is {bound.text}"
        for portrait, figures in columns.items()
        for name, bound in FIGURES.items()
        if figures[name] < bound.low or figures[name] > bound.high
    ]


def main(measure: Callable[[Path], dict[str, float]] = evaluate) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--photo", type=Path, action="append", default=[], help="photos to measure besides the library's portraits"
    )
    options.add_argument("--write", type=Path, help="a page to put the table into")
    a = options.parse_args()
    cv2.setNumThreads(1)
    photos = {portrait.slug: portrait.path for portrait in PORTRAITS} | {photo.stem: photo for photo in a.photo}
    columns = {name: measure(photo) for name, photo in photos.items()}
    text = table(columns)
    print(text)
    if a.write:
        before, rest = a.write.read_text().split(BEGIN)
        a.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
    for line in failures(columns):
        print(line, file=sys.stderr)
    return 1 if failures(columns) else 0


if __name__ == "__main__":
    sys.exit(main())
