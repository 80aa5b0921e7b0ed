"""Levels and frames the photo: the face is prominent, with as much around it as the widest session can show."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.crop import Cut, cut_out
from visavis.engine.portrait.face import FoundFace

LEVEL_ABOVE_DEG = 2.0
MAX_WIDTH_PX, MAX_HEIGHT_PX = 1200, 1600
LEAST_EYE_DISTANCE_PX = 92.0  # the mouth is then about 90 px wide, which lips need to move smoothly
# How far the frame may reach from the middle between the eyes, in eye distances (62 mm in an adult): a landscape
# picture of head and shoulders.
REACH_SIDE, REACH_UP, REACH_DOWN = 6.66, 4.2, 7.4
KEEP_SIDE, KEEP_UP, KEEP_DOWN = 2.6, 2.9, 3.6  # head, hair and neck: always kept, even if edges are then not straight
OVERHANG = 0.6  # how far a corner of the frame may lie outside the photo
PREVIEW_SIDE_PX = 500
PREVIEW_REACH = 3.3  # half a preview's side, in eye distances


def frame_portrait(picture: NDArray[np.uint8], face: FoundFace) -> Cut:
    """Return the cut that becomes the picture of the study: level, at most 1200 px wide, with the eyes at least 92 px
    apart if the width allows it.
    """
    roll_deg = face.roll_deg if abs(face.roll_deg) > LEVEL_ABOVE_DEG else 0.0
    unit = face.eye_distance_px
    left, right, up, down = _reach_inside(picture, face, roll_deg)
    width, height = _keep_orientation(picture, roll_deg, left + right, up + down)
    if width < left + right:
        surplus = left + right - width  # removed from the wider side, so that the face is nearer to the middle
        take = min(surplus, abs(left - right))
        left, right = (left - take, right) if left > right else (left, right - take)
        left, right = left - (surplus - take) / 2, right - (surplus - take) / 2
    if height < up + down:
        down -= up + down - height
    scale = max(1.0, LEAST_EYE_DISTANCE_PX / unit)
    scale = min(scale, MAX_WIDTH_PX / (left + right), MAX_HEIGHT_PX / (up + down))
    return Cut(
        anchor=face.eye_centre,
        roll_deg=roll_deg,
        left=left,
        top=up,
        scale=scale,
        width_px=min(MAX_WIDTH_PX, round((left + right) * scale)),
        height_px=min(MAX_HEIGHT_PX, round((up + down) * scale)),
    )


def _reach_inside(picture: NDArray[np.uint8], face: FoundFace, roll_deg: float) -> tuple[float, float, float, float]:
    """Return how far the frame may reach to the left, right, up and down: within the photo, and no farther than a
    session shows.
    """
    height, width = picture.shape[:2]
    x, y = face.eye_centre
    unit = face.eye_distance_px
    wanted = np.array([REACH_SIDE, REACH_SIDE, REACH_UP, REACH_DOWN]) * unit
    if roll_deg == 0.0:
        inside = np.minimum(wanted, [x, width - x, y, height - y])
        return float(inside[0]), float(inside[1]), float(inside[2]), float(inside[3])
    # A turned frame meets the edges of the photo at an angle. Its corners may lie outside a little; there the photo is
    # mirrored. If they lie farther outside, the two sides that meet there move inwards, but never into the head.
    turn = math.radians(roll_deg)
    along, upright = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    ways = [_way_out(x, y, direction, width, height) for direction in (-along, along, -upright, upright)]
    reach = np.minimum(wanted, ways)
    kept = np.minimum(reach, np.array([KEEP_SIDE, KEEP_SIDE, KEEP_UP, KEEP_DOWN]) * unit)
    over = OVERHANG * unit
    for _ in range(100):
        outside = np.zeros(4, bool)
        for side, rise in ((0, 2), (0, 3), (1, 2), (1, 3)):
            corner = (
                np.array([x, y])
                + along * (reach[side] if side == 1 else -reach[side])
                + upright * (reach[rise] if rise == 3 else -reach[rise])
            )
            if not (-over <= corner[0] <= width + over and -over <= corner[1] <= height + over):
                outside[[side, rise]] = True
        shrunk = np.where(outside, np.maximum(reach * 0.98, kept), reach)
        if np.array_equal(shrunk, reach):
            break
        reach = shrunk
    return float(reach[0]), float(reach[1]), float(reach[2]), float(reach[3])


def _way_out(x: float, y: float, direction: NDArray[np.float64], width: int, height: int) -> float:
    ways = [math.inf]
    for place, step, end in ((x, direction[0], width), (y, direction[1], height)):
        if abs(step) > 1e-9:
            ways.append(((end if step > 0 else 0) - place) / step)
    return float(min(way for way in ways if way >= 0))


def _keep_orientation(picture: NDArray[np.uint8], roll_deg: float, width: float, height: float) -> tuple[float, float]:
    """Return a width and height with which a portrait photo stays a portrait picture, a landscape one a landscape."""
    photo_height, photo_width = picture.shape[:2]
    if abs(roll_deg) > 45.0:
        photo_height, photo_width = photo_width, photo_height
    if photo_height > photo_width:
        return min(width, height), height
    if photo_width > photo_height:
        return width, min(height, width)
    side = min(width, height)
    return side, side


def preview(picture: NDArray[np.uint8], face: FoundFace) -> NDArray[np.uint8]:
    """Return a square with the face in its middle: uint8 (500, 500, 3). `face` is measured in `picture`."""
    height, width = picture.shape[:2]
    reach = min(PREVIEW_REACH * face.eye_distance_px, width / 2, height / 2)
    x = min(max(face.eye_centre[0], reach), width - reach)
    y = min(max(face.eye_centre[1] + 0.35 * face.eye_distance_px, reach), height - reach)
    cut = Cut(
        anchor=(x, y),
        roll_deg=0.0,
        left=reach,
        top=reach,
        scale=PREVIEW_SIDE_PX / (2 * reach),
        width_px=PREVIEW_SIDE_PX,
        height_px=PREVIEW_SIDE_PX,
    )
    return cut_out(picture, cut, border=cv2.BORDER_REPLICATE)
