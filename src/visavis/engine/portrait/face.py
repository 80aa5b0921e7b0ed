"""Find the one face that the photo is of, or say why it cannot be used.

A detector looks at the whole photo scaled down, then, where it saw nothing, at overlapping tiles of it (full figures, faces in a corner) and at the
photo turned by quarters (lost EXIF tags). The mesh is then fitted on a level crop around the face, at good resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.crop import Cut, cut_out, inverse, map_points
from visavis.engine.portrait.models import DetectedFace, Models
from visavis.errors import PortraitRefused

SIGHT_PX = 1024  # detectors see at most 192 px; this leaves tiles enough detail
CERTAIN, CERTAIN_IN_TILE = 0.5, 0.7  # detectors' scores; many tiles are many chances to be wrong
DOUBTFUL = 0.75  # below, a face may be one seen upside down
RIVAL_SIZE = 0.4  # a second face this large, relative to the first, makes the choice a guess; a smaller one is a passer-by
LEAST_EYE_DISTANCE_PX = 28.0  # a face about 65 px wide; below, the enlarged picture shows more interpolation than person
# Beyond these the far cheek is gone and half of the lips foreshortened: nothing is left to move. The estimates read up to 4 degrees high: a head
# rendered at yaw 15, 30, 45 reads 18, 34, 45, at pitch -30, -15, 0, 15, 30 it reads -32, -14, 4, 19, 34.
MOST_YAW_DEG, MOST_PITCH_DEG = 28.0, 26.0
MESH_SIDE_PX = 448
# Half the side of a crop, and its shift to the right and down, in eye distances.
REFINING_LOOKS = ((2.0, 0.0, 0.0), (1.85, 0.05, 0.04), (2.2, -0.05, 0.04), (1.9, -0.06, -0.05), (2.1, 0.06, -0.04), (2.3, 0.0, 0.06))

LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS = (33, 133), (362, 263)  # left and right in the picture
# Landmarks that face each other across the middle of the face: jaw, temple, outer eye corners, mouth corners, cheeks.
PAIRS = ((234, 454), (127, 356), (33, 263), (61, 291), (132, 361), (93, 323))
FOREHEAD, CHIN = 10, 152
MUST_BE_SEEN = (33, 133, 362, 263, 61, 291, 0, 17, 1, 152)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFace:
    """A face and how it is held. `landmarks`: float32 (478, 3) in px of the picture; angles in degrees, 0 when facing the camera upright."""

    landmarks: NDArray[np.float32]
    eye_distance_px: float
    eye_centre: tuple[float, float]
    roll_deg: float
    yaw_deg: float
    pitch_deg: float


def describe_face(landmarks: NDArray[np.float32]) -> FoundFace:
    """Measure a mesh: distance between the eyes' middles, and the head's angles from its own depths."""
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
    # The eyes stand closer in a turned head; the true distance is what the photo's resolution should be judged by.
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
    """Return the picture, turned by quarters if only that showed a face, and its one face.

    `reduced`: by how much the photo was scaled down before; its own resolution is what is judged.
    Raises PortraitRefused NO_FACE, SEVERAL_FACES, FACE_TOO_SMALL or FACE_TURNED_AWAY.
    """
    picture, seen = _look(picture, models)
    if not seen:
        raise PortraitRefused("No face can be seen in the photo", code="NO_FACE", suggestion="Send a photo of one person who faces the camera")
    main, *others = sorted(seen, key=lambda face: face.box[2] * face.score, reverse=True)
    landmarks = fit_mesh(picture, main, models)
    if landmarks is None:
        raise PortraitRefused("No clear face can be seen in the photo", code="NO_FACE", suggestion="Send a sharp, well lit photo of one whole face")
    face = describe_face(landmarks)
    for other in others:
        if other.box[2] >= RIVAL_SIZE * main.box[2] and fit_mesh(picture, other, models) is not None:
            raise PortraitRefused(
                "More than one face can be seen in the photo", code="SEVERAL_FACES", suggestion="Crop the photo to one person and send it again"
            )
    _judge(picture, face, reduced)
    return picture, face


def _judge(picture: NDArray[np.uint8], face: FoundFace, reduced: int) -> None:
    if abs(face.yaw_deg) > MOST_YAW_DEG or abs(face.pitch_deg) > MOST_PITCH_DEG:
        raise PortraitRefused(
            f"The face is turned away (about {abs(face.yaw_deg):.0f} degrees sideways, {abs(face.pitch_deg):.0f} up or down)",
            code="FACE_TURNED_AWAY",
            suggestion="Send a photo in which the person faces the camera",
        )
    eye_distance_px = face.eye_distance_px * reduced
    if eye_distance_px < LEAST_EYE_DISTANCE_PX:
        needed = math.ceil(LEAST_EYE_DISTANCE_PX / eye_distance_px * 10) / 10
        raise PortraitRefused(
            f"The face is too small: {eye_distance_px:.0f} px between the eyes, at least {LEAST_EYE_DISTANCE_PX:.0f} are needed",
            code="FACE_TOO_SMALL",
            suggestion=f"Send the photo at least {needed:.1f} times as large, or one taken from nearer",
        )
    height, width = picture.shape[:2]
    margin = 0.05 * face.eye_distance_px
    x, y = face.landmarks[list(MUST_BE_SEEN), 0], face.landmarks[list(MUST_BE_SEEN), 1]
    if x.min() < -margin or y.min() < -margin or x.max() > width + margin or y.max() > height + margin:
        raise PortraitRefused(
            "The face is cut off by the edge of the photo", code="NO_FACE", suggestion="Send a photo that shows the whole face, chin and brows"
        )


def fit_mesh(picture: NDArray[np.uint8], face: DetectedFace, models: Models) -> NDArray[np.float32] | None:
    """Return the landmarks of a detected face, float32 (478, 3) in px of `picture`, or None where the mesh finds no face after all."""
    x, y, width, height = face.box
    side = max(width, height)
    across = face.eyes[1] - face.eyes[0]
    roll_deg = math.degrees(math.atan2(float(across[1]), float(across[0])))
    for spread in (1.7, 2.4, 1.3):
        reach = side * spread / 2
        cut = Cut(
            anchor=(x + width / 2, y + height / 2),
            roll_deg=roll_deg,
            left=reach,
            top=reach,
            scale=MESH_SIDE_PX / (2 * reach),
            width_px=MESH_SIDE_PX,
            height_px=MESH_SIDE_PX,
        )
        landmarks = models.mesh(cut_out(picture, cut, border=cv2.BORDER_CONSTANT))
        if landmarks is not None:
            return map_points(landmarks, inverse(cut.matrix()))
    return None


def refine_mesh(picture: NDArray[np.uint8], face: FoundFace, models: Models) -> NDArray[np.float32]:
    """Return the face's landmarks, float32 (478, 3), as the mean of several looks at it.

    One look, 12 ms long, is uncertain by 0.4 % of the eye distance (standard deviation over shifted crops, measured), the mean of six by 0.2 %.
    """
    unit = face.eye_distance_px
    x, y = face.eye_centre
    looks = []
    for reach, right, down in REFINING_LOOKS:
        side = 2 * reach * unit
        cut = Cut(
            anchor=(x + right * unit, y + (0.5 + down) * unit),
            roll_deg=face.roll_deg,
            left=side / 2,
            top=side / 2,
            scale=MESH_SIDE_PX / side,
            width_px=MESH_SIDE_PX,
            height_px=MESH_SIDE_PX,
        )
        landmarks = models.mesh(cut_out(picture, cut, border=cv2.BORDER_CONSTANT))
        if landmarks is not None:
            looks.append(map_points(landmarks, inverse(cut.matrix())))
    if not looks:
        return face.landmarks
    return np.asarray(np.mean(looks, axis=0), dtype=np.float32)


def _look(picture: NDArray[np.uint8], models: Models) -> tuple[NDArray[np.uint8], list[DetectedFace]]:
    """Return the picture, turned as its faces were seen best, and those faces, surest first."""
    height, width = picture.shape[:2]
    ratio = min(1.0, SIGHT_PX / max(height, width))
    sight = picture
    if ratio < 1.0:
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        sight = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    found = _detect(sight, models)
    turns = 0
    if not found or found[0].score < DOUBTFUL:  # lying on its side, or on its head?
        for quarter_turns in (1, 3, 2):
            turned = _detect(np.ascontiguousarray(np.rot90(sight, quarter_turns)), models)
            if turned and turned[0].score > max(DOUBTFUL, found[0].score if found else 0.0):
                found, turns = turned, quarter_turns
    for part in (0.6, 0.36):
        found = found or _detect_in_tiles(sight, models, part)
    grown = [
        DetectedFace(box=(f.box[0] / ratio, f.box[1] / ratio, f.box[2] / ratio, f.box[3] / ratio), eyes=f.eyes / np.float32(ratio), score=f.score)
        for f in found
    ]
    return np.ascontiguousarray(np.rot90(picture, turns)), grown


def _detect(picture: NDArray[np.uint8], models: Models) -> list[DetectedFace]:
    near = models.faces(picture, full_range=False, min_score=CERTAIN)
    return _distinct(near + models.faces(picture, full_range=True, min_score=CERTAIN))


def _detect_in_tiles(picture: NDArray[np.uint8], models: Models, part: float) -> list[DetectedFace]:
    """Look again at overlapping squares, each `part` of the long side."""
    height, width = picture.shape[:2]
    side = max(1, round(max(height, width) * part))
    found = []
    for top in _starts(height, side):
        for left in _starts(width, side):
            tile = np.ascontiguousarray(picture[top : top + side, left : left + side])
            for face in models.faces(tile, full_range=True, min_score=CERTAIN_IN_TILE):
                x, y, w, h = face.box
                shift = np.array([left, top], np.float32)
                found.append(DetectedFace(box=(x + left, y + top, w, h), eyes=face.eyes + shift, score=face.score))
    return _distinct(found)


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side * 0.6)) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _distinct(faces: list[DetectedFace]) -> list[DetectedFace]:
    """Keep the surest of those that are one face: the middle of one lies in the box of the other."""
    kept: list[DetectedFace] = []
    for face in sorted(faces, key=lambda f: f.score, reverse=True):
        if not any(_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _same(a: DetectedFace, b: DetectedFace) -> bool:
    return _holds(a, b) or _holds(b, a)


def _holds(outer: DetectedFace, inner: DetectedFace) -> bool:
    x, y = inner.box[0] + inner.box[2] / 2, inner.box[1] + inner.box[3] / 2
    return outer.box[0] <= x <= outer.box[0] + outer.box[2] and outer.box[1] <= y <= outer.box[1] + outer.box[3]
