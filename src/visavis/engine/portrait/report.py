"""What the worker process answers: one JSON line, either a report or a refusal. The report is also kept beside the
avatar (REPORT_NAME).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from visavis.errors import PortraitRefused, error_of

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


def report_line(report: PreparationReport) -> str:
    """Write a report as one line."""
    return json.dumps({"report": asdict(report)})


def refusal_line(refusal: PortraitRefused) -> str:
    """Write a refusal as one line."""
    return json.dumps({"refusal": {"code": refusal.code, "message": refusal.message, "suggestion": refusal.suggestion}})


def read_line(line: str) -> PreparationReport:
    """Return the report in `line`. Raises the PortraitRefused in it instead, and ValueError when it holds neither."""
    try:
        answer = json.loads(line)
        if "report" in answer:
            return _report(answer["report"])
        refusal = answer["refusal"]
        code, message, suggestion = refusal["code"], refusal["message"], refusal["suggestion"]
    except (KeyError, TypeError) as error:
        raise ValueError("neither a report nor a refusal") from error
    raise error_of(code, message, suggestion=suggestion)


def _report(stored: dict[str, Any]) -> PreparationReport:
    known = {field.name for field in fields(PreparationReport)}
    remarks = tuple(Remark(**remark) for remark in stored["remarks"])
    return PreparationReport(**{name: value for name, value in stored.items() if name in known} | {"remarks": remarks})
