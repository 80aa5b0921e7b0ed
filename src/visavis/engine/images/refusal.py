"""The answer of the sandbox when it refuses an image: one JSON object. Both ends of the pipe use this module."""

from __future__ import annotations

import json

from visavis.engine.errors import ImageRefused, Reason

REFUSED = 3  # the exit status that goes with it
DISK_FULL = 4  # the exit status where the disk has no room for the answer


def too_much_memory() -> ImageRefused:
    return ImageRefused(
        Reason.TOO_LARGE, "The image takes more memory than is allowed", suggestion="Send a smaller photo"
    )


def write_refusal(refusal: ImageRefused) -> bytes:
    return json.dumps({"reason": refusal.reason, "message": refusal.message, "suggestion": refusal.suggestion}).encode()


def read_refusal(answer: bytes) -> ImageRefused:
    """Return the refusal that `write_refusal` wrote. Raises ValueError for anything else."""
    try:
        told = json.loads(answer)
        return ImageRefused(Reason(told["reason"]), told["message"], suggestion=told["suggestion"])
    except (KeyError, TypeError) as error:
        raise ValueError("not a refusal") from error
