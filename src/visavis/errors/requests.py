"""Errors of a request that must be changed before it is sent again."""

from __future__ import annotations

from visavis.errors.root import CHANNEL, HTTP, VisavisError


class InvalidRequest(VisavisError, code="INVALID_REQUEST", status=400):
    """A parameter or member is wrong, and no other code says so more closely."""


class AvatarIdRequired(InvalidRequest, code="AVATAR_ID_REQUIRED"):
    """A session is to be created without `avatar_id`."""

    message = "Avatar ID is required"
    suggestion = "Include avatar_id in the request body"


class AvatarRequired(InvalidRequest, code="AVATAR_REQUIRED"):
    """An own-room session is to be created without `avatar`."""


class AvatarNotALook(InvalidRequest, code="AVATAR_NOT_A_LOOK"):
    """The avatar is a character; only a look performs."""


class InvalidMetadata(InvalidRequest, code="INVALID_METADATA"):
    """`metadata` is not a JSON object."""


class InvalidAspectRatio(InvalidRequest, code="INVALID_ASPECT_RATIO"):
    """`aspect_ratio` is none of those that the service draws."""


class InvalidCursor(InvalidRequest, code="INVALID_CURSOR"):
    """`cursor` is not the `next_cursor` of a page."""


class InvalidJson(InvalidRequest, code="INVALID_JSON", told_over=HTTP | CHANNEL):
    """A body or a text frame is not JSON; a text frame must also be an object."""


class InvalidRoomPlatform(InvalidRequest, code="INVALID_ROOM_PLATFORM", told_over=HTTP | CHANNEL):
    """`room.platform` is unknown; in `session.init` it must be `daily`."""

    message = "Invalid room platform"


class RoomPlatformUnavailable(InvalidRequest, code="ROOM_PLATFORM_UNAVAILABLE"):
    """`room.platform` is known, but this server has no such rooms."""


class RoomRefused(InvalidRequest, code="ROOM_REFUSED"):
    """A room of another server does not admit the avatar: its token or its address is wrong, or the room is full."""


class RoomEncrypted(RoomRefused, code="ROOM_ENCRYPTED"):
    """A room of another server is end-to-end encrypted, and the avatar has no key."""

    message = "The room is end-to-end encrypted"
    suggestion = "The avatar has no key for it: use a room without encryption"


class RoomUrlRefused(RoomRefused, code="ROOM_URL_REFUSED"):
    """`room.url`, or what its server names for media, is neither public nor in a network that the operator allows."""

    message = "room.url is not on the public internet"
    suggestion = "Have the operator allow its network in VISAVIS_LIVEKIT_NETWORKS"


class OfferRefused(InvalidRequest, code="OFFER_REFUSED"):
    """A viewer's SDP offer cannot be answered."""


class CandidatesRefused(InvalidRequest, code="CANDIDATES_REFUSED"):
    """A viewer's trickled candidates are no fragment of SDP (RFC 8840)."""


class InvalidOutput(InvalidRequest, code="INVALID_OUTPUT", told_over=HTTP | CHANNEL):
    """`output` is not an object, or has an unknown member."""


class BackgroundRefused(InvalidRequest, code="INVALID_BACKGROUND", told_over=HTTP | CHANNEL):
    """An invalid background: unknown type, missing colour or unreadable image."""


class FramingRefused(InvalidRequest, code="INVALID_FRAMING", told_over=HTTP | CHANNEL):
    """An invalid framing: unknown member, or a zoom out of its range."""


class InvalidEmotion(InvalidRequest, code="INVALID_EMOTION", told_over=HTTP | CHANNEL):
    """An unknown emotion, or a weight out of its range."""


class WebhookUrlRefused(InvalidRequest, code="INVALID_WEBHOOK_URL"):
    """A webhook's address is private, too long, or not http(s)."""
