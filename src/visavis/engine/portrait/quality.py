"""Remarks on a photo as the source of an avatar: what was found, what had to be guessed, and what would be better.

Every remark has a stable code. Faces are measured on a *chip*: the upright face at one fixed size, so that a threshold
means the same for every photo. The thresholds were set with 116 real, painted and drawn faces and 43 variants of them
(docs/decisions/0012).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.chip import Chip
from visavis.engine.portrait.face import FoundFace
from visavis.engine.portrait.report import Remark

# Eye distances in the photo. Below the first, lips are guessed; below the second, they are soft at full size.
SMALL_PX, SMALLISH_PX = 28.0, 55.0
TURNED_DEG, FAR_TURNED_DEG = 14.0, 24.0
TILTED_DEG, UP_DOWN_DEG = 8.0, 24.0
# Standard deviation of the Laplacian of a face 128 px wide, divided by the light of the face. Sharp faces have 0.09 to
# 0.5, blurred ones up to 0.04.
BLURRED = 0.05
DARK, BURNT = 95.0, 0.2  # the 95th percentile of the light of a face (0 to 255), and the share of a face that is white
ONE_SIDED = 2.0  # the light of the brighter cheek, divided by that of the darker one
RIM, BRIDGE = 0.6, 0.6  # slopes across the lower rims and the bridge of glasses, divided by the light of the face
# The 95th percentile of eyes behind dark glasses, divided by the light of the face: without visible rims, and with
# them.
SHADED_EYES = 0.55, 0.72
CLOSED = 0.13  # the least height of an open eye, divided by its width
BUSY = 11.0  # mean slope of the background, in levels per px
MOUTH_COVERED = "MOUTH_COVERED"
EDGE = 0.10  # a face this near to the edge of the photo is cut off, in eye distances


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Properties of a face that limit its motion. `lids`: how far each eye, the viewer's left one first, may blink and
    look around: 1 freely, 0 not at all.
    """

    lids: tuple[float, float] = (1.0, 1.0)


def remarks_on_face(
    chip: Chip, face: FoundFace, eye_distance_px: float, *, mouth_covered: bool
) -> tuple[list[Remark], Traits]:
    """Return the remarks on the face. `face` is as it was found in the photo, `eye_distance_px` in px of the original
    photo.
    """
    said = _size(eye_distance_px) + _hold(face) + _sharpness(chip, eye_distance_px) + _light(chip)
    eyes, traits = _eyes(chip)
    said += eyes
    if mouth_covered:
        said.append(
            Remark.warned(
                MOUTH_COVERED,
                "Something seems to cover the mouth: it will move like lips",
                "Send a photo in which the whole mouth shows",
            )
        )
    elif _has_beard(chip):
        said.append(Remark.found("BEARD", "There is a beard or a moustache: it moves with the lips"))
    return said, traits


def remarks_on_surroundings(
    picture: NDArray[np.uint8], matte: NDArray[np.uint8], face: FoundFace, *, cut_out_given: bool
) -> list[Remark]:
    """Return the remarks on the framed picture around the face. `face` is measured in `picture`."""
    said: list[Remark] = []
    height, width = matte.shape
    unit = face.eye_distance_px
    points = face.landmarks[:, :2]
    margin = EDGE * unit
    columns = slice(max(0, int(points[:, 0].min())), max(1, int(points[:, 0].max())))
    above = bool((matte[0, columns] > 127).mean() > 0.25)
    beside = points[:, 0].min() < margin or points[:, 0].max() > width - margin
    below = points[:, 1].max() > height - margin
    if above or beside or below:
        where = " and ".join(word for word, is_cut in (("top", above), ("side", beside), ("chin", below)) if is_cut)
        said.append(
            Remark.warned(
                "HEAD_CROPPED",
                f"The photo cuts the head off ({where}): what is missing cannot be shown",
                "Take a photo with some room around",
            )
        )
    if cut_out_given:
        return [
            *said,
            Remark.found("CUT_OUT", "The picture is transparent around the person: its own outline is used"),
        ]
    said.append(Remark.guessed("BACKGROUND_CONTINUED", "What is hidden behind the head is continued from around it"))
    outside = cv2.erode((matte < 8).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    if int(outside.sum()) > 2000:
        grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.0).astype(np.float32)
        slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)) / 4.0
        if float(slope[outside].mean()) > BUSY:
            advice = "A calm background shows the edge of the hair better; or choose another background for the session"
            said.append(Remark.noted("BACKGROUND_BUSY", "The background is busy", advice))
    return said


