"""The client of Visavis: a program sends speech, and a live avatar speaks it.

    async with AsyncVisavis() as client, client.sessions.create(avatar="avat_…") as session:
        print(session.watch_url)
        await session.speak("hello.wav")

`Visavis` is the same without `async`. Names that are not listed here may change.
"""

from visavis_client.blocking import SentUtterance, Session, Sessions, Visavis
from visavis_client.channel import AsyncChannel, Speech
from visavis_client.client import AsyncAvatars, AsyncSessions, AsyncVisavis
from visavis_client.documents import Avatar, Page, Room, SessionDocument
from visavis_client.errors import (
    ChannelLost,
    ChannelRefused,
    Conflict,
    Forbidden,
    InvalidRequest,
    InvalidSound,
    LimitReached,
    NoCapacity,
    NotFound,
    OutOfMinutes,
    RateLimited,
    Refused,
    ServerFault,
    ServerUnreachable,
    SessionEnded,
    TakenOver,
    Unauthorized,
    VisavisError,
    last_answer,
)
from visavis_client.events import (
    Connection,
    Ended,
    Event,
    Expiring,
    Other,
    PlaybackFinished,
    PlaybackStarted,
    Problem,
    StateChanged,
)
from visavis_client.session import AsyncSession
from visavis_client.sound import Sound, read_sound
from visavis_client.utterance import Played, Utterance

__all__ = [
    "AsyncAvatars",
    "AsyncChannel",
    "AsyncSession",
    "AsyncSessions",
    "AsyncVisavis",
    "Avatar",
    "ChannelLost",
    "ChannelRefused",
    "Conflict",
    "Connection",
    "Ended",
    "Event",
    "Expiring",
    "Forbidden",
    "InvalidRequest",
    "InvalidSound",
    "LimitReached",
    "NoCapacity",
    "NotFound",
    "Other",
    "OutOfMinutes",
    "Page",
    "PlaybackFinished",
    "PlaybackStarted",
    "Played",
    "Problem",
    "RateLimited",
    "Refused",
    "Room",
    "SentUtterance",
    "ServerFault",
    "ServerUnreachable",
    "Session",
    "SessionDocument",
    "SessionEnded",
    "Sessions",
    "Sound",
    "Speech",
    "StateChanged",
    "TakenOver",
    "Unauthorized",
    "Utterance",
    "Visavis",
    "VisavisError",
    "last_answer",
    "read_sound",
]
