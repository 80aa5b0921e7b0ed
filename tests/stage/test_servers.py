"""The servers of a stage: which are admitted or dropped, which owns a session, and what outlives a connection."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog.testing

from tests.packs import place_pack
from tests.stage.stage_harness import RawServer, hello, running_stage
from visavis.channel.handed_conversation import HandedMessage, Mark, Note, pack
from visavis.channel.server_messages import PlaybackFinishedMessage
from visavis.errors import LinkFailed
from visavis.stage import servers
from visavis.stage import stage as stages
from visavis.stage.port.events import PlaybackFinished, PlaybackProgress
from visavis.stage.port.frames import MAX_FRAME_BYTES
from visavis.stage.port.line import LineMark, Waiting
from visavis.stage.port.messages import (
    UNTOLD_FROM,
    Acknowledge,
    Answer,
    Done,
    End,
    Event,
    FromServer,
    GoOn,
    HttpSource,
    Interrupt,
    KeepLine,
    Leave,
    Open,
    Ping,
    Pong,
    Refusal,
    Rejected,
    Remember,
    Request,
    SetState,
    Speak,
    TakeNote,
    encode,
)
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.so_far import PerformanceSoFar, UtteranceSoFar
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken
from visavis.stage.timeline import PLAYOUT_RATE_HZ
from visavis.stage.video import VideoPipeline

pytestmark = pytest.mark.anyio


def speak(number: int, *, samples: int = 1600, final: bool = False, utterance_id: str = "u") -> Speak:
    speech = Speech(pcm=b"\1\1" * samples, sample_rate_hz=16_000, number=number, utterance_id=utterance_id, final=final)
    return Speak(speech=speech)


async def can_speak(server: RawServer, session_id: str = "s", *, number: int = 1, epoch: int = 1) -> bool:
    """Whether the server may use the session."""
    answer = await server.request(session_id, speak(number), epoch=epoch)
    result = answer.result if isinstance(answer, Answer) else None
    return isinstance(result, Spoken) and (result.utterance_id, result.samples) == ("u", 1600)


# --- admission


async def test_a_refused_server_gets_the_reason_and_other_servers_go_on(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        good = await RawServer.connect_and_admit(address, hello())
        assert isinstance(await good.open_session("s", tmp_path), Answer)
        over_http = msgspec.structs.replace(hello(server_id="other"), source=HttpSource(url="http://x", token="t"))
        refused: dict[str, FromServer] = {
            "WRONG_STAGE_TOKEN": hello(token="another", server_id="other"),
            "PORT_VERSION_UNKNOWN": hello(version=99, server_id="other"),
            "NOT_A_HELLO": Request(number=1, session_id="s", epoch=9, command=End()),
            "SOURCE_UNUSABLE": over_http,
        }
        with structlog.testing.capture_logs() as logs:
            for code, message in refused.items():
                bad = await RawServer.connect(address)
                bad.link.send(message)
                answer = await bad.receive()
                assert isinstance(answer, Rejected) and answer.code == code, answer
                assert await bad.receive() is None, "the connection is closed"
        assert [log["code"] for log in logs if log["event"] == "server_dropped"] == list(refused)
        assert await can_speak(good)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: stage\r\n\r\n",
        (5).to_bytes(4, "big") + bytes(5),
        (2**31).to_bytes(4, "big"),
        (9).to_bytes(4, "big") + b"\7\0\0\0\0rest",
    ],
)
async def test_invalid_bytes_end_only_their_own_connection(tmp_path: Path, sent: bytes) -> None:
    async with running_stage(tmp_path) as address:
        good = await RawServer.connect_and_admit(address, hello())
        assert isinstance(await good.open_session("s", tmp_path), Answer)
        before = await RawServer.connect(address)
        await before.send_raw(sent)
        after = await RawServer.connect_and_admit(address, hello(server_id="other"))
        await after.send_raw(sent)
        for bad in (before, after):
            answer = await bad.receive()
            assert isinstance(answer, Rejected) and answer.code in ("NOT_A_HELLO", "LINK_BROKEN"), answer
            assert await bad.receive() is None
        assert await can_speak(good)


async def test_a_server_that_sends_no_complete_hello_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visavis.stage.servers.HELLO_WITHIN_S", 0.1)
    async with running_stage(tmp_path) as address:
        silent, half = await RawServer.connect(address), await RawServer.connect(address)
        body = b"\0\0\0\0\0" + encode(hello())
        await half.send_raw(len(body).to_bytes(4, "big") + body[:10])
        for bad in (silent, half):
            answer = await bad.receive()
            assert isinstance(answer, Rejected) and answer.code == "NOT_A_HELLO", answer
            assert await bad.receive() is None
        assert await RawServer.connect_and_admit(address, hello())


async def test_a_server_that_connects_again_loses_its_first_connection_and_keeps_its_sessions(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello())
        assert isinstance(await first.open_session("s", tmp_path), Answer)
        with structlog.testing.capture_logs() as logs:
            second = await RawServer.connect_and_admit(address, hello())
            while await first.receive() is not None:
                pass
        assert [log["code"] for log in logs if log["event"] == "server_dropped"] == ["SERVER_REPLACED"]
        assert await can_speak(second)


async def test_a_second_hello_breaks_the_connection(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.connect_and_admit(address, hello())
        server.link.send(hello())
        answer = await server.receive()
        assert isinstance(answer, Rejected) and answer.code == "LINK_BROKEN"


# --- who owns a session


async def test_only_the_owner_of_the_highest_epoch_can_use_a_session(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        old = await RawServer.connect_and_admit(address, hello(server_id="old"))
        new = await RawServer.connect_and_admit(address, hello(server_id="new"))
        assert isinstance(await old.open_session("s", tmp_path, epoch=1), Answer)
        same_epoch = await new.request("s", speak(1), epoch=1)
        assert isinstance(same_epoch, Refusal) and same_epoch.code == "STALE_OWNER"
        assert await can_speak(old, number=1)
        assert await can_speak(new, number=2, epoch=2), "a higher epoch takes the session over"
        for command in (speak(3), Interrupt(through=9), SetState(state="thinking"), End()):
            refusal = await old.request("s", command, epoch=1)
            assert isinstance(refusal, Refusal) and refusal.code == "STALE_OWNER", command
        new.events.clear()
        assert isinstance(await new.request("s", Interrupt(through=9), epoch=2), Answer)
        ends = [event.event for event in new.events if isinstance(event.event, PlaybackFinished)]
        assert [end.utterance_id for end in ends] == ["u"], "events go to the new owner"
        assert not [event for event in old.events if isinstance(event.event, PlaybackFinished)]


async def test_an_old_owner_cannot_open_an_ended_session_again(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        old = await RawServer.connect_and_admit(address, hello(server_id="old"))
        new = await RawServer.connect_and_admit(address, hello(server_id="new"))
        await old.open_session("s", tmp_path, epoch=1)
        assert isinstance(await new.request("s", End(), epoch=2), Answer)
        refusal = await old.open_session("s", tmp_path, epoch=1)
        assert isinstance(refusal, Refusal) and refusal.code == "STALE_OWNER"
        assert isinstance(await new.open_session("s", tmp_path, epoch=3), Answer)


async def test_a_running_session_cannot_be_opened_again(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.connect_and_admit(address, hello())
        await server.open_session("s", tmp_path)
        refusal = await server.open_session("s", tmp_path)
        assert isinstance(refusal, Refusal) and refusal.code == "PERFORMER_LOST"
        assert await can_speak(server)


async def test_a_command_to_an_unknown_session_is_refused_and_its_end_succeeds(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.connect_and_admit(address, hello())
        refusal = await server.request("nobody", speak(1))
        assert isinstance(refusal, Refusal) and refusal.code == "PERFORMER_LOST"
        ended = await server.request("nobody", End())
        assert isinstance(ended, Answer) and ended.result == Done()


# --- what outlives a connection


async def test_a_session_outlives_its_servers_connection_for_the_grace_period(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0))
        await first.open_session("s", tmp_path)
        assert isinstance(await first.request("s", speak(1, final=True, utterance_id="first")), Answer)
        await first.vanish()
        again = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0))
        end = PlaybackFinished(utterance_id="first", position_s=0.1, interrupted=False)
        while not [event for event in again.events if event.event == end]:
            assert isinstance(await again.request("s", SetState(state="listening")), Answer)
            await asyncio.sleep(0.02)  # the sound plays in real time
        assert await can_speak(again, number=2)


async def test_the_next_process_of_a_server_gets_what_the_stage_holds_and_the_one_before_is_refused(
    tmp_path: Path,
) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=4))
        assert first.held == ()
        await first.open_session("s", tmp_path)
        assert isinstance(await first.request("s", speak(1, utterance_id="open")), Answer)
        first.link.send(Remember(session_id="s", memo=b"memo"))
        assert isinstance(await first.request("s", SetState(state="listening")), Answer)
        next_one = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=5))
        (held,) = next_one.held
        assert (held.spec.session_id, held.spec.epoch, held.memo) == ("s", 2, b"memo")
        assert (held.spec.width_px, held.spec.height_px) == (160, 120)
        assert [(one.utterance_id, one.received_s) for one in held.utterances] == [("open", 0.1)]
        assert held.first_frame_s is None and held.viewers == () and held.performed_s >= 0.0
        while await first.receive() is not None:  # its connection is dropped
            pass
        answer = await next_one.request("s", speak(2), epoch=1)
        assert isinstance(answer, Refusal) and answer.code == "STALE_OWNER"
        assert isinstance(await next_one.request("s", speak(2), epoch=2), Answer)
        late = await RawServer.connect(address)
        late.link.send(hello(owner_grace_s=60.0, epoch=4))
        rejected = await late.receive()
        assert isinstance(rejected, Rejected) and rejected.code == "STALE_OWNER"


async def test_a_session_has_lasted_since_its_beginning_elsewhere_though_its_server_was_killed_before_go_on(
    tmp_path: Path,
) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=4))
        spec = PerformanceSpec(session_id="s", pack=place_pack(tmp_path), width_px=160, height_px=120)
        began_ns = time.monotonic_ns() - 150 * 10**9
        opening = Open(spec=spec, position=100 * PLAYOUT_RATE_HZ, position_ns=began_ns + 100 * 10**9)
        assert isinstance(await first.request("s", opening), Answer)
        await first.vanish()
        next_one = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=5))
        (held,) = next_one.held
        assert 150 <= held.performed_s <= (time.monotonic_ns() - began_ns) / 1e9


def moved(folder: Path, *utterances: UtteranceSoFar) -> Open:
    """A session of another stage, with speech that was not heard there."""
    spec = PerformanceSpec(session_id="s", pack=place_pack(folder), width_px=160, height_px=120)
    so_far = PerformanceSoFar(spec=spec, utterances=utterances, last_number=9, viewers=0)
    notes = (KeptNote(number=1, note=b"said hello"),)
    return Open(
        spec=spec,
        position=0,
        position_ns=time.monotonic_ns(),
        so_far=so_far,
        memo=b"memo",
        notes=notes,
        untold=tuple(
            Event(session_id="s", event=end(name), number=UNTOLD_FROM + n) for n, name in enumerate(("told", "untold"))
        ),
    )


def end(utterance_id: str, *, played_s: float = 1.0, interrupted: bool = False) -> PlaybackFinished:
    return PlaybackFinished(utterance_id=utterance_id, position_s=played_s, interrupted=interrupted)


def unheard(utterance_id: str, first_number: int, *, samples: int = 1600, played_samples: int = 0) -> UtteranceSoFar:
    piece = Speech(pcm=b"\1\1" * samples, sample_rate_hz=16_000, number=first_number, utterance_id=utterance_id)
    return UtteranceSoFar(
        utterance_id=utterance_id,
        named=True,
        open=False,
        first_number=first_number,
        started=bool(played_samples),
        played_samples=played_samples,
        pieces=(piece,),
    )


async def playback_ends(server: RawServer, count: int) -> list[PlaybackFinished]:
    """Return the next ends of utterances."""
    ends: list[PlaybackFinished] = []
    while len(ends) < count:
        message = await server.receive()
        if isinstance(message, Event) and isinstance(message.event, PlaybackFinished):
            ends.append(message.event)
    return ends


@pytest.mark.parametrize("killed", ["while the stage opens the session", "before GoOn"])
async def test_a_moved_session_says_what_was_not_heard_though_its_server_was_killed_before_go_on(
    tmp_path: Path, killed: str
) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=4))
        opening = moved(tmp_path, unheard("begun", 1, played_samples=4800), unheard("next", 2))
        if killed == "before GoOn":
            assert isinstance(await first.request("s", opening), Answer)
        else:
            first.link.send(Request(number=1, session_id="s", epoch=1, command=opening))
            await first.flush()
        await first.vanish()
        next_one = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=5))
        (held,) = next_one.held
        assert (held.memo, held.notes) == (b"memo", (KeptNote(number=1, note=b"said hello"),))
        assert [one.utterance_id for one in held.utterances] == ["begun", "next"]
        assert await playback_ends(next_one, 4) == [
            end("told"),
            end("untold"),
            PlaybackFinished(utterance_id="begun", position_s=0.2, interrupted=False),
            PlaybackFinished(utterance_id="next", position_s=0.1, interrupted=False),
        ]
        assert await can_speak(next_one, epoch=2)


async def test_a_waiting_session_takes_notes_and_interrupts_and_goes_on_once(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=4))
        opening = moved(tmp_path, unheard("dropped", 1), unheard("kept", 3))
        first.link.send(Request(number=1, session_id="s", epoch=1, command=opening))
        await first.flush()  # so that the rest does not overtake it
        first.link.send(Request(number=2, session_id="s", epoch=1, command=Interrupt(through=2)))
        first.link.send(TakeNote(session_id="s", note=KeptNote(number=2, note=b"interrupted")))
        await first.flush()
        await first.vanish()
        second = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=5))
        (held,) = second.held
        assert [kept.note for kept in held.notes] == [b"said hello", b"interrupted"]
        assert [one.utterance_id for one in held.utterances] == ["kept"]
        assert held.performance is not None and held.performance.ended_ids["dropped"], "it was interrupted"
        dropped, kept = end("dropped", played_s=0.0, interrupted=True), end("kept", played_s=0.1)
        assert await playback_ends(second, 4) == [end("told"), end("untold"), dropped, kept]
        second.link.send(Acknowledge(session_id="s", number=UNTOLD_FROM + 2))
        await second.flush()
        await second.vanish()
        third = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=6))
        assert third.held[0].utterances == () and await playback_ends(third, 1) == [kept], "not acknowledged"
        assert await can_speak(third, epoch=3)


async def test_go_on_takes_the_place_of_what_the_opening_has_brought(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=4))
        opening = moved(tmp_path, unheard("dropped", 1), unheard("kept", 3))
        assert isinstance(await first.request("s", opening), Answer)
        assert opening.so_far is not None
        going_on = GoOn(
            so_far=opening.so_far.interrupted(through=2), position_ns=time.monotonic_ns(), untold=opening.untold[1:]
        )
        assert isinstance(await first.request("s", going_on), Answer)
        first.link.send(Ping())
        await first.vanish()
        second = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=5))
        assert [one.utterance_id for one in second.held[0].utterances] in (["kept"], [])
        assert await playback_ends(second, 2) == [end("untold"), end("kept", played_s=0.1)]


async def test_the_next_server_gets_what_waits_in_the_line_and_no_piece_twice(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=1))
        await first.open_session("s", tmp_path)
        taken = Spoken(utterance_id="u", samples=0)
        for place in (1, 2, 3):
            entry = Waiting(place=place, number=place, body=b"text %d" % place)
            answer = await first.request("s", KeepLine(waiting=entry, message=place, spoken=taken))
            assert isinstance(answer, Answer) and answer.result == taken
        piece = msgspec.structs.replace(speak(1).speech, line=LineMark(through=1, rest=None, spent=0))
        assert isinstance(await first.request("s", Speak(speech=piece)), Answer)
        part = msgspec.structs.replace(speak(2).speech, line=LineMark(spent=1600))
        assert isinstance(await first.request("s", Speak(speech=part)), Answer)
        too_much = msgspec.structs.replace(speak(2, samples=16_000 * 601).speech, line=LineMark(through=2))
        assert isinstance(await first.request("s", Speak(speech=too_much)), Refusal)
        await first.request("s", Interrupt(through=2))
        await first.vanish()
        second = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=2))
        performance = second.held[0].performance
        assert performance is not None and performance.line.spent == 1600 and performance.line.last_message == 3
        assert [(one.body, one.dropped) for one in performance.line.waiting] == [(b"text 2", True), (b"text 3", False)]
        entry = Waiting(place=4, number=1, body=b"text 3")
        again = await second.request("s", KeepLine(waiting=entry, message=3, spoken=taken), epoch=2)
        assert isinstance(again, Answer) and again.result == msgspec.structs.replace(taken, repeated=True)
        await second.vanish()
        third = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=3))
        performance = third.held[0].performance
        assert performance is not None and [one.place for one in performance.line.waiting] == [2, 3]


async def test_sessions_do_not_wait_for_a_server_that_ends_in_order(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        other = await RawServer.connect_and_admit(address, hello(server_id="other"))
        server = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0))
        await server.open_session("s", tmp_path)
        server.link.send(Leave())
        assert isinstance(await server.request("s", SetState(state="listening")), Answer)
        await server.vanish()
        async with asyncio.timeout(20):
            while True:
                answer = await other.request("s", speak(1))
                if isinstance(answer, Refusal) and answer.code == "PERFORMER_LOST":
                    break
                await asyncio.sleep(0.02)  # polls until the stage has ended it


async def test_sessions_end_after_the_grace_period(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        other = await RawServer.connect_and_admit(address, hello(server_id="other"))
        await other.open_session("kept", tmp_path)
        server = await RawServer.connect_and_admit(address, hello(owner_grace_s=0.05))
        await server.open_session("lost", tmp_path)
        await server.vanish()
        async with asyncio.timeout(20):
            while True:
                answer = await other.request("lost", speak(1), epoch=1)
                assert isinstance(answer, Refusal)
                if answer.code == "PERFORMER_LOST":
                    break
                await asyncio.sleep(0.02)  # polls until the stage's timer has run
        assert await can_speak(other, "kept")


async def test_a_session_whose_server_goes_while_it_is_opened_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, build = threading.Event(), VideoPipeline.build

    def slowly(*arguments: Any) -> VideoPipeline:
        assert goes_on.wait(20)
        return build(*arguments)

    monkeypatch.setattr(VideoPipeline, "build", slowly)
    with structlog.testing.capture_logs() as logs:
        async with running_stage(tmp_path) as address:
            server = await RawServer.connect_and_admit(address, hello())
            spec = PerformanceSpec(session_id="s", pack=place_pack(tmp_path), width_px=160, height_px=120)
            server.link.send(Request(number=1, session_id="s", epoch=1, command=Open(spec=spec)))
            await server.flush()
            await server.vanish()
            async with asyncio.timeout(20):
                while not [one for one in logs if one["event"] == "server_lost"]:  # noqa: ASYNC110 (a log tells nobody)
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)  # its grace is over
                goes_on.set()
                while not [one for one in logs if one["event"] == "session_left"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_a_stage_that_a_server_started_ends_with_its_last_server(tmp_path: Path) -> None:
    async with running_stage(tmp_path, exit_without_servers=True) as address:
        one = await RawServer.connect_and_admit(address, hello(server_id="one"))
        two = await RawServer.connect_and_admit(address, hello(server_id="two"))
        await one.vanish()
        assert isinstance(await two.open_session("s", tmp_path), Answer)
        await two.vanish()
        async with asyncio.timeout(20):
            while True:
                try:
                    await RawServer.connect(address)
                except LinkFailed:
                    break
                await asyncio.sleep(0.02)  # polls until the stage has ended


# --- heartbeats


async def test_a_pong_tells_the_servers_own_sessions_and_their_epochs(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.connect_and_admit(address, hello())
        other = await RawServer.connect_and_admit(address, hello(server_id="other"))
        for name, epoch in (("one", 1), ("two", 7)):
            assert isinstance(await server.open_session(name, tmp_path, epoch=epoch), Answer)
        assert isinstance(await other.open_session("three", tmp_path), Answer)
        assert await pong(server) == Pong(epochs={"one": 1, "two": 7})
        assert await pong(other) == Pong(epochs={"three": 1})
        assert isinstance(await server.request("one", End()), Answer)
        assert await pong(server) == Pong(epochs={"two": 7})


async def pong(server: RawServer) -> object:
    server.link.send(Ping())
    while isinstance(message := await server.receive(), Event):
        pass
    return message


@pytest.mark.parametrize("dropped_when_silent", [False, True])
async def test_a_silent_server_of_another_machine_is_dropped_and_its_sessions_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropped_when_silent: bool
) -> None:
    async with running_stage(tmp_path) as address:
        own = hello(owner_grace_s=60.0, dropped_when_silent=dropped_when_silent)
        server = await RawServer.connect_and_admit(address, own)
        assert isinstance(await server.open_session("s", tmp_path), Answer)
        monkeypatch.setattr("visavis.stage.servers.SILENT_SERVER_S", 1.0)
        if not dropped_when_silent:  # a server on the same machine may be stopped for any time
            await asyncio.sleep(1.5)
            assert await can_speak(server)
            return
        with structlog.testing.capture_logs() as logs:
            while await server.receive() is not None:
                pass
        assert [log["event"] for log in logs if log["log_level"] == "warning"] == ["server_silent"]
        again = await RawServer.connect_and_admit(address, own)
        for _ in range(6):  # whoever pings is not dropped
            assert await pong(again) == Pong(epochs={"s": 1})
            await asyncio.sleep(0.25)
        assert await can_speak(again)


async def test_the_next_server_waits_for_what_the_dead_one_has_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that was stopped finds both connections at once."""
    monkeypatch.setattr(servers, "DEAD_SERVER_READ_WITHIN_S", 60.0)
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=1))
        await first.open_session("s", tmp_path)
        admitting = asyncio.create_task(RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=2)))
        for _ in range(20):  # round trips: the stage has read the other hello
            first.link.send(Ping())
            while not isinstance(await first.receive(), Pong):
                pass
        assert not admitting.done()
        for number in range(1, 20):
            note = KeptNote(number=number, note=b"x")
            first.link.send(TakeNote(session_id="s", note=note, forget_through=number - 3))
        await first.vanish()
        next_one = await admitting
        assert [kept.number for kept in next_one.held[0].notes] == [17, 18, 19]
        next_one.link.send(Remember(session_id="s", memo=b"other"))
        await next_one.vanish()
        last = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=3))
        assert (last.held[0].memo, last.held[0].notes) == (b"other", ())


