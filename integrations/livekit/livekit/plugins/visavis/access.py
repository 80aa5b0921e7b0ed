"""The avatar's access to the agent's room: one token for each session, made with the project's LiveKit credentials."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

from livekit import api, rtc
from livekit.agents import JobContext
from livekit.plugins.visavis.errors import AvatarError, RoomUnsuitable

PUBLISH_ON_BEHALF = "lk.publish_on_behalf"
TOKEN_LASTS = timedelta(hours=1)  # to join: the server refreshes the token of whoever is in the room


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitProject:
    """Where the room is, and what signs its tokens."""

    url: str
    api_key: str
    api_secret: str

    @classmethod
    def of(cls, url: str | None, api_key: str | None, api_secret: str | None) -> LiveKitProject:
        """Take what is given, and the rest from the variables that LiveKit uses. Raises `AvatarError`."""
        given = {
            "LIVEKIT_URL": url or os.environ.get("LIVEKIT_URL"),
            "LIVEKIT_API_KEY": api_key or os.environ.get("LIVEKIT_API_KEY"),
            "LIVEKIT_API_SECRET": api_secret or os.environ.get("LIVEKIT_API_SECRET"),
        }
        if missing := [name for name, value in given.items() if not value]:
            raise AvatarError(
                f"The avatar needs a token for the room: set {', '.join(missing)}, or give "
                f"{', '.join(name.lower() for name in missing)} to start()"
            )
        return cls(
            url=str(given["LIVEKIT_URL"]),
            api_key=str(given["LIVEKIT_API_KEY"]),
            api_secret=str(given["LIVEKIT_API_SECRET"]),
        )

    def token(self, *, room: str, identity: str, name: str, agent: str) -> str:
        """Return a token for an avatar that publishes for its agent, and may do nothing else."""
        grants = api.VideoGrants(
            room_join=True,
            room=room,
            can_publish=True,
            can_publish_sources=["camera", "microphone"],
            can_publish_data=True,
            can_subscribe=True,
        )
        return (
            api.AccessToken(self.api_key, self.api_secret)
            .with_kind("agent")
            .with_identity(identity)
            .with_name(name)
            .with_attributes({PUBLISH_ON_BEHALF: agent})
            .with_grants(grants)
            .with_ttl(TOKEN_LASTS)
            .to_jwt()
        )


def room_and_agent(room: rtc.Room, job: JobContext | None) -> tuple[str, str]:
    """Return the name of the room and the agent's identity, also before the agent is in it. Raises `RoomUnsuitable`."""
    if room.isconnected():
        return room.name, room.local_participant.identity
    if job is None:
        raise RoomUnsuitable("The room is not connected, and there is no job: connect the room before avatar.start()")
    return job.job.room.name, job.local_participant_identity


def require_suitable(room: rtc.Room) -> None:
    """Raises `RoomUnsuitable` for a connected room that is end-to-end encrypted, and for an agent that is hidden in it:
    the avatar would not see its agent leave.
    """
    if not room.isconnected():
        return
    if room.e2ee_manager.enabled:
        raise RoomUnsuitable(
            "The room is end-to-end encrypted, and the avatar has no key: connect the agent without encryption"
        )
    if room.local_participant.permissions.hidden:
        raise RoomUnsuitable("The agent is hidden in the room: dispatch it without the grant hidden")
