"""Finds the face of the portrait, or says why the photo cannot be used.

look.py finds all faces. The mesh is fitted to a level crop around a face, at good resolution. The most prominent face
is the portrait's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.errors import ImageRefused, Reason
from visavis.engine.landmarks import FACE_OVAL
from visavis.engine.portrait.crop import Cut, cut_out, inverse, map_points
from visavis.engine.portrait.look import look_for_faces
from visavis.engine.portrait.models import DetectedFace, Models

# If a second face has at least this share of the prominence of the first, the choice would be a guess. A less prominent
# one is a passer-by.
RIVAL = 0.62
# A face is then about 26 px wide. In a smaller one, lips cannot be told from noise. The report warns much earlier
# (quality.py).
LEAST_EYE_DISTANCE_PX = 11.0
# Beyond these angles the far cheek cannot be seen, and half of the lips is foreshortened. The estimates are up to 4
# degrees too high: heads rendered at yaw 15, 30, 45 are estimated at 18, 34, 45; at pitch -30, -15, 0, 15, 30 at -32,
# -14, 4, 19, 34. Many paintings show faces at a three-quarter angle.
MOST_YAW_DEG, MOST_PITCH_DEG = 38.0, 31.0
# Limits of the width of a detector's box, in eye distances of the mesh found in it. In 60 faces it was 1.8 to 2.9.
BOX_TO_EYES = 1.2, 4.6
# The most that several meshes of one face may differ, as a standard deviation in eye distances. Measured: 0.003 to
# 0.035 for 120 faces, painted and distant ones included; 0.07 for things that are not faces.
UNSTEADY_MOST = 0.05
# A mesh this far from the mesh that it refines, in eye distances, is of something else. In a drawing, the model once
# found a face inside an eye.
STRAY = 0.3
AGREEING_LEAST = 3  # of six meshes. A single one also finds a face in a cat
MESH_SIDE_PX = 448
# By how much the detector is surer of a face that is turned upside down, if the face is really so. Measured on ten
# portraits in 18 turns each: 0.17 to 0.28, but 0.06 for one drawn man with a white beard. In upright faces with a mask,
# which looks like a forehead upside down, it is up to 0.06; in other upright faces -0.09 and less.
SURER_BY = 0.1
LEAST_SCORE = 0.3  # of the detector, for that comparison
SURE = 0.9  # no face that was found upside down had a higher score than 0.83. The comparison takes 12 ms
# For each mesh: half the side of the crop, and its shift to the right and down, in eye distances.
REFINING_LOOKS = (
    (2.0, 0.0, 0.0),
    (1.85, 0.05, 0.04),
    (2.2, -0.05, 0.04),
    (1.9, -0.06, -0.05),
    (2.1, 0.06, -0.04),
    (2.3, 0.0, 0.06),
)

LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS = (33, 133), (362, 263)  # left and right in the picture
# Landmarks that face each other across the middle of the face: jaw, temple, outer eye corners, mouth corners, cheeks.
PAIRS = ((234, 454), (127, 356), (33, 263), (61, 291), (132, 361), (93, 323))
FOREHEAD, CHIN = 10, 152
# How much of the outline of a face an edge of the photo may cut off at a side, in eye distances. Beyond that, the cheek
# beside the mouth is missing too, and what is drawn for it breaks when the mouth opens.
MOST_CUT_ASIDE = 0.2
MUST_BE_SEEN = (33, 133, 362, 263, 61, 291, 0, 17, 1, 152)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFace:
    """A face and its angles. `landmarks`: float32 (478, 3) in px of the picture; angles in degrees, 0 for an upright
    head that faces the camera.

    `quarter_turns`: how many quarter turns anticlockwise (np.rot90) made the photo upright; `others`: the number of
    less prominent faces.
    """

    landmarks: NDArray[np.float32]
    eye_distance_px: float
    eye_centre: tuple[float, float]
    roll_deg: float
    yaw_deg: float
    pitch_deg: float
    quarter_turns: int = 0
    others: int = 0


def describe_face(landmarks: NDArray[np.float32]) -> FoundFace:
    """Return the measures of a mesh: the distance between the middles of the eyes, and the angles of the head, from the
    depths of the mesh.
    """
    left = landmarks[list(LEFT_EYE_CORNERS), :2].mean(axis=0)
    right = landmarks[list(RIGHT_EYE_CORNERS), :2].mean(axis=0)
    across = right - left
    roll = math.atan2(float(across[1]), float(across[0]))
    level = np.array([[math.cos(roll), math.sin(roll)], [-math.sin(roll), math.cos(roll)]])
    points = landmarks.astype(np.float64)
    points[:, :2] = points[:, :2] @ level.T
    widths = sum(points[b] - points[a] for a, b in PAIRS)
    upright = points[CHIN] - points[FOREHEAD]
    yaw = math.degrees(math.atan2(widths[2], widths[0]))
    pitch = math.degrees(math.atan2(upright[2], upright[1]))
    # In a turned head the eyes look closer. The true distance tells the resolution of the photo.
    distance = float(np.hypot(*across)) / max(0.5, math.cos(math.radians(yaw)))
    centre = (left + right) / 2
    return FoundFace(
        landmarks=landmarks,
        eye_distance_px=distance,
        eye_centre=(float(centre[0]), float(centre[1])),
        roll_deg=math.degrees(roll),
        yaw_deg=yaw,
        pitch_deg=pitch,
    )


def find_face(picture: NDArray[np.uint8], models: Models, *, reduced: int = 1) -> tuple[NDArray[np.uint8], FoundFace]:
    """Return the picture, turned by quarter turns if that was needed to find a face, and the face of the portrait.

    `reduced`: by how much the photo was scaled down before. The limits are for its original resolution.
    Raises ImageRefused: NO_FACE, SEVERAL_FACES, FACE_TOO_SMALL or FACE_TURNED_AWAY.
    """
    turns = 0
    for is_last in (False, True):
        sight = look_for_faces(picture, models)
        if not sight.faces:
            raise ImageRefused(
                Reason.NO_FACE,
                "No face can be seen in the photo",
                suggestion="Send a photo of one person who faces the camera",
            )
        picture = np.ascontiguousarray(np.rot90(picture, sight.quarter_turns))
        main, landmarks, rest = _most_prominent(picture, sight.faces, models)
        face = describe_face(landmarks)
        needed = 0 if main.score > SURE and abs(face.roll_deg) < 45 else _turns_to_upright(picture, face, models)
        turns += sight.quarter_turns
        if is_last or not needed:
            break
        picture = np.ascontiguousarray(np.rot90(picture, needed))
        turns += needed
    others = [other for other in rest if _is_another(picture, other, face, models)]
    if any(_prominence(picture, other) >= RIVAL * _prominence(picture, main) for other in others):
        raise ImageRefused(
            Reason.SEVERAL_FACES,
            "More than one face can be seen in the photo",
            suggestion="Crop the photo to one person and send it again",
        )
    _judge(picture, face, reduced)
    return picture, replace(face, quarter_turns=turns % 4, others=len(others))


def _most_prominent(
    picture: NDArray[np.uint8], faces: list[DetectedFace], models: Models
) -> tuple[DetectedFace, NDArray[np.float32], list[DetectedFace]]:
    """Return the most prominent face to which a mesh fits, its mesh, and the less prominent ones. Raises ImageRefused
    NO_FACE.
    """
    seen = sorted(faces, key=lambda face: _prominence(picture, face), reverse=True)
    for i, candidate in enumerate(seen):
        landmarks = fit_mesh(picture, candidate, models)
        if landmarks is not None:
            return candidate, landmarks, seen[i + 1 :]
    raise _unclear()


def _turns_to_upright(picture: NDArray[np.uint8], face: FoundFace, models: Models) -> int:
    """Return how many quarter turns anticlockwise bring the face nearest to upright. A face that lies on its side may
    have been found all the same; in one that is upside down, another may have been found, with eyes for a mouth.
    """
    turn, unit = math.radians(face.roll_deg), face.eye_distance_px
    x, y = face.eye_centre[0] - 0.45 * unit * math.sin(turn), face.eye_centre[1] + 0.45 * unit * math.cos(turn)
    level = cut_out(picture, _square((x, y), face.roll_deg, 2.0 * unit), border=cv2.BORDER_REPLICATE)
    upright, upside_down = (
        max((seen.score for seen in models.faces(shown, full_range=False, min_score=LEAST_SCORE)), default=0.0)
        for shown in (level, np.ascontiguousarray(np.rot90(level, 2)))
    )
    return (round(face.roll_deg / 90.0) + (2 if upside_down > upright + SURER_BY else 0)) % 4


def _prominence(picture: NDArray[np.uint8], face: DetectedFace) -> float:
    """Return the prominence of a face: its width, reduced if it is at the side, blurred, or has a low score."""
    x, y, w, h = face.box
    height, width = picture.shape[:2]
    left, top, right, bottom = max(0, int(x)), max(0, int(y)), min(width, int(x + w)), min(height, int(y + h))
    if right - left < 4 or bottom - top < 4:
        return 0.0
    grey = cv2.cvtColor(
        cv2.resize(picture[top:bottom, left:right], (96, 96), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    sharp = min(1.0, float(cv2.Laplacian(grey, cv2.CV_32F).std()) / 20.0)
    aside = abs((x + w / 2) / width - 0.5) * 2.0
    return float(w * face.score * (1.0 - 0.35 * min(aside, 1.0)) * (0.6 + 0.4 * sharp))


def _is_another(picture: NDArray[np.uint8], other: DetectedFace, face: FoundFace, models: Models) -> bool:
    """Whether a detected face is really a face, and another one than `face`."""
    landmarks = fit_mesh(picture, other, models)
    if landmarks is None:
        return False
    centre = describe_face(landmarks).eye_centre
    return math.dist(centre, face.eye_centre) > face.eye_distance_px


def _judge(picture: NDArray[np.uint8], face: FoundFace, reduced: int) -> None:
    if abs(face.yaw_deg) > MOST_YAW_DEG or abs(face.pitch_deg) > MOST_PITCH_DEG:
        raise ImageRefused(
            Reason.FACE_TURNED_AWAY,
            f"The face is turned away (about {abs(face.yaw_deg):.0f} degrees sideways, "
            f"{abs(face.pitch_deg):.0f} up or down)",
            suggestion="Send a photo in which the person faces the camera",
        )
    eye_distance_px = face.eye_distance_px * reduced
    if eye_distance_px < LEAST_EYE_DISTANCE_PX:
        needed = math.ceil(LEAST_EYE_DISTANCE_PX / eye_distance_px * 10) / 10
        raise ImageRefused(
            Reason.FACE_TOO_SMALL,
            f"The face is too small: {eye_distance_px:.0f} px between the eyes, at least "
            f"{LEAST_EYE_DISTANCE_PX:.0f} are needed",
            suggestion=f"Send the photo at least {needed:.1f} times as large, or one taken from nearer",
        )
    height, width = picture.shape[:2]
    margin = 0.05 * face.eye_distance_px
    x, y = face.landmarks[list(MUST_BE_SEEN), 0], face.landmarks[list(MUST_BE_SEEN), 1]
    oval_x, aside = face.landmarks[list(FACE_OVAL), 0], MOST_CUT_ASIDE * face.eye_distance_px
    if (
        min(x.min(), y.min()) < -margin
        or x.max() > width + margin
        or y.max() > height + margin
        or oval_x.min() < -aside
        or oval_x.max() > width + aside
    ):
        raise ImageRefused(
            Reason.NO_FACE,
            "The face is cut off by the edge of the photo",
            suggestion="Send a photo that shows the whole face, chin and brows",
        )


def fit_mesh(picture: NDArray[np.uint8], face: DetectedFace, models: Models) -> NDArray[np.float32] | None:
    """Return the landmarks of a detected face, float32 (478, 3) in px of `picture`, or None if the mesh finds no face
    there.
    """
    x, y, width, height = face.box
    side = max(width, height)
    across = face.eyes[1] - face.eyes[0]
    roll_deg = math.degrees(math.atan2(float(across[1]), float(across[0])))
    for spread, smoothed in ((1.7, False), (2.4, False), (1.3, False), (1.7, True), (2.1, True)):
        reach = side * spread / 2
        cut = _square((x + width / 2, y + height / 2), roll_deg, reach)
        shown = cut_out(picture, cut, border=cv2.BORDER_CONSTANT)
        landmarks = models.mesh(_smoothed(shown) if smoothed else shown, bold=smoothed)
        if landmarks is not None:
            landmarks = map_points(landmarks, inverse(cut.matrix()))
            found = describe_face(landmarks)
            inside = x <= found.eye_centre[0] <= x + width and y <= found.eye_centre[1] <= y + height
            if inside and BOX_TO_EYES[0] <= side / found.eye_distance_px <= BOX_TO_EYES[1]:
                return landmarks
    return None


def _square(centre: tuple[float, float], roll_deg: float, reach: float) -> Cut:
    scale = MESH_SIDE_PX / (2 * reach)
    return Cut(
        anchor=centre,
        roll_deg=roll_deg,
        left=reach,
        top=reach,
        scale=scale,
        width_px=MESH_SIDE_PX,
        height_px=MESH_SIDE_PX,
    )


def refine_mesh(
    picture: NDArray[np.uint8], face: FoundFace, models: Models
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the landmarks of the face, float32 (478, 3), as the mean of several meshes of shifted crops, and the
    spread of each, float32 (478,): its standard deviation in px.

    One mesh takes 12 ms. Measured over shifted crops, its standard deviation is 0.4 % of the eye distance; that of the
    mean of six is 0.2 %. Raises ImageRefused NO_FACE if the meshes differ too much: then this is not a face.
    """
    unit = face.eye_distance_px
    x, y = face.eye_centre
    looks: list[NDArray[np.float32]] = []
    for bold in (False, True):
        for reach, right, down in REFINING_LOOKS:
            cut = _square((x + right * unit, y + (0.5 + down) * unit), face.roll_deg, reach * unit)
            shown = cut_out(picture, cut, border=cv2.BORDER_CONSTANT)
            landmarks = models.mesh(_smoothed(shown) if bold else shown, bold=bold)
            if landmarks is not None:
                landmarks = map_points(landmarks, inverse(cut.matrix()))
                if float(np.hypot(*(landmarks - face.landmarks)[:, :2].T).mean()) < STRAY * unit:
                    looks.append(landmarks)
        if len(looks) >= AGREEING_LEAST:
            break
    if len(looks) < AGREEING_LEAST:
        raise _unclear()
    spread = np.asarray(np.std(looks, axis=0)[:, :2].mean(axis=1), dtype=np.float32)
    if float(spread.mean()) > UNSTEADY_MOST * unit:
        raise _unclear()
    return np.asarray(np.mean(looks, axis=0), dtype=np.float32), spread


def _smoothed(shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.medianBlur(shown, 7), dtype=np.uint8)


def _unclear() -> ImageRefused:
    return ImageRefused(
        Reason.NO_FACE,
        "No clear face can be seen in the photo",
        suggestion="Send a sharp, well lit photo of one whole face",
    )
