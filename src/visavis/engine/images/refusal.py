"""What the sandboxed process answers when it refuses an image: one JSON object, written and read by its two ends."""

from __future__ import annotations

import json

from visavis.errors import PortraitRefused, VisavisError, error_of

REFUSED = 3  # the exit status that goes with it


def write_refusal(refusal: PortraitRefused) -> bytes:
    return json.dumps({"code": refusal.code, "message": refusal.message, "suggestion": refusal.suggestion}).encode()


def read_refusal(answer: bytes) -> VisavisError:
    """Return the refusal that `write_refusal` wrote. Raises ValueError for anything else."""
    try:
        told = json.loads(answer)
        return error_of(told["code"], told["message"], suggestion=told["suggestion"])
    except (KeyError, TypeError) as error:
        raise ValueError("not a refusal") from error
