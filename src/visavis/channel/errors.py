"""What a client is refused over the channel: every error code, and the codes with which a connection is closed for one.

Errors of `visavis.errors` that the session raises (attach, speak, update) pass through with their own codes and close
codes.
"""

from __future__ import annotations

from visavis.errors import VisavisError

CLOSE_NORMAL = 1000
CLOSE_NO_UTF8 = 1007
CLOSE_TOO_LARGE = 1009
CLOSE_INTERNAL = 1011
CLOSE_INIT_REQUIRED = 4400
CLOSE_UNKNOWN_SESSION = 4404
CLOSE_INIT_TIMEOUT = 4408
CLOSE_TAKEN_OVER = 4409

# Every `code` that an error of the channel can carry. Codes of errors.py (attach, speak) pass through as they are.
ERROR_CODES: dict[str, str] = {
    "INIT_REQUIRED": "the first message was no session.init; close 4400",
    "INIT_TIMEOUT": "no session was opened within 10 s; close 4408",
    "ALREADY_INITIALIZED": "a second session.init on an open session",
    "INVALID_INIT": "session.init lacks a member, or has one of the wrong type",
    "INVALID_ROOM_PLATFORM": "config.room.platform is not daily",
    "INVALID_VIDEO_DIMENSIONS": "not even integers, too small, too long, or no listed ratio",
    "UNKNOWN_FEATURE": "features names something that this server does not offer",
    "SESSION_MISMATCH": "session.init names another session than the address; close 4404",
    "INVALID_JSON": "a text frame that is no JSON object",
    "INVALID_UTF8": "a text frame that is no UTF-8; close 1007",
    "UNKNOWN_TYPE": "type is absent or unknown",
    "INVALID_MESSAGE": "a known type with a member of the wrong type",
    "INVALID_AUDIO": "audio is absent or not base64",
    "ODD_AUDIO_LENGTH": "PCM16 has two bytes a sample",
    "INVALID_PHONEMES": "phonemes that cannot be followed; the audio of the message is spoken as it is heard",
    "INVALID_OUTPUT": "session.update without an output object, or with a member that it does not have",
    "INVALID_BACKGROUND": "a background of an unknown type, without a colour, or whose image cannot be read",
    "INVALID_FRAMING": "a framing that is none",
    "IMAGE_TOO_LARGE": "a background image of more than 10 MB, or of too many pixels",
    "UPDATE_PENDING": "four updates of the session are under way already; this one was not taken",
    "INVALID_STATE": "agent.state of a client is listening or thinking",
    "INVALID_EMOTION": "no emotion of ours, or a weight that is none; the rest of the message is taken",
    "INVALID_SAMPLE_RATE": "not an integer from 8000 to 48000",
    "FEATURE_NOT_ENABLED": "a binary frame or audio.format without the feature `binary`, agent.state without `state`",
    "MESSAGE_TOO_LARGE": "more than 10 MiB of audio in one message; close 1009",
    "SESSION_NOT_FOUND": "no such session; close 4404",
    "UNAUTHORIZED": "the token does not open this session; close 4401",
    "SESSION_ENDED": "close 4410",
    "SESSION_NOT_STARTED": "a hosted session before its start",
    "INVALID_ROOM_URL": "config.room.url is not the session's own",
    "QUEUE_FULL": "more than 600 s of speech are queued; this message was not taken",
    "NO_CAPACITY": "no performer is free; try again",
    "PERFORMER_LOST": "the performer died; the session is about to end",
    "INTERNAL": "our fault; close 1011",
}


class ChannelError(VisavisError):
    """A message that the channel cannot take. `close_with`: the close code that follows, None where the channel stays
    open.
    """

    status = 400

    def __init__(self, message: str, code: str, *, close_with: int | None = None) -> None:
        assert code in ERROR_CODES, code
        super().__init__(message, code=code)
        self.close_with = close_with
