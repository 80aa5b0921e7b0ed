"""What was found in a photo: the report that is told to whoever sent it, and kept beside the avatar (REPORT_NAME)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Literal

# in the pack's folder: the framed photo, and its 500 x 500 preview
IMAGE_NAME, PREVIEW_NAME = "image.jpg", "preview.jpg"
REPORT_NAME = "report.json"

Verdict = Literal["good", "fair", "poor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing about a photo. `code` is stable; `message` and `suggestion` are for a person, the latter None where
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
        """What could be better, but does little harm."""
        return cls(code=code, kind="found", severity="info", message=message, suggestion=suggestion)

    @classmethod
    def warned(cls, code: str, message: str, suggestion: str) -> Remark:
        """What will be seen in the avatar."""
        return cls(code=code, kind="found", severity="warning", message=message, suggestion=suggestion)

    @classmethod
    def guessed(cls, code: str, message: str) -> Remark:
        return cls(code=code, kind="guessed", severity="info", message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationReport:
    """What became of a photo.

    `photo_width_px`, `photo_height_px`, `photo_eye_distance_px`: of the photo as it came, upright; the angles too, in
    degrees, 0 when facing the camera. `width_px`, `height_px`, `eye_distance_px`: of the framed picture. `steps_ms`:
    where the worker's time went, process start left out.
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
        """How good an avatar to expect, by the number of warnings."""
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
