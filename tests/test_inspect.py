"""The sheet shows every pose of a real avatar, and no two are alike."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from visavis.errors import InvalidRequest, NotFound
from visavis.inspect.poses import sections
from visavis.inspect.sheet import SHEET_WIDTH_PX, write_sheet


def test_no_two_poses_are_alike() -> None:
    poses = [pose for section in sections() for pose in section.poses]
    labels = [pose.label for pose in poses]
    assert len(labels) == len(set(labels))
    visemes = next(sections()).poses
    assert len({pose.motion.coefficients.tobytes() for pose in visemes}) == len(visemes) >= 21


def test_a_sheet_of_a_library_portrait_shows_eyes_open_and_shut(tmp_path: Path) -> None:
    write_sheet(avatar="Iris", out=tmp_path / "sheet.png", width_px=256, height_px=256, only="lids")
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet.shape[1] == SHEET_WIDTH_PX
    rows, columns = 2, 4
    tile = (sheet.shape[0] - 40) // rows, SHEET_WIDTH_PX // columns
    first = sheet[40 : 40 + tile[0] - 30, : tile[1] - 10].astype(int)
    last = sheet[40 + tile[0] : 40 + 2 * tile[0] - 30, 3 * tile[1] : 4 * tile[1] - 10].astype(int)
    assert np.percentile(first, 2) < np.percentile(last, 2), "the lids cover the pupils"
    assert np.abs(first - last).max() > 60


@pytest.mark.parametrize(("avatar", "only", "error"), [("nobody", "lids", NotFound), ("iris", "ears", InvalidRequest)])
def test_an_unknown_avatar_or_section_is_refused(
    tmp_path: Path, avatar: str, only: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        write_sheet(avatar=avatar, out=tmp_path / "sheet.png", width_px=256, height_px=256, only=only)
    assert not (tmp_path / "sheet.png").exists()


def test_a_sheet_is_a_png_or_a_jpeg(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refused:
        write_sheet(avatar="iris", out=tmp_path / "sheet.gif", width_px=256, height_px=256, only="gaze")
    assert "PNG" in refused.value.message
