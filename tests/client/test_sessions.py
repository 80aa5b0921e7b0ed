"""The client against a real server: speech is heard once, whatever happens to its connection; no session is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from visavis_client import (
    AsyncSession,
    AsyncVisavis,
    Connection,
    Ended,
    InvalidRequest,
    InvalidSound,
    NotFound,
    PlaybackFinished,
    PlaybackStarted,
    ServerUnreachable,
    SessionEnded,
    Sound,
    TakenOver,
    Unauthorized,
    Visavis,
    VisavisError,
)
from visavis_client import channel as channel_module

from tests.client.relay import relay_to
from tests.sounds import tone
from visavis.accounts.service import Accounts
from visavis.server import RunningServer
from visavis.store.database import Database

pytestmark = pytest.mark.anyio

VOICE = Path(__file__).parents[2] / "src" / "visavis" / "library" / "voices" / "sample.wav"


def speech(seconds: float, rate_hz: int = 24_000) -> Sound:
    return Sound(pcm=(tone(rate_hz, seconds=seconds) * 20_000).astype(np.int16).tobytes(), sample_rate_hz=rate_hz)


@pytest.fixture
async def client(server: RunningServer) -> AsyncIterator[AsyncVisavis]:
    async with AsyncVisavis(server.base_url, server.api_key, retries=0) as opened:
        yield opened


@pytest.fixture
async def avatar(client: AsyncVisavis) -> str:
    return (await client.avatars.public())[0].id


async def started(client: AsyncVisavis) -> set[str]:
    return {session.id async for session in client.sessions.list(status="started")}


async def test_speech_is_played_and_the_session_ended(client: AsyncVisavis, avatar: str) -> None:
    async with client.sessions.create(avatar=avatar, metadata={"purpose": "test"}) as session:
        assert session.watch_url is not None and "?t=" in session.watch_url
        events = session.events()
        played = await session.speak(speech(0.6), utterance_id="greeting")
        assert (played.utterance_id, played.position_s, played.interrupted) == ("greeting", 0.6, False)
        assert (await session.speak(speech(0.3, 8_000))).position_s == pytest.approx(0.3, abs=0.001)
        document = await client.sessions.get(session.id)
        assert (document.status, document.metadata) == ("started", {"purpose": "test"})
    assert (await client.sessions.get(session.id)).status == "ended"
    told = [event async for event in events]
    assert told[-1] == Ended(reason="ended_by_client")
    greeting = [event for event in told if isinstance(event, PlaybackStarted | PlaybackFinished)][:2]
    assert greeting == [
        PlaybackStarted(utterance_id="greeting"),
        PlaybackFinished(utterance_id="greeting", position_s=0.6, interrupted=False),
    ]


async def test_an_interrupt_ends_speech_whose_source_has_stalled(client: AsyncVisavis, avatar: str) -> None:
    begun, closed = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield speech(0.5).pcm
            begun.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with client.sessions.create(avatar=avatar) as session:
        events = session.events()
        speaking = asyncio.create_task(session.speak(source(), sample_rate=24_000))
        await begun.wait()
        async for event in events:
            if isinstance(event, PlaybackStarted):
                break
        waiting = asyncio.create_task(session.speak(speech(0.5)))  # its turn has not come: dropped with the rest
        await asyncio.sleep(0)
        await session.interrupt()
        played, dropped = await speaking, await waiting
        assert played.interrupted and played.position_s <= 0.5 and closed.is_set()
        assert dropped.interrupted and dropped.position_s == 0
        assert not (await session.speak(speech(0.2))).interrupted


async def test_utterances_called_side_by_side_are_said_one_after_the_other(client: AsyncVisavis, avatar: str) -> None:
    async with client.sessions.create(avatar=avatar) as session:
        sent = [await session.send(speech(0.2), utterance_id=f"u{number}") for number in range(5)]
        all_played = await asyncio.gather(*(utterance.played() for utterance in sent))
        assert [played.position_s for played in all_played] == [0.2] * 5
        assert not any(played.interrupted for played in all_played)


async def test_speech_is_sent_a_bounded_time_ahead(
    client: AsyncVisavis, avatar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visavis_client.channel.AHEAD_S", 1.0)
    taken_s = 0.0

    async def source() -> AsyncIterator[bytes]:
        nonlocal taken_s
        for _ in range(40):
            taken_s += 0.1
            yield speech(0.1).pcm

    async with client.sessions.create(avatar=avatar) as session:
        events = session.events()
        speaking = asyncio.create_task(session.speak(source(), sample_rate=24_000))
        async for event in events:
            if isinstance(event, PlaybackStarted):
                break
        assert taken_s < 3.0
        assert (await speaking).position_s == pytest.approx(4.0, abs=0.001)


async def test_a_lost_connection_loses_no_sample_and_says_none_twice(server: RunningServer) -> None:
    async with relay_to(server.base_url) as relay, AsyncVisavis(relay.base_url, server.api_key) as client:
        avatar = (await client.avatars.public())[0].id
        async with client.sessions.create(avatar=avatar) as session:
            events = session.events()
            speaking = asyncio.create_task(session.speak(speech(3.0), utterance_id="long"))
            seen: list[object] = []
            async for event in events:
                seen.append(event)
                if isinstance(event, PlaybackStarted):
                    relay.cut()
                if isinstance(event, PlaybackFinished):
                    break
            played = await speaking
            assert (played.position_s, played.interrupted) == (3.0, False)
            assert seen.count(Connection(up=False)) == 1 and Connection(up=True, resumed=True) in seen
            assert sum(isinstance(event, PlaybackFinished) for event in seen) == 1


async def test_a_connection_that_has_not_survived_the_machines_sleep_is_replaced_at_once(
    server: RunningServer, client: AsyncVisavis, avatar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep_s = 0.0
    monkeypatch.setattr(channel_module, "_asleep_s", lambda: asleep_s)
    monkeypatch.setattr(channel_module, "ACKNOWLEDGE_EVERY_S", 0.05)
    async with relay_to(server.base_url) as relay:
        session = await client.sessions.create(avatar=avatar)
        session.channel._url = f"ws{relay.base_url.removeprefix('http')}/v1/channel"
        async with session:
            events = session.events()
            relay.stall()
            asleep_s = 60.0
            assert await anext(events) == Connection(up=False)
            assert await anext(events) == Connection(up=True, resumed=True)
            assert (await session.speak(speech(0.1))).position_s == pytest.approx(0.1)
            assert relay.connections == 2


async def test_another_channel_takes_over_and_the_first_is_told_once(client: AsyncVisavis, avatar: str) -> None:
    async with client.sessions.create(avatar=avatar) as session:
        events = session.events()
        other = type(session.channel)(session.channel._url, session.channel._init)
        await other.open()
        told = [event async for event in events if isinstance(event, Ended)]
        assert told == [Ended(reason="taken_over")]
        with pytest.raises(TakenOver):
            await session.speak(speech(0.1))
        await other.close()


async def test_the_end_of_a_session_ends_what_waits(client: AsyncVisavis, avatar: str) -> None:
    async with client.sessions.create(avatar=avatar) as session:
        begun = asyncio.Event()

        async def source() -> AsyncIterator[bytes]:
            yield speech(0.2).pcm
            begun.set()
            await asyncio.Event().wait()

        speaking = asyncio.create_task(session.speak(source(), sample_rate=24_000))
        await begun.wait()
        await client.sessions.end(session.id)
        assert await session.wait_ended() == Ended(reason="ended_by_client")
        played = await asyncio.gather(speaking, return_exceptions=True)
        assert isinstance(played[0], SessionEnded) or played[0].interrupted  # type: ignore[union-attr]
        with pytest.raises(SessionEnded):
            await session.interrupt()


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"max_duration": 3}, "expired"), ({"join_timeout": 3}, "nobody_joined"), ({}, "key_revoked")],
)
async def test_the_end_is_told_once_with_the_reason_that_the_server_has(
    server: RunningServer, avatar: str, options: dict[str, int], reason: str
) -> None:
    """What watches the events, what waits for the end, and what speaks meanwhile: all are told the same."""
    async with aclosing(await Database.open(server.services.settings.resolved_database_url)) as database:
        accounts = Accounts(database)
        record, key = await accounts.create(name="once")
        async with AsyncVisavis(server.base_url, key, retries=0) as client:
            session = await client.sessions.create(avatar=avatar, options={"options": options} if options else None)
            async with session:
                seen = asyncio.create_task(_ends(session))
                speaking = asyncio.create_task(session.speak(speech(20.0)))
                if reason == "key_revoked":
                    await accounts.revoke(record.id)
                assert await session.wait_ended() == Ended(reason=reason)
                assert await seen == [Ended(reason=reason)]
                (played,) = await asyncio.gather(speaking, return_exceptions=True)
                if isinstance(played, SessionEnded):
                    assert played.reason == reason
                else:
                    assert not isinstance(played, BaseException) and played.interrupted
                assert await session.wait_ended() == Ended(reason=reason)


async def test_a_channel_that_comes_after_the_end_is_told_its_reason(client: AsyncVisavis, avatar: str) -> None:
    session = await client.sessions.create(avatar=avatar)
    await client.sessions.end(session.id)
    with pytest.raises(SessionEnded) as refused:
        await session.channel.open()
    assert refused.value.reason == "ended_by_client"
    assert await session.wait_ended() == Ended(reason="ended_by_client")


async def _ends(session: AsyncSession) -> list[Ended]:
    return [event async for event in session.events() if isinstance(event, Ended)]


async def test_a_create_broken_off_at_any_await_leaves_no_session(client: AsyncVisavis, avatar: str) -> None:
    before = await started(client)

    async def whole() -> None:
        async with client.sessions.create(avatar=avatar) as session:
            await session.speak(speech(0.1))

    for turns in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144):
        running = asyncio.create_task(whole())
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    for wait_s in (0.01, 0.03, 0.1, 0.2, 0.3):
        running = asyncio.create_task(whole())
        await asyncio.wait({running}, timeout=wait_s)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert await started(client) == before


async def test_refusals_are_typed(client: AsyncVisavis, server: RunningServer) -> None:
    with pytest.raises(NotFound, match="SESSION_NOT_FOUND"):
        await client.sessions.get("sess_none")
    with pytest.raises(InvalidRequest, match="IMAGE_TYPE"):
        await client.avatars.upload(b"no picture")
    async with AsyncVisavis(server.base_url, "ah_live_none", retries=0) as stranger:
        with pytest.raises(Unauthorized, match="Invalid API key"):
            await stranger.usage()
    async with AsyncVisavis("http://127.0.0.1:9", "ah_live_none", retries=0) as lost:
        with pytest.raises(ServerUnreachable):
            await lost.usage()
    with pytest.raises(VisavisError, match="VISAVIS_API_KEY"):
        AsyncVisavis(server.base_url)


async def test_sound_is_checked_before_anything_is_sent(client: AsyncVisavis, avatar: str) -> None:
    async with client.sessions.create(avatar=avatar) as session:
        for wrong, rate_hz in ((b"\0\0", None), (b"\0\0", 96_000), (Path("absent.wav"), None)):
            with pytest.raises(InvalidSound):
                await session.speak(wrong, sample_rate=rate_hz)
        assert (await session.speak(b"", sample_rate=16_000)).position_s == 0


async def test_lists_and_figures(client: AsyncVisavis, avatar: str) -> None:
    assert {"plan", "concurrency"} <= set(await client.usage())
    assert await client.capacity()
    looks = await client.avatars.list(parent_id=avatar)
    assert looks and all(look.parent_id == avatar for look in looks)
    page = await client.sessions.page(limit=1)
    assert len(page.sessions) <= 1


def test_the_same_without_async(server: RunningServer) -> None:
    with Visavis(server.base_url, server.api_key) as client:
        avatar = client.avatars.public()[0]
        with client.sessions.create(avatar=avatar.id, hold_for_viewer_s=0.1) as session:
            assert session.watch_url
            assert session.speak(VOICE).position_s > 1
            sent = session.send(speech(5.0))
            session.interrupt()
            assert sent.played().interrupted
            assert session.update({"emotion": "happy"})["emotion"]["name"] == "happy"
        assert session.ended == Ended(reason="ended_by_client")
        assert any(listed.id == session.id for listed in client.sessions.list())
        assert client.sessions.end(session.id).status == "ended"
