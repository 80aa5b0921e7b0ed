"""What the worker process answers: one JSON line, either a report or a refusal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from visavis.errors import ImageTooLarge, ImageTypeRefused, PortraitRefused

IMAGE_NAME, PREVIEW_NAME = "image.jpg", "preview.jpg"  # in the pack's folder: the framed photo, and its 500 x 500 preview


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationReport:
    """What became of a photo. `steps_ms`: where the worker's time went, process start left out; angles as in the photo, in degrees."""

    width_px: int
    height_px: int
    eye_distance_px: float
    roll_deg: float
    yaw_deg: float
    pitch_deg: float
    steps_ms: dict[str, float]


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
            return PreparationReport(**answer["report"])
        refusal = answer["refusal"]
        code, message, suggestion = refusal["code"], refusal["message"], refusal["suggestion"]
    except (KeyError, TypeError) as error:
        raise ValueError("neither a report nor a refusal") from error
    by_code: dict[str, type[PortraitRefused]] = {"IMAGE_TOO_LARGE": ImageTooLarge, "IMAGE_TYPE": ImageTypeRefused}
    raise by_code.get(code, PortraitRefused)(message, code=code, suggestion=suggestion)
