"""The errors of the engine. They know nothing of HTTP or of the channel; the service translates them for its clients
(visavis/refusals.py).

    EngineError
    ├── ImageRefused        an image that cannot be used; `reason` says why
    ├── SandboxFailed       the process that decodes images failed: a fault of ours
    ├── SandboxBusy         there is too little memory now for that process
    ├── PackUnreadable      an avatar pack that is missing, damaged or of another format version
    ├── PictureUnreadable   the file of a background picture
    ├── AudioUnreadable     a sound file
    ├── PhonesUnreadable    a file of phones with their times
    └── NetworkFileBroken   a file of the networks that read photos: the installation is damaged

Invalid arguments raise ValueError.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an image was refused. The values are stable: they cross from the sandbox."""

    UNREADABLE = "unreadable"  # empty, damaged, or too much for a decoder
    TOO_LARGE = "too_large"  # in bytes or in pixels
    UNKNOWN_TYPE = "unknown_type"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    FACE_TOO_SMALL = "face_too_small"
    FACE_TURNED_AWAY = "face_turned_away"
    WRONG_POINTS = "wrong_points"  # the seven points form no face


class EngineError(Exception):
    """The root. `message` and `suggestion` are for a person, and may be shown as they are."""

    def __init__(self, message: str, *, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


class ImageRefused(EngineError):
    """An image that cannot be a portrait or a background."""

    def __init__(self, reason: Reason, message: str, *, suggestion: str | None = None) -> None:
        super().__init__(message, suggestion=suggestion)
        self.reason = reason


class SandboxFailed(EngineError):
    """The process that decodes images failed by itself."""


class SandboxBusy(EngineError):
    """There is too little memory now for the process that decodes images. Later there may be enough."""


class PackUnreadable(EngineError):
    """An avatar pack that must be made again."""


class PictureUnreadable(EngineError):
    """A background picture that is missing or damaged."""


class AudioUnreadable(EngineError):
    """A file that is not sound."""


class PhonesUnreadable(EngineError):
    """A file of phones that cannot be read, or has an invalid line."""


class NetworkFileBroken(EngineError):
    """A file of a network is missing, damaged or another one: the installation is damaged."""
