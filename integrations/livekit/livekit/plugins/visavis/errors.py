"""What the plug-in raises. Refusals of the server are those of visavis-client: `Unauthorized`, `NoCapacity`, ….

Every class here is a `visavis_client.VisavisError` too.
"""

from __future__ import annotations

from visavis_client import VisavisError


class AvatarError(VisavisError):
    """Base of the errors of this plug-in."""


class AvatarNotReady(AvatarError):
    """The avatar has not shown a picture in time."""


class AvatarLost(AvatarError):
    """The avatar has left the room in the middle of the conversation."""


class AvatarUnknown(AvatarError):
    """No avatar of the account has this name."""


class AvatarRefused(AvatarError):
    """The avatar has refused a call in the room. `code`: the stable code of the error, if it has one."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(f"{message} [{code}]" if code else message)
        self.code = code


class RoomUnsuitable(AvatarError):
    """No avatar can join this room: it is end-to-end encrypted, its agent is hidden, or its name is not known yet."""
