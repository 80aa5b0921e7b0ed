"""`visavis photo` reports on a photo, or says why it cannot become an avatar."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from visavis.cli import main
from visavis.library import DEFAULT_PORTRAIT


def printed_lines(photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["visavis", "photo", str(photo)])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert (ended.value.code == 0) == (output.err == "")
    return (output.out + output.err).splitlines()


def test_the_report_on_a_small_photo_begins_with_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "small.png"
    Image.open(DEFAULT_PORTRAIT.path).resize((260, 260)).save(photo)
    first, *remarks = printed_lines(photo, monkeypatch, capsys)
    found = re.fullmatch(r"small\.png: \w+; (\d+) px between the eyes", first)
    assert found and 20 < int(found[1]) < 60
    assert any("[FACE_SMALL]" in remark for remark in remarks)
    marks = [remark.split()[0] for remark in remarks]
    assert set(marks) <= {"!", "?", "-"} and marks == sorted(marks, key=lambda mark: mark != "!")


@pytest.mark.parametrize(
    ("content", "code"), [(b"not a picture", "IMAGE_TYPE"), (b"", "IMAGE_UNREADABLE"), (None, "NO_FACE")]
)
def test_a_photo_that_cannot_become_an_avatar_is_refused_in_one_line(
    content: bytes | None,
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo = tmp_path / "photo.png"
    if content is None:
        Image.new("RGB", (400, 400), (90, 120, 150)).save(photo)
    else:
        photo.write_bytes(content)
    (line,) = printed_lines(photo, monkeypatch, capsys)
    assert line.startswith("visavis: ") and f"[{code}]" in line
