"""The video of a session at one size and output: a renderer and an encoder, both warmed up, so that no viewer waits for
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visavis.engine.motion.frame import COEFFICIENTS, MotionFrame
from visavis.engine.output import Output
from visavis.engine.render.port import Renderer
from visavis.stage.encoder import VideoEncoder
from visavis.stage.parts import Avatar
from visavis.stage.timeline import PLAYOUT_RATE_HZ

WARM_UP_POSITION = -PLAYOUT_RATE_HZ  # the position of the picture that warms up the encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpec:
    """Size, frame rate and output of a video. `image`: the file of the background picture, if the output has one."""

    width_px: int
    height_px: int
    fps: int
    output: Output
    image: Path | None = None


@dataclass(frozen=True, slots=True)
class VideoPipeline:
    spec: VideoSpec
    renderer: Renderer
    encoder: VideoEncoder

    @classmethod
    def build(cls, avatar: Avatar, spec: VideoSpec) -> VideoPipeline:
        """Lay the avatar out, and draw and encode one picture. Takes half a second, so it is called in a thread.

        Raises `BackgroundRefused` if the background picture cannot be read.
        """
        renderer = avatar.renderer(
            width_px=spec.width_px,
            height_px=spec.height_px,
            backdrop=spec.output.backdrop,
            framing=spec.output.framing,
            image=spec.image,
        )
        encoder = VideoEncoder(width_px=spec.width_px, height_px=renderer.picture_height_px, fps=spec.fps)
        at_rest = MotionFrame(coefficients=np.zeros(len(COEFFICIENTS), np.float32))
        encoder.encode(renderer.render(at_rest), WARM_UP_POSITION)
        return cls(spec, renderer, encoder)
