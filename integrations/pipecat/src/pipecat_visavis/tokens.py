"""Tokens of a LiveKit room: the avatar's, one for each session, and what the bot's tells."""

from __future__ import annotations

import os
from datetime import timedelta

import jwt
from livekit import api

PUBLISH_ON_BEHALF = "lk.publish_on_behalf"
TOKEN_LASTS = timedelta(hours=1)  # to join: the server refreshes the token of whoever is in the room


def room_and_identity(token: str) -> tuple[str, str]:
    """Return the name of the room that a token opens, and whose token it is. Raises ValueError."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return str(claims["video"]["room"]), str(claims["sub"])
    except (jwt.PyJWTError, KeyError, TypeError):
        raise ValueError("The token names no LiveKit room or no identity") from None


def mint(
    *, room: str, identity: str, name: str, bot: str, api_key: str | None = None, api_secret: str | None = None
) -> str:
    """Return a token for an avatar that publishes for a bot, and may do nothing else.

    `bot`: the identity of the bot. `api_key`, `api_secret`: of the LiveKit project; default: the variables
    LIVEKIT_API_KEY and LIVEKIT_API_SECRET. Raises ValueError if they are missing.
    """
    given = {
        "LIVEKIT_API_KEY": api_key or os.environ.get("LIVEKIT_API_KEY"),
        "LIVEKIT_API_SECRET": api_secret or os.environ.get("LIVEKIT_API_SECRET"),
    }
    if missing := [variable for variable, value in given.items() if not value]:
        raise ValueError(
            f"The avatar needs a token for the room: set {' and '.join(missing)}, or give the service livekit_api_key "
            "and livekit_api_secret, or the token itself as avatar_token"
        )
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_publish=True,
        can_publish_sources=["camera", "microphone"],
        can_publish_data=True,
        can_subscribe=True,
    )
    return (
        api.AccessToken(given["LIVEKIT_API_KEY"], given["LIVEKIT_API_SECRET"])
        .with_kind("agent")
        .with_identity(identity)
        .with_name(name)
        .with_attributes({PUBLISH_ON_BEHALF: bot})
        .with_grants(grants)
        .with_ttl(TOKEN_LASTS)
        .to_jwt()
    )
