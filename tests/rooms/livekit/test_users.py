"""What a room does for its users: it tells when the first one comes, and lets all of them hear its last words."""

from __future__ import annotations

import asyncio
import time

import pytest
from livekit.protocol import models

from tests.rooms.livekit.doubles import AGENT, Connection, Events, Kind, Room, State
from visavis.rooms.livekit import room

pytestmark = pytest.mark.anyio


async def test_the_first_user_is_told_once(connected: tuple[Room, list[Connection]], events: Events) -> None:
    opened, _ = connected
    opened.people_changed([AGENT, models.ParticipantInfo(identity="recorder", kind=Kind.EGRESS, state=State.ACTIVE)])
    opened.people_changed([models.ParticipantInfo(identity="telephone", kind=Kind.SIP, state=State.JOINED)])
    assert events.users == 0
    opened.people_changed([models.ParticipantInfo(identity="telephone", kind=Kind.SIP, state=State.ACTIVE)])
    opened.people_changed([models.ParticipantInfo(identity="user", state=State.ACTIVE)])
    assert events.users == 1


@pytest.mark.parametrize("interrupted", [False, True])
async def test_the_avatar_stays_for_a_moment_after_its_last_sample(
    connected: tuple[Room, list[Connection]], interrupted: bool
) -> None:
    opened, (first, _) = connected
    said_s = time.monotonic()
    opened.speech_finished("words of any source", position_s=0.4, interrupted=interrupted)
    await opened.aclose()
    assert first.closed_s is not None and first.closed_s - said_s >= room.TRACKS_STAY_S == 0.5


async def test_an_avatar_that_has_said_nothing_leaves_at_once(
    connected: tuple[Room, list[Connection]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TRACKS_STAY_S", 3600.0)
    opened, (first, _) = connected
    opened.speech_finished("nothing of it was heard", position_s=0.0, interrupted=True)
    async with asyncio.timeout(30):
        await opened.aclose()
    assert first.closed_s is not None
