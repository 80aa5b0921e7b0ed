"""The report on a photo. Its sender can read it; it is kept with the look (REPORT_NAME)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Literal

IMAGE_NAME, PREVIEW_NAME = "image.jpg", "preview.jpg"  # the framed photo, and its preview of 500 x 500
REPORT_NAME = "report.json"

Verdict = Literal["good", "fair", "poor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One remark on a photo. `code` is stable; `message` and `suggestion` are for a person. `suggestion`: None if
    nothing needs to be better.
    """

    code: str
    kind: Literal["found", "guessed"]
    severity: Literal["info", "warning"]
    message: str
    suggestion: str | None = None

    @classmethod
    def found(cls, code: str, message: str) -> Remark:
        return cls(code=code, kind="found", severity="info", message=message)

    @classmethod
    def noted(cls, code: str, message: str, suggestion: str) -> Remark:
        """A weakness that does little harm."""
        return cls(code=code, kind="found", severity="info", message=message, suggestion=suggestion)

    @classmethod
    def warned(cls, code: str, message: str, suggestion: str) -> Remark:
        """A weakness that will be visible in the avatar."""
        return cls(code=code, kind="found", severity="warning", message=message, suggestion=suggestion)

    @classmethod
    def guessed(cls, code: str, message: str) -> Remark:
        return cls(code=code, kind="guessed", severity="info", message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationReport:
    """The report.

    `photo_width_px`, `photo_height_px`, `photo_eye_distance_px` and the angles are those of the original photo,
    upright; angles in degrees, 0 for a face that looks into the camera. `width_px`, `height_px`, `eye_distance_px`: of
    the framed picture. `steps_ms`: how long each step in the sandbox took, without the start of the process.
    """

    photo_width_px: int
    photo_height_px: int
    photo_eye_distance_px: float
    width_px: int
    height_px: int
    eye_distance_px: float
    roll_deg: float
    yaw_deg: float
    pitch_deg: float
    remarks: tuple[Remark, ...]
    steps_ms: dict[str, float]

    @property
    def verdict(self) -> Verdict:
        """How good the avatar will be, by the number of warnings."""
        warnings = sum(remark.severity == "warning" for remark in self.remarks)
        return "good" if warnings == 0 else "fair" if warnings <= 2 else "poor"


def write_report(report: PreparationReport) -> str:
    """Write a report as JSON."""
    return json.dumps({"report": asdict(report)})


def read_report(text: str) -> PreparationReport:
    """Return the report that `write_report` wrote, by this version or an older one. Raises ValueError for anything
    else.
    """
    try:
        stored = json.loads(text)["report"]
        known = {field.name for field in fields(PreparationReport)}
        remarks = tuple(Remark(**remark) for remark in stored["remarks"])
        return PreparationReport(**{name: stored[name] for name in known} | {"remarks": remarks})
    except (KeyError, TypeError) as error:
        raise ValueError("not a report") from error