async def test_the_ends_of_thousands_of_utterances_that_wait_for_one_client_reach_the_next_server(
    tmp_path: Path,
) -> None:
    """Their note is larger than a frame of the port."""
    ends = [
        {"utterance_id": f"utterance {number}", "position_s": 0.0, "interrupted": True} for number in range(1, 8_001)
    ]
    messages = tuple(
        HandedMessage(
            number=number,
            text=PlaybackFinishedMessage.model_validate(end).model_dump_json(),
            is_sent=True,
            event=msgspec.convert(end, PlaybackFinished),
        )
        for number, end in enumerate(ends, 1)
    )
    note = pack(Note(mark=Mark(answered=7), last_number=8_000, forgotten=0, messages=messages))
    assert len(note) > MAX_FRAME_BYTES
    kept = KeptNote(number=8_000, note=note), KeptNote(number=8_001, note=b"the next one")
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=1))
        await first.open_session("s", tmp_path)
        for one in kept:
            first.link.send(TakeNote(session_id="s", note=one))
        await first.flush()
        await first.vanish()
        second = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=2))
        assert second.held[0].notes == kept


async def test_a_message_that_is_sent_again_to_the_next_server_takes_effect_once(tmp_path: Path) -> None:
    def said(message: int, samples: int, *, number: int) -> Speak:
        speech = msgspec.structs.replace(speak(number, samples=samples).speech, message=message)
        return Speak(speech=speech)

    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=1))
        await first.open_session("s", tmp_path)
        assert await first.request("s", said(1, 16_000, number=1)) == answered(1 + 1, 16_000, queued_s=1.0)
        refused = await first.request("s", said(2, 16_000 * 601, number=2))
        assert isinstance(refused, Refusal) and refused.code == "QUEUE_FULL"
        await first.request("s", Interrupt(through=0, message=4))
        await first.vanish()
        second = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=2))
        (held,) = second.held
        assert [one.received_s for one in held.utterances] == [1.0]
        again = await second.request("s", said(1, 16_000, number=20_001), epoch=2)
        assert isinstance(again, Answer) and isinstance(again.result, Spoken)
        assert (again.result.samples, again.result.repeated) == (16_000, True)
        again = await second.request("s", said(2, 16_000 * 601, number=20_002), epoch=2)
        assert isinstance(again, Refusal) and again.code == "QUEUE_FULL"
        late = await second.request("s", said(3, 16_000, number=20_003), epoch=2)
        assert isinstance(late, Answer) and isinstance(late.result, Spoken) and late.result.samples == 0
        repeated = await second.request("s", Interrupt(through=20_004, message=4), epoch=2)
        assert isinstance(repeated, Answer) and repeated.result == Done(repeated=True)
        await second.vanish()
        third = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=3))
        assert [one.received_s for one in third.held[0].utterances] == [1.0], "the repeated interrupt dropped nothing"


