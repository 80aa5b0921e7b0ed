"""From the bytes of a photo to a portrait study, in this process. Only the sandbox calls this (pack/prepare_job.py);
others call `prepare_avatar`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.images.decode import DecodedPhoto, damaged, decode_image, decode_later_pictures
from visavis.engine.images.image_type import image_type
from visavis.engine.images.jpeg_damage import is_damaged
from visavis.engine.portrait.background import fill_background
from visavis.engine.portrait.chip import take_chip
from visavis.engine.portrait.coarse import inside_face
from visavis.engine.portrait.covered_mouth import is_mouth_covered
from visavis.engine.portrait.crop import Cut, cut_out, map_points
from visavis.engine.portrait.face import FoundFace, describe_face, find_face, refine_mesh
from visavis.engine.portrait.framing import frame_portrait, preview
from visavis.engine.portrait.matte import person_matte, without_islands
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.placed import place_face
from visavis.engine.portrait.points import SevenPoints
from visavis.engine.portrait.quality import remarks_on_face, remarks_on_surroundings
from visavis.engine.portrait.report import PreparationReport, Remark
from visavis.engine.portrait.study import PortraitStudy

# If at least this share of the opaque part belongs to the person, the photo was cut out along the person. A round
# avatar picture also has a wall in its opaque part.
CUT_ALONG = 0.75
# Of an animation. Each takes as long as a photo without a face, half a second.
EXAMINED_PICTURES = 6
BLANK = 2.0  # levels of 255 by which a picture differs from one of a single colour, or from another picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A study, its `preview` (uint8 (500, 500, 3) RGB) and the report on the photo."""

    study: PortraitStudy
    preview: NDArray[np.uint8]
    report: PreparationReport


def examine_photo(image: bytes, models: Models | None = None, points: SevenPoints | None = None) -> Examination:
    """Examine a JPEG, PNG, WebP or GIF of one person. The face is at `points` if they are given; otherwise it is found,
    in an animation in the first picture with a face.

    Raises ImageRefused with a message for a person.
    """
    steps = _Steps()
    decoded = decode_image(image)
    if image_type(image) == "JPEG" and is_damaged(image):
        raise damaged()
    steps.done("decode")
    models = models or Models()
    passed_over = 0
    if points is not None:
        placed = place_face(decoded.picture, points, models, reduced=decoded.reduced)
        steps.done("find_face")
        portrait = _framed(decoded, decoded.picture, placed)
        steps.done("frame")
    else:
        try:
            portrait = _found(decoded, models, steps)
        except ImageRefused as refusal:
            passed_over, portrait = _found_later(image, decoded, models, steps, refusal)
    decoded, photo, found, cut = portrait.decoded, portrait.photo, portrait.found, portrait.cut
    picture, face = portrait.picture, portrait.face
    matte = person_matte(picture, face, models)
    if decoded.opacity is not None:
        matte = _with_opacity(matte, decoded.opacity, found, cut, face)
    steps.done("matte")
    background = fill_background(picture, matte, face.eye_distance_px)
    steps.done("background")
    eye_distance_px = found.eye_distance_px * decoded.reduced
    chip = take_chip(picture, face)
    covered = portrait.spread is not None and is_mouth_covered(chip, portrait.spread / face.eye_distance_px)
    said, traits = remarks_on_face(chip, found, eye_distance_px, mouth_covered=covered)
    said += remarks_on_surroundings(picture, matte, face, cut_out_given=decoded.opacity is not None)
    if points is not None:
        said.insert(0, Remark.found("PLACED_BY_HAND", "The face is where its points were placed by hand"))
    if passed_over:
        used = f"Picture {passed_over + 1} of the animation is used: it is the first with a face"
        said.insert(0, Remark.found("LATER_PICTURE", used))
    steps.done("judge")
    report = PreparationReport(
        photo_width_px=photo.shape[1] * decoded.reduced,
        photo_height_px=photo.shape[0] * decoded.reduced,
        photo_eye_distance_px=round(eye_distance_px, 1),
        width_px=picture.shape[1],
        height_px=picture.shape[0],
        eye_distance_px=round(face.eye_distance_px, 1),
        roll_deg=round(found.roll_deg, 1),
        yaw_deg=round(found.yaw_deg, 1),
        pitch_deg=round(found.pitch_deg, 1),
        remarks=tuple(said),
        steps_ms=steps.took_ms,
    )
    study = PortraitStudy(
        picture=picture, landmarks=face.landmarks, matte=matte, background=background, lids=traits.lids
    )
    return Examination(study=study, preview=preview(picture, face), report=report)


