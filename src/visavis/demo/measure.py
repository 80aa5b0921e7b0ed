"""Measures what a viewer received by its content: pure functions on pictures and samples.

**A/V offset.** Both streams are compared with the speech that was sent, at the times at which the viewer presents them.
Sound: the lag at which the received samples correlate best with the sent samples. Lips: for each picture, the distance
of the mouth's region from the resting face, after the movement of the head has been removed (phase correlation of the
region of the eyes); then the lag at which this correlates best with the motion of the mouth that the engine computes
for that speech. The offset is the lag of the lips minus the lag of the sound; it is positive if the lips come later. A
picture every 40 ms samples the lips coarsely, but a few hundred pictures determine the lag to a few milliseconds.

**Latency.** The same lags on the clock of arrival: from sending the first message of speech to receiving its beginning.

**Interruption.** From sending the interrupt to the last sound above a whisper, and to the first of the pictures that
all show the resting mouth, both on the clock of arrival. Times of arrival are those of the viewer's decoders; its
jitter buffer for sound contains about 80 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, MOTION_RATE_HZ, SpeechMotion

SPEECH_RATE_HZ = 16_000
AUDIBLE = 0.01  # RMS of 10 ms, full scale 1: -40 dBFS, a whisper
FREEZE_EXTRA_S = 0.150  # W3C webrtc-stats, freezeCount: a gap longer than max(3 frames, 1 frame + 150 ms)

# How much each coefficient changes the picture of the mouth, estimated from the pixels that it moves.
WEIGHTS = {
    "jawOpen": 1.0,
    "mouthClose": -0.8,
    "mouthFunnel": 0.4,
    "mouthPucker": 0.4,
    "mouthLowerDown": 0.5,
    "mouthUpperUp": 0.5,
    "mouthStretch": 0.3,
    "mouthSmile": 0.3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A region of a picture, px."""

    left: int
    top: int
    width: int
    height: int

    def of(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Where one signal begins in another, and their correlation there (-1 to 1)."""

    seconds: float
    likeness: float


def find_face(picture: NDArray[np.uint8]) -> Box | None:
    """Return the largest frontal face in a grey picture, uint8 (h, w); None without one.

    Viola-Jones, with the cascade that comes with OpenCV.
    """
    cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"))
    least_px = min(picture.shape) // 6
    faces = cascade.detectMultiScale(picture, scaleFactor=1.05, minNeighbors=4, minSize=(least_px, least_px))
    if not len(faces):
        return None
    left, top, width, height = max(faces, key=lambda face: face[2] * face[3])
    return Box(left=int(left), top=int(top), width=int(width), height=int(height))


def mouth_of(face: Box) -> Box:
    """Return the part of a Viola-Jones face with the mouth: its lower third, of that the middle three fifths."""
    return Box(
        left=face.left + face.width // 5,
        top=face.top + face.height * 13 // 20,
        width=face.width * 3 // 5,
        height=face.height * 7 // 20,
    )


def eyes_of(face: Box) -> Box:
    return Box(
        left=face.left + face.width // 8,
        top=face.top + face.height // 5,
        width=face.width * 3 // 4,
        height=face.height * 3 // 10,
    )


def mouth_distance(pictures: NDArray[np.uint8], resting: slice, face: Box) -> NDArray[np.float32]:
    """Return the distance of each picture's mouth from the resting mouth: the mean absolute difference in grey levels
    (0 to 255), float32 (n,).

    `pictures`: uint8 (n, h, w), grey. `resting`: the pictures in which nobody speaks; the middle one is the reference.
    """
    eyes, mouth = eyes_of(face), mouth_of(face)
    still = pictures[resting]
    reference = still[len(still) // 2]
    eyes_still = eyes.of(reference).astype(np.float32)
    window = cv2.createHanningWindow((eyes_still.shape[1], eyes_still.shape[0]), cv2.CV_32F)
    mouth_still = cv2.GaussianBlur(mouth.of(reference), (0, 0), 1.2).astype(np.float32)
    distance = np.zeros(len(pictures), np.float32)
    for number, picture in enumerate(pictures):
        # phaseCorrelate applies the window to both arguments in place.
        (dx, dy), _ = cv2.phaseCorrelate(eyes_still.copy(), eyes.of(picture).astype(np.float32), window)
        shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        size = (picture.shape[1], picture.shape[0])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        held = np.asarray(cv2.warpAffine(picture, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)
        distance[number] = np.abs(cv2.GaussianBlur(mouth.of(held), (0, 0), 1.2) - mouth_still).mean()
    return distance


def expected_distance(motion: SpeechMotion) -> NDArray[np.float32]:
    """Return how far the engine moves the mouth from rest, one value per 10 ms, float32 (n,)."""
    moved = sum(weight * motion.mouth[:, INDEX[name]] for name, weight in WEIGHTS.items())
    return np.abs(np.asarray(moved, np.float32))


def lips_lag(
    times_s: NDArray[np.float64],
    distance: NDArray[np.float32],
    expected: NDArray[np.float32],
    *,
    around_s: float,
    within_s: float = 0.6,
) -> Lag:
    """Find the time at which the expected movement begins in the pictures.

    `times_s`, `distance`: float (n,), one per picture. `expected`: float32 (m,), one per 10 ms from the beginning of
    the speech. The lag is searched from `around_s - within_s` to `around_s + within_s`, in steps of 1 ms. A picture
    shows the instant of its own time, so its duration is not added.
    """
    grid_s = np.arange(len(expected)) / MOTION_RATE_HZ
    best = Lag(seconds=around_s, likeness=-1.0)
    for lag_s in np.arange(around_s - within_s, around_s + within_s, 0.001):
        during = (times_s >= lag_s) & (times_s <= lag_s + grid_s[-1])
        if during.sum() < 10:
            continue
        likeness = _correlation(np.interp(times_s[during] - lag_s, grid_s, expected), distance[during])
        if likeness > best.likeness:
            best = Lag(seconds=float(lag_s), likeness=likeness)
    return best


def sound_lag(received: NDArray[np.float32], sent: NDArray[np.float32], rate_hz: int) -> Lag:
    """Find where `sent` begins in `received`, both float32 (n,) at `rate_hz`: the peak of their cross-correlation, to a
    fraction of a sample.
    """
    size = 1 << (len(received) + len(sent) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(received, size) * np.conj(np.fft.rfft(sent, size)), size)
    product = product[: max(1, len(received))]
    peak = int(np.argmax(product))
    part = received[peak : peak + len(sent)]
    likeness = _correlation(part, sent[: len(part)]) if len(part) > rate_hz // 10 else 0.0
    shift = 0.0
    if 0 < peak < len(product) - 1:  # a parabola through the peak and its neighbours
        before, at, after = product[peak - 1 : peak + 2]
        shift = (
            float(0.5 * (before - after) / max(before - 2 * at + after, -1e30)) if before - 2 * at + after < 0 else 0.0
        )
    return Lag(seconds=(peak + shift) / rate_hz, likeness=likeness)


def _correlation(one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]) -> float:
    if one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def last_audible_s(times_s: NDArray[np.float64], samples: NDArray[np.float32], rate_hz: int) -> float | None:
    """Return the time of the last sound above a whisper; None if there is none. `samples`: float32 (n,); `times_s`:
    their times, float64 (n,).
    """
    step = rate_hz // 100
    blocks = samples[: len(samples) // step * step].reshape(-1, step)
    loud = np.flatnonzero(np.sqrt((blocks**2).mean(axis=1)) > AUDIBLE)
    return float(times_s[(loud[-1] + 1) * step - 1]) if len(loud) else None


def rest_begins_s(
    times_s: NDArray[np.floating], distance: NDArray[np.float32], threshold: float, *, after_s: float
) -> float | None:
    """Return the time of the first picture after `after_s` from which on every mouth is at rest (below `threshold`);
    None if the last one is not.
    """
    late = np.flatnonzero(times_s > after_s)
    moving = late[distance[late] > threshold]
    first = (moving[-1] + 1) if len(moving) else (late[0] if len(late) else len(times_s))
    return float(times_s[first]) if first < len(times_s) else None


def freezes(arrivals_s: NDArray[np.floating]) -> list[float]:
    """Return the length of each freeze in seconds: a gap between pictures, as defined by the W3C's freezeCount."""
    gaps = np.diff(arrivals_s)
    if not len(gaps):
        return []
    usual_s = float(np.median(gaps))
    return [float(gap) for gap in gaps if gap > max(3 * usual_s, usual_s + FREEZE_EXTRA_S)]