def answered(number: int, samples: int, *, queued_s: float) -> Answer:
    return Answer(number=number, result=Spoken(utterance_id="u", samples=samples, queued_s=queued_s))


async def test_the_next_server_gets_the_speech_that_was_not_heard(tmp_path: Path) -> None:
    """So that yet another stage can say it."""
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=1))
        await first.open_session("s", tmp_path)
        for number in range(1, 61):  # a minute
            await first.request("s", speak(number, samples=16_000, utterance_id="long", final=number == 60))
        await first.request("s", speak(61, samples=800, utterance_id="open"))
        while not any(isinstance(event.event, PlaybackProgress) for event in first.events):
            message = await first.receive()
            assert isinstance(message, Event)
            first.events.append(message)
        await first.vanish()
        next_one = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=2))
        performance = next_one.held[0].performance
        assert performance is not None
        long, open_one = performance.utterances
        assert (long.started, long.open, open_one.started, open_one.open) == (True, False, False, True)
        unheard = sum(len(piece.pcm) // 2 for piece in long.pieces)
        assert 0 < long.played_samples < 60 * 48_000
        assert long.played_samples + 3 * unheard == 60 * 48_000, "every sample that was not played, once"
        assert [piece.pcm for piece in open_one.pieces] == [b"\1\1" * 800]


async def test_the_speech_that_a_stage_tells_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "MAX_HELD_BYTES", 100_000)
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=1))
        for name in ("one", "two"):
            assert isinstance(await first.open_session(name, tmp_path), Answer)
            for number in range(1, 5):
                await first.request(name, speak(number, samples=16_000, utterance_id=str(number), final=True))
        await first.vanish()
        next_one = await RawServer.connect_and_admit(address, hello(owner_grace_s=60.0, epoch=2))
        assert 60_000 < sum(held.speech_bytes for held in next_one.held) <= 100_000
        assert all(len(held.utterances) >= 3 for held in next_one.held)