class _Steps:
    """Measures how long each step takes."""

    def __init__(self) -> None:
        self.took_ms: dict[str, float] = {}
        self._began_s = time.perf_counter()

    def done(self, step: str) -> None:
        now_s = time.perf_counter()
        self.took_ms[step] = round((now_s - self._began_s) * 1000, 1)
        self._began_s = now_s


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portrait:
    """A face in a photo, and the same in its framed picture. `found` is measured in `photo`, which is upright; `face`
    in `picture`, which is `cut` out of it. `spread`: of its landmarks, px (`refine_mesh`); None for a face that was
    placed by hand.
    """

    decoded: DecodedPhoto
    photo: NDArray[np.uint8]
    found: FoundFace
    cut: Cut
    picture: NDArray[np.uint8]
    face: FoundFace
    spread: NDArray[np.float32] | None = None


def _framed(decoded: DecodedPhoto, photo: NDArray[np.uint8], found: FoundFace) -> _Portrait:
    cut = frame_portrait(photo, found)
    face = describe_face(map_points(found.landmarks, cut.matrix()))
    return _Portrait(decoded=decoded, photo=photo, found=found, cut=cut, picture=cut_out(photo, cut), face=face)


def _found(decoded: DecodedPhoto, models: Models, steps: _Steps) -> _Portrait:
    """Find the face in a picture, and frame it. Raises what `find_face` and `refine_mesh` raise."""
    photo, found = find_face(decoded.picture, models, reduced=decoded.reduced)
    steps.done("find_face")
    portrait = _framed(decoded, photo, found)
    steps.done("frame")
    landmarks, spread = refine_mesh(portrait.picture, portrait.face, models)
    steps.done("refine")
    return replace(portrait, face=describe_face(landmarks), spread=spread)


def _found_later(
    image: bytes, first: DecodedPhoto, models: Models, steps: _Steps, refusal: ImageRefused
) -> tuple[int, _Portrait]:
    """Return the first picture of an animation in which a face is found after all, and how many come before it. Raises
    `refusal`, the one of the `first` picture, if there is no other.
    """
    if refusal.reason != Reason.NO_FACE:
        raise refusal
    examined = [first.picture]
    for number, later in enumerate(decode_later_pictures(image), start=1):
        if _is_blank(later.picture) or any(_look_alike(later.picture, earlier) for earlier in examined):
            continue
        try:
            return number, _found(later, models, steps)
        except ImageRefused as later_refusal:
            if later_refusal.reason != Reason.NO_FACE:
                raise
        examined.append(later.picture)
        if len(examined) > EXAMINED_PICTURES:
            break
    if len(examined) == 1:
        raise refusal
    raise ImageRefused(
        Reason.NO_FACE,
        f"No clear face can be seen in the {len(examined)} pictures of the animation that were examined",
        suggestion="Send a photo of one person who faces the camera",
    )


def _is_blank(picture: NDArray[np.uint8]) -> bool:
    return float(picture[::8, ::8].std(axis=(0, 1)).max()) < BLANK


def _look_alike(picture: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether the pictures are the same but for a little noise, so that a face is found in both or in none."""
    if picture.shape != other.shape:
        return False
    apart = np.abs(picture[::8, ::8].astype(np.int16) - other[::8, ::8])
    return float(apart.mean()) < BLANK


def _with_opacity(
    matte: NDArray[np.uint8], opacity: NDArray[np.uint8], found: FoundFace, cut: Cut, face: FoundFace
) -> NDArray[np.uint8]:
    """Return the matte of a picture that is partly transparent: its own opacity if it was cut out along the person,
    otherwise the smaller of both at every pixel.
    """
    turned = np.ascontiguousarray(np.rot90(opacity, found.quarter_turns))
    own = cut_out(turned, cut, border=cv2.BORDER_REPLICATE)
    cut_along_person = float(matte[own > 127].mean()) > CUT_ALONG * 255 if (own > 127).any() else False
    both = own if cut_along_person else np.minimum(own, matte)
    whole = np.maximum(both.astype(np.float32) / np.float32(255.0), inside_face(both, face, 0.12))
    seen: NDArray[np.uint8] = np.rint(without_islands(whole, face) * 255.0).astype(np.uint8)
    return seen
