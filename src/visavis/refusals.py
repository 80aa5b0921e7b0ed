"""Translates the errors of the engine into those of visavis.errors, which have a code and an HTTP status.

The service and the stage use `translated_engine_errors` wherever they call the engine for a client.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from visavis import errors
from visavis.engine.errors import (
    AudioUnreadable,
    EngineError,
    ImageRefused,
    NetworkFileBroken,
    PackUnreadable,
    PhonesUnreadable,
    PictureUnreadable,
    Reason,
    SandboxBusy,
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
    NetworkFileBroken: errors.InstallationDamaged,
    SandboxBusy: errors.NoCapacity,
    PackUnreadable: errors.PackUnreadable,
    PictureUnreadable: errors.BackgroundRefused,
    AudioUnreadable: errors.AudioUnreadable,
    PhonesUnreadable: errors.InvalidPhonemes,
}


def to_visavis_error(error: EngineError) -> VisavisError:
    """Return the error of visavis.errors that a client gets for this one."""
    kind = _OF_IMAGES[error.reason] if isinstance(error, ImageRefused) else _OTHERS[type(error)]
    return kind(error.message, suggestion=error.suggestion)


@contextmanager
def translated_engine_errors() -> Iterator[None]:
    """Translate each error of the engine that is raised inside."""
    try:
        yield
    except EngineError as error:
        raise to_visavis_error(error) from error
