"""A face for LiveKit agents: a Visavis avatar joins the agent's room and speaks what the agent says.

avatar = visavis.AvatarSession(avatar="iris")
await avatar.start(session, room=ctx.room)
await session.start(agent=..., room=ctx.room)
"""

from livekit.agents import Plugin
from livekit.plugins.visavis.avatar import AvatarSession
from livekit.plugins.visavis.errors import (
    AvatarError,
    AvatarLost,
    AvatarNotReady,
    AvatarRefused,
    AvatarUnknown,
    RoomUnsuitable,
)
from livekit.plugins.visavis.log import logger
from livekit.plugins.visavis.version import __version__

__all__ = [
    "AvatarError",
    "AvatarLost",
    "AvatarNotReady",
    "AvatarRefused",
    "AvatarSession",
    "AvatarUnknown",
    "RoomUnsuitable",
    "__version__",
]


class VisavisPlugin(Plugin):
    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__, logger)


Plugin.register_plugin(VisavisPlugin())
