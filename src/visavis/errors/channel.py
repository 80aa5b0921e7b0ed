"""Errors of the messages of a channel."""

from __future__ import annotations

from visavis.errors.requests import InvalidRequest
from visavis.errors.root import CHANNEL, CloseCode


class InvalidMessage(InvalidRequest, code="INVALID_MESSAGE", told_over=CHANNEL):
    """A member of a known message has the wrong type."""


class InitRequired(InvalidMessage, code="INIT_REQUIRED", close=CloseCode.INIT_REQUIRED):
    """The first message is not `session.init`."""

    message = "First message must be session.init"


class InitTimeout(InvalidMessage, code="INIT_TIMEOUT", close=CloseCode.INIT_TIMEOUT):
    """No session was opened within 10 s."""


class InvalidInit(InvalidMessage, code="INVALID_INIT"):
    """A member of `session.init` is missing, or has the wrong type."""


class InvalidVideoDimensions(InvalidMessage, code="INVALID_VIDEO_DIMENSIONS"):
    """`video_width` and `video_height` are no size that the service draws."""

    message = "Invalid video dimensions"


class InvalidRoomUrl(InvalidMessage, code="INVALID_ROOM_URL"):
    """`config.room.url` is not the session's own."""


class UnknownFeature(InvalidMessage, code="UNKNOWN_FEATURE"):
    """`features` names something that this server does not have."""


class SessionMismatch(InvalidMessage, code="SESSION_MISMATCH", close=CloseCode.SESSION_NOT_FOUND):
    """`session.init` names another session than the channel's address."""


class AlreadyInitialized(InvalidMessage, code="ALREADY_INITIALIZED"):
    """A second `session.init` on an open channel."""


class InvalidUtf8(InvalidMessage, code="INVALID_UTF8", close=CloseCode.INVALID_UTF8):
    """A text frame is not UTF-8."""


class UnknownType(InvalidMessage, code="UNKNOWN_TYPE"):
    """`type` is missing or unknown."""


class FeatureNotEnabled(InvalidMessage, code="FEATURE_NOT_ENABLED"):
    """A message needs a feature that `session.init` did not ask for."""


class InvalidAudio(InvalidMessage, code="INVALID_AUDIO"):
    """`audio` is missing, not base64, or a sound file instead of raw samples."""


class OddAudioLength(InvalidMessage, code="ODD_AUDIO_LENGTH"):
    """The audio of an utterance ended within a sample: PCM16 has two bytes a sample. Or a message of floats did."""


class InvalidSampleRate(InvalidMessage, code="INVALID_SAMPLE_RATE"):
    """`sample_rate` is not an integer from 8000 to 48000."""


class MessageTooLarge(InvalidMessage, code="MESSAGE_TOO_LARGE", close=CloseCode.MESSAGE_TOO_LARGE):
    """A message holds more than 10 MiB of audio."""


class InvalidPhonemes(InvalidMessage, code="INVALID_PHONEMES"):
    """`phonemes` cannot be followed; the audio is spoken without them."""


class InvalidText(InvalidMessage, code="INVALID_TEXT"):
    """`text` of an `agent.say` is missing or too long, or holds a `<break>` that cannot be honoured."""


class InvalidState(InvalidMessage, code="INVALID_STATE"):
    """`agent.state` of a client is neither listening nor thinking."""


class UpdatePending(InvalidMessage, code="UPDATE_PENDING", retryable=True):
    """Four updates of the session are in progress; this one was not taken."""
