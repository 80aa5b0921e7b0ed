"""Translates the errors of the engine into those of errors.py, which have a code and an HTTP status.

The service and the stage use `engine_errors_told` wherever they call the engine for a client.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from visavis import errors
from visavis.engine.errors import (
    AudioUnreadable,
    EngineError,
    ImageRefused,
    PackUnreadable,
    PhonesUnreadable,
    PictureUnreadable,
    Reason,
    SandboxFailed,
)
from visavis.errors import VisavisError

_OF_IMAGES: dict[Reason, type[VisavisError]] = {
    Reason.UNREADABLE: errors.PortraitRefused,
    Reason.TOO_LARGE: errors.ImageTooLarge,
    Reason.UNKNOWN_TYPE: errors.ImageTypeRefused,
    Reason.NO_FACE: errors.NoFace,
    Reason.SEVERAL_FACES: errors.SeveralFaces,
    Reason.FACE_TOO_SMALL: errors.FaceTooSmall,
    Reason.FACE_TURNED_AWAY: errors.FaceTurnedAway,
    Reason.WRONG_POINTS: errors.InvalidPoints,
}
_OTHERS: dict[type[EngineError], type[VisavisError]] = {
    SandboxFailed: errors.PreparationFailed,
    PackUnreadable: errors.PackUnreadable,
    PictureUnreadable: errors.BackgroundRefused,
    AudioUnreadable: errors.AudioUnreadable,
    PhonesUnreadable: errors.InvalidPhonemes,
}


def as_told(error: EngineError) -> VisavisError:
    """Return the error that a client is told."""
    kind = _OF_IMAGES[error.reason] if isinstance(error, ImageRefused) else _OTHERS[type(error)]
    return kind(error.message, suggestion=error.suggestion)


@contextmanager
def engine_errors_told() -> Iterator[None]:
    """Translate each error of the engine that is raised inside."""
    try:
        yield
    except EngineError as error:
        raise as_told(error) from error
