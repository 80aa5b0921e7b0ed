"""From the bytes of a photo to a portrait study, in this process. Only the sandbox calls this (pack/prepare_job.py);
others call `prepare_avatar`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.images.decode import decode_image
from visavis.engine.portrait.background import fill_background
from visavis.engine.portrait.coarse import inside_face
from visavis.engine.portrait.crop import Cut, cut_out, map_points
from visavis.engine.portrait.face import FoundFace, describe_face, find_face, refine_mesh
from visavis.engine.portrait.framing import frame_portrait, preview
from visavis.engine.portrait.matte import person_matte, without_islands
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.placed import place_face
from visavis.engine.portrait.points import SevenPoints
from visavis.engine.portrait.quality import remarks_on_face, remarks_on_surroundings, take_chip
from visavis.engine.portrait.report import PreparationReport, Remark
from visavis.engine.portrait.study import PortraitStudy

# If at least this share of the opaque part belongs to the person, the photo was cut out along the person. A round
# avatar picture also has a wall in its opaque part.
CUT_ALONG = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A study, its `preview` (uint8 (500, 500, 3) RGB) and the report on the photo."""

    study: PortraitStudy
    preview: NDArray[np.uint8]
    report: PreparationReport


def examine_photo(image: bytes, models: Models | None = None, points: SevenPoints | None = None) -> Examination:
    """Examine a JPEG, PNG, WebP or GIF of one person. The face is at `points` if they are given; otherwise it is found.

    Raises ImageRefused with a message for a person.
    """
    steps_ms: dict[str, float] = {}
    began = time.perf_counter()

    def done(step: str) -> None:
        nonlocal began
        now = time.perf_counter()
        steps_ms[step] = round((now - began) * 1000, 1)
        began = now

    decoded = decode_image(image)
    done("decode")
    models = models or Models()
    if points is None:
        photo, found = find_face(decoded.picture, models, reduced=decoded.reduced)
    else:
        photo, found = decoded.picture, place_face(decoded.picture, points, models, reduced=decoded.reduced)
    done("find_face")
    cut = frame_portrait(photo, found)
    picture = cut_out(photo, cut)
    done("frame")
    face = describe_face(map_points(found.landmarks, cut.matrix()))
    if points is None:
        face = describe_face(refine_mesh(picture, face, models))
    done("refine")
    matte = person_matte(picture, face, models)
    if decoded.opacity is not None:
        matte = _with_opacity(matte, decoded.opacity, found, cut, face)
    done("matte")
    background = fill_background(picture, matte, face.eye_distance_px)
    done("background")
    eye_distance_px = found.eye_distance_px * decoded.reduced
    said, traits = remarks_on_face(take_chip(picture, face), found, eye_distance_px)
    said += remarks_on_surroundings(picture, matte, face, cut_out_given=decoded.opacity is not None)
    if points is not None:
        said.insert(0, Remark.found("PLACED_BY_HAND", "The face is where its points were placed by hand"))
    done("judge")
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
        steps_ms=steps_ms,
    )
    study = PortraitStudy(
        picture=picture, landmarks=face.landmarks, matte=matte, background=background, lids=traits.lids
    )
    return Examination(study=study, preview=preview(picture, face), report=report)


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
