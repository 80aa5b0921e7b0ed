"""The two layers of every picture, made once for a size and a background: the still picture, and the person as a
texture that is warped over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.colour import planes, to_yuv
from visavis.engine.render.backdrop import Backdrop
from visavis.engine.render.background_picture import background_picture
from visavis.engine.render.cutout import own_colours, without_haze
from visavis.engine.render.framing import Frame, lay_out
from visavis.engine.render.surroundings import Scene

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom

STRIP_PX = 64  # rows that are processed at once, even: a whole picture in float32 would take a hundred megabytes
MATTE_BLACK, MATTE_WHITE = 16, 235  # Y of a matte at opacity 0 and 1: limited range, which every player expects
OPACITY_LEAST = 2 / 255  # a fainter opacity counts as 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """A scene and the background for it, before they are placed in the output.

    `scene`: with any background but the photo's own, its picture holds the colours of the cut-out person. `image`: the
    file of the background picture, if the background has one.
    """

    scene: Scene
    backdrop: Backdrop
    image: Path | None = None

    @classmethod
    def of(cls, scene: Scene, backdrop: Backdrop, image: Path | None = None) -> Layers:
        if backdrop.kind == "photo":
            return cls(scene=scene, backdrop=backdrop, image=image)
        colours = own_colours(scene.picture, scene.matte, scene.background)
        person = Scene(picture=colours, matte=without_haze(scene.matte), background=scene.background, frame=scene.frame)
        return cls(scene=person, backdrop=backdrop, image=image)

    def still(self, region: Box, width: int, height: int, unit: float) -> Picture:
        """Return the still picture as I420: without the person in `region`, with them beside it, where nothing moves.

        uint8 (height * 3 / 2, width), or (height * 3, width) with the matte below the colours. `unit`: the eye distance
        in output px. Raises PictureUnreadable if an image cannot be read.
        """
        scene, backdrop = self.scene, self.backdrop
        if backdrop.transparent:
            colours = lay_out(scene.picture, scene.frame, width, height, 1.0, cv2.BORDER_REPLICATE)
        else:
            colours = background_picture(scene, backdrop, width, height, unit, self.image)
        matte = np.zeros((height, width), np.uint8)
        for left, right in ((0, region[0]), (region[2], width)):
            if left < right:
                colours[:, left:right], matte[:, left:right] = self._beside(colours[:, left:right], left)
        return _to_i420(
            colours, matte if backdrop.transparent else None, dithered=backdrop.kind not in ("color", "chroma")
        )

    def _beside(self, background: Picture, left: int) -> tuple[Picture, Picture]:
        """Return the person over `background`, a part of the output that begins at column `left`, and their matte."""
        height, width = background.shape[:2]
        frame = _moved(self.scene.frame, left, 0)
        picture = lay_out(self.scene.picture, frame, width, height, 1.0, cv2.BORDER_REPLICATE, sharp=True)
        matte = lay_out(self.scene.matte, frame, width, height, 1.0, cv2.BORDER_REPLICATE)
        if self.backdrop.kind == "photo" or self.backdrop.transparent:
            return picture, matte
        opacity = matte.astype(np.float32) / 255.0
        return np.asarray(
            cv2.blendLinear(picture, np.ascontiguousarray(background), opacity, 1.0 - opacity), np.uint8
        ), matte

    def luma(self, box: Box) -> Array:
        """Return the luma of the scene's picture in `box`, output px, as the output shows it while nothing moves:
        float32 (height, width).
        """
        left, top, right, bottom = box
        shown = lay_out(
            self.scene.picture,
            _moved(self.scene.frame, left, top),
            right - left,
            bottom - top,
            1.0,
            cv2.BORDER_REPLICATE,
            sharp=True,
        )
        return to_yuv(shown)[..., 0]

    def texture(self, box: Box, zoom: float) -> NDArray[np.uint8]:
        """Return the texture of the person in `box`, output px: premultiplied Y, U, V and transparency, uint8
        (H, W, 4).

        With the photo's own background the colour is P = I - (1 - a) B, so that person over background gives exactly
        the photo, whatever B is. With another background it is a F.
        """
        left, top, right, bottom = box
        width, height = round((right - left) * zoom), round((bottom - top) * zoom)
        scene, inner = self.scene, _moved(self.scene.frame, left, top)
        picture = lay_out(scene.picture, inner, width, height, zoom, cv2.BORDER_REPLICATE, sharp=True)
        matte = lay_out(scene.matte, inner, width, height, zoom, cv2.BORDER_REPLICATE, sharp=True)
        background = (
            lay_out(scene.background, inner, width, height, zoom, cv2.BORDER_REPLICATE)
            if self.backdrop.kind == "photo"
            else None
        )
        texture = np.empty((height, width, 4), np.uint8)
        for top in range(0, height, STRIP_PX):
            rows = slice(top, top + STRIP_PX)
            opacity = matte[rows].astype(np.float32)[..., None] / 255.0
            opacity[opacity < OPACITY_LEAST] = 0.0
            person = to_yuv(picture[rows])
            if background is None:
                person *= opacity
            else:
                person -= (1.0 - opacity) * to_yuv(background[rows])
                person *= opacity > 0
            texture[rows, :, :3] = np.rint(np.clip(person, 0, 255))
            texture[rows, :, 3:] = np.rint(255.0 * (1.0 - opacity))
        return texture


def _moved(frame: Frame, left: float, top: float) -> Frame:
    """Return `frame` for a part of the output that begins at (left, top)."""
    return Frame(scale=frame.scale, shift_x=frame.shift_x - left, shift_y=frame.shift_y - top)


def _to_i420(rgb: Picture, matte: Picture | None, *, dithered: bool) -> Picture:
    """Return an RGB picture as I420, with its matte, if there is one, below it.

    `dithered`: add noise, always the same, so that a smooth wall shows no bands in 8 bits of chroma. A flat colour
    stays flat for keyers.
    """
    noise = np.random.default_rng(1)
    height, width = rgb.shape[:2]
    whole = height if matte is None else 2 * height
    i420 = np.empty((whole * 3 // 2, width), np.uint8)
    y, u, v = planes(i420, width, whole)
    for top in range(0, height, STRIP_PX):
        yuv = to_yuv(rgb[top : top + STRIP_PX])
        half = cv2.resize(yuv, (width // 2, yuv.shape[0] // 2), interpolation=cv2.INTER_AREA)
        y[top : top + yuv.shape[0]] = yuv[..., 0] + (noise.random(yuv.shape[:2], np.float32) if dithered else 0.5)
        for plane, channel in ((u, 1), (v, 2)):
            plane[top // 2 : top // 2 + half.shape[0]] = half[..., channel] + (
                noise.random(half.shape[:2], np.float32) if dithered else 0.5
            )
    if matte is not None:
        y[height:] = np.rint(MATTE_BLACK + matte * np.float32((MATTE_WHITE - MATTE_BLACK) / 255.0))
        u[height // 2 :] = v[height // 2 :] = 128
    return i420
