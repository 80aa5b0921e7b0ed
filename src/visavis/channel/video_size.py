"""The picture sizes that a client may ask for: even, at most 1920 px long, in one of the listed ratios.

docs/reference/channel.md, "Sizes". Sides below 64 px are refused: no face is recognisable on them, and the renderer is
not made for them.
"""

from __future__ import annotations

from fractions import Fraction

MIN_SHORT_SIDE_PX = 64
MAX_LONG_SIDE_PX = 1920
RATIOS: tuple[Fraction, ...] = tuple(
    Fraction(*ratio) for ratio in ((18, 9), (16, 9), (5, 3), (16, 10), (3, 2), (4, 3), (1, 1))
)


def is_valid_video_size(width_px: int, height_px: int) -> bool:
    """Whether a client may ask for this size, landscape or portrait.

    A size has a ratio if either side is the even number nearest to the ratio times the other side: 854x480 is 16:9
    (853.3), and so is 1366x768.
    """
    short_px, long_px = sorted((width_px, height_px))
    if short_px < MIN_SHORT_SIDE_PX or long_px > MAX_LONG_SIDE_PX or short_px % 2 or long_px % 2:
        return False
    return any(abs(long_px - short_px * ratio) <= 1 or abs(short_px - long_px / ratio) <= 1 for ratio in RATIOS)