def remarks_on_mouth(parted: float, has_teeth: bool, *, covered: bool) -> list[Remark]:
    """Return the remarks on the mouth. `parted`: the gap between the lips, in distances of the outer eye corners.
    Nothing is said of what cannot be seen because something covers the mouth.
    """
    said: list[Remark] = []
    if covered:
        return said
    if parted > 0.2:
        advice = "A photo with closed or nearly closed lips rests more naturally"
        said.append(
            Remark.warned("MOUTH_WIDE_OPEN", "The mouth is wide open: lips and chin at rest are guessed", advice)
        )
    elif parted > 0.011 and not has_teeth:
        said.append(Remark.found("LIPS_PARTED", "The lips are parted: they are closed for the avatar's rest"))
    if has_teeth:
        said.append(
            Remark.found(
                "SMILE_WITH_TEETH", "A smile shows the teeth: the avatar has them, and its lips are closed for rest"
            )
        )
    else:
        said.append(
            Remark.guessed(
                "TEETH_DRAWN", "No whole row of teeth shows: the avatar's are drawn in the light of the face"
            )
        )
    return said


def _size(eye_distance_px: float) -> list[Remark]:
    advice = "Send a larger photo, or one taken from nearer: 90 px between the eyes and more look sharp"
    if eye_distance_px < SMALL_PX:
        return [
            Remark.warned(
                "FACE_SMALL",
                f"The face is small ({eye_distance_px:.0f} px between the eyes) and was enlarged: it looks soft",
                advice,
            )
        ]
    if eye_distance_px < SMALLISH_PX:
        return [
            Remark.noted(
                "FACE_SMALLISH", f"The face is rather small ({eye_distance_px:.0f} px between the eyes)", advice
            )
        ]
    return []


def _hold(face: FoundFace) -> list[Remark]:
    said: list[Remark] = []
    straight = "A photo in which the person looks straight into the camera moves best"
    if abs(face.yaw_deg) > FAR_TURNED_DEG:
        said.append(
            Remark.warned(
                "FACE_TURNED",
                f"The face is turned by about {abs(face.yaw_deg):.0f} degrees: its far side is narrow",
                straight,
            )
        )
    elif abs(face.yaw_deg) > TURNED_DEG:
        said.append(
            Remark.noted(
                "FACE_TURNED", f"The face is turned a little, by about {abs(face.yaw_deg):.0f} degrees", straight
            )
        )
    if abs(face.pitch_deg) > UP_DOWN_DEG:
        said.append(Remark.warned("FACE_UP_OR_DOWN", "The face is raised or lowered", straight))
    if abs(face.roll_deg) > TILTED_DEG:
        said.append(
            Remark.found(
                "FACE_TILTED", f"The head is tilted by {abs(face.roll_deg):.0f} degrees: the picture was levelled"
            )
        )
    if face.quarter_turns:
        said.append(Remark.found("PHOTO_TURNED", "The photo was sideways or upside down: it was turned upright"))
    if face.others:
        said.append(
            Remark.noted(
                "OTHER_FACES",
                "There are other, less prominent faces: the most prominent one is used",
                "Crop the photo to one person",
            )
        )
    return said


def _sharpness(chip: Chip, eye_distance_px: float) -> list[Remark]:
    if eye_distance_px < SMALL_PX:
        return []  # FACE_SMALL says already that it looks soft
    small = cv2.resize(chip.grey, (128, 128), interpolation=cv2.INTER_AREA)
    if float(cv2.Laplacian(small, cv2.CV_32F)[30:100, 30:98].std()) >= BLURRED * chip.light:
        return []
    return [Remark.warned("FACE_BLURRED", "The face is out of focus or blurred", "Send a sharper photo")]


