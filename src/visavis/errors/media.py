"""Errors of photos and of sound files."""

from __future__ import annotations

from visavis.errors.requests import InvalidRequest
from visavis.errors.root import CHANNEL, COMMAND, HTTP


class ImageRequired(InvalidRequest, code="IMAGE_REQUIRED"):
    """A face is uploaded with no image, or with several."""


class PortraitRefused(InvalidRequest, code="IMAGE_UNREADABLE"):
    """A photo that cannot become an avatar. The class itself: its image cannot be read."""


class NoFace(PortraitRefused, code="NO_FACE"):
    """No clear face was found in the photo."""


class SeveralFaces(PortraitRefused, code="SEVERAL_FACES"):
    """More than one face was found in the photo."""


class FaceTooSmall(PortraitRefused, code="FACE_TOO_SMALL"):
    """The face has too few pixels."""


class FaceTurnedAway(PortraitRefused, code="FACE_TURNED_AWAY"):
    """The face does not look into the camera."""


class ImageUrlRefused(PortraitRefused, code="IMAGE_URL_REFUSED"):
    """An image's address is private, not http(s), too slow, or holds no image."""


class InvalidPoints(PortraitRefused, code="INVALID_POINTS"):
    """The seven points are incomplete, out of the picture, or form no face."""


class ImageTooLarge(PortraitRefused, code="IMAGE_TOO_LARGE", status=413, told_over=HTTP | CHANNEL):
    """An image has too many bytes or pixels."""


class ImageTypeRefused(PortraitRefused, code="IMAGE_TYPE", status=415):
    """An image is not JPEG, PNG, WebP or GIF."""


class AudioUnreadable(InvalidRequest, code="AUDIO_UNREADABLE", told_over=COMMAND):
    """A sound file cannot be read."""