def _light(chip: Chip) -> list[Remark]:
    said: list[Remark] = []
    face = chip.grey[60:210, 60:196]
    if float(np.percentile(face, 95)) < DARK:
        said.append(Remark.warned("LIGHT_DARK", "The face is dark", "Send a photo in better light"))
    elif float((face > 246).mean()) > BURNT:
        said.append(
            Remark.warned(
                "LIGHT_BURNT", "Parts of the face are overexposed and show no skin", "Send a photo in softer light"
            )
        )
    left, right = float(np.median(chip.grey[130:170, 75:105])), float(np.median(chip.grey[130:170, 152:182]))
    if max(left, right) > ONE_SIDED * max(min(left, right), 8.0):
        said.append(
            Remark.noted(
                "LIGHT_ONE_SIDED",
                "The light comes from one side: the inside of the mouth is lit evenly",
                "Even light from the front looks best",
            )
        )
    if not chip.coloured:
        said.append(Remark.found("GREYSCALE", "The picture is in shades of one colour: so is the inside of the mouth"))
    return said


def _eyes(chip: Chip) -> tuple[list[Remark], Traits]:
    points, light = chip.points, chip.light
    smooth = cv2.GaussianBlur(chip.grey, (0, 0), 1.2)
    slope = np.abs(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)) / light
    heights, rims, shine = [], [], []
    for outer, inner, upper, lower in ((33, 133, 159, 145), (263, 362, 386, 374)):
        width = float(np.hypot(*(points[outer] - points[inner])))
        heights.append(float(points[lower, 1] - points[upper, 1]) / max(width, 1.0))
        left, right = sorted((int(points[outer, 0]), int(points[inner, 0])))
        below = slope[int(points[lower, 1]) + 7 : int(points[lower, 1]) + 33, max(0, left) : right]
        rims.append(float(np.median(below.max(axis=0))) if below.size else 0.0)
        within = smooth[max(0, int(points[upper, 1]) - 3) : int(points[lower, 1]) + 4, max(0, left) : right]
        shine.append(float(np.percentile(within, 95)) / light if within.size else 1.0)
    inner_left, inner_right = float(points[133, 0]), float(points[362, 0])
    third = (inner_right - inner_left) / 3
    across = slope[
        int(points[168, 1]) - 10 : int(points[6, 1]) + 12, int(inner_left + third) : int(inner_right - third)
    ]
    bridge = float(across.mean(axis=1).max()) if across.size else 0.0
    if max(shine) < SHADED_EYES[0] or (max(shine) < SHADED_EYES[1] and min(rims) > 0.9):
        advice = "Send a photo in which the eyes show"
        return [
            Remark.warned("SUNGLASSES", "The eyes are behind dark glasses, or in deep shade: they do not move", advice)
        ], Traits(lids=(0.0, 0.0))
    said: list[Remark] = []
    if max(heights) < CLOSED:
        said.append(
            Remark.warned(
                "EYES_CLOSED", "The eyes are closed: the avatar cannot open them", "Send a photo with open eyes"
            )
        )
        return said, Traits(lids=(0.0, 0.0))
    if bridge > BRIDGE and min(rims) > RIM:
        said.append(Remark.found("GLASSES", "There are glasses: lids and eyes move behind them"))
    return said, Traits()


def _has_beard(chip: Chip) -> bool:
    """Whether the chin or the upper lip is much darker than the cheeks, or has much more fine detail."""
    fine = np.abs(chip.grey - cv2.GaussianBlur(chip.grey, (0, 0), 2.0))

    def around(image: NDArray[np.float32], indices: tuple[int, ...], reach: int = 7) -> NDArray[np.float32]:
        patches = []
        for x, y in chip.points[list(indices)].astype(int):
            patches.append(image[max(0, y - reach) : max(0, y + reach), max(0, x - reach) : max(0, x + reach)].ravel())
        return np.concatenate(patches)

    cheeks, chin, lip = (
        around(chip.grey, (50, 280)),
        around(chip.grey, (199, 208, 428, 176, 400)),
        around(chip.grey, (165, 391, 186, 410), 4),
    )
    grain, cheek_grain = around(fine, (199, 208, 428)), around(fine, (50, 280))
    if not (cheeks.size and chin.size and lip.size and grain.size):
        return False
    cheek = max(float(np.median(cheeks)), 1.0)
    grainy = float(grain.mean()) > 2.6 * max(float(cheek_grain.mean()), 0.003 * chip.light)
    return grainy or float(np.median(chin)) < 0.58 * cheek or float(np.median(lip)) < 0.5 * cheek
