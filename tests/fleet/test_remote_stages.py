"""Stages on other machines: connections with TLS and a token, and how a server handles a stage that answers wrongly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog.testing

from tests.certificates import write_certificate
from tests.packs import place_pack
from tests.stage.flashing_parts import parts
from visavis.errors import LinkBroken, PerformerLost, StageRejected, StageUnreachable
from visavis.fleet.admission import Limits
from visavis.fleet.link import StageLink
from visavis.fleet.remote import RemoteStages
from visavis.fleet.stages import StageFleet
from visavis.stage.port.address import Address
from visavis.stage.port.connection import Connection, connect_to, listening
from visavis.stage.port.events import (
    PerformanceMoved,
    PerformerEnded,
    PerformerEvent,
    PlaybackFinished,
    PlaybackStarted,
)
from visavis.stage.port.frames import PIECE_BYTES
from visavis.stage.port.messages import (
    PORT_VERSION,
    Answer,
    Done,
    End,
    Event,
    FromStage,
    Hello,
    HttpSource,
    Ready,
    Rejected,
    Request,
    decode_from_server,
    encode,
)
from visavis.stage.port.values import PerformanceSpec, Speech
from visavis.stage.process import StageOptions, serve_stage

pytestmark = pytest.mark.anyio

TOKEN = "a token of some length"
UNREACHABLE = HttpSource(url="http://127.0.0.1:9", token="t")
HELLO = Hello(version=PORT_VERSION, token=TOKEN, server_id="server", source=UNREACHABLE)


@asynccontextmanager
async def remote_stage(
    folder: Path, certificate: tuple[Path, Path] | None = None
) -> AsyncIterator[tuple[Address, Path]]:
    """Run a stage with TLS on a port of 127.0.0.1, with one pack in its cache; yield address and certificate."""
    cert, key = certificate or write_certificate(folder, "127.0.0.1")
    cache = folder / "cache" / "packs"
    cache.mkdir(parents=True)
    ref = place_pack(folder)
    ref.folder_in(folder / "avatars").rename(cache / ref.digest)
    bound: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
    options = StageOptions(
        address=Address(host="127.0.0.1"), token=TOKEN, cache=folder / "cache", tls_cert=cert, tls_key=key
    )
    stage = asyncio.create_task(serve_stage(options, parts(), bound.set_result))
    try:
        yield await bound, cert
    finally:
        stage.cancel()
        await asyncio.wait([stage])


def spec(folder: Path, session_id: str = "sess_1") -> PerformanceSpec:
    return PerformanceSpec(session_id=session_id, pack=place_pack(folder), width_px=160, height_px=120)


async def test_a_stage_on_another_machine_performs_a_session(tmp_path: Path) -> None:
    async with remote_stage(tmp_path) as (address, cert):
        supply = RemoteStages(addresses=(address,), token=TOKEN, source=UNREACHABLE, ca_file=cert)
        fleet = StageFleet(supply, limits=Limits(measured=False, sessions_per_stage=2))
        await fleet.start()
        performer = await fleet.allocate(spec(tmp_path))
        speech = Speech(pcm=b"\1\1" * 1600, sample_rate_hz=16_000, number=1, utterance_id="a", final=True)
        assert (await performer.speak(speech)).utterance_id == "a"
        async for event in performer.events():
            if event == PlaybackFinished(utterance_id="a", position_s=0.1, interrupted=False):
                break
        capacity = fleet.capacity()
        assert (capacity.sessions, capacity.places[0].free) == (1, 1)
        await fleet.aclose()
        again = await StageLink.connect(address, HELLO, tls=ssl.create_default_context(cafile=cert))
        await again.aclose()  # the stage has admitted it: it goes on after its server has left


async def test_an_interrupt_overtakes_minutes_of_sound(tmp_path: Path) -> None:
    """Nine minutes of speech are sent, and then an interrupt. The interrupt is answered first."""
    async with remote_stage(tmp_path) as (address, cert):
        fleet = StageFleet(RemoteStages(addresses=(address,), token=TOKEN, source=UNREACHABLE, ca_file=cert))
        await fleet.start()
        performer = await fleet.allocate(spec(tmp_path))
        minute = bytes(2 * 48_000 * 60)
        answered: list[str] = []

        async def speak(number: int) -> None:
            await performer.speak(Speech(pcm=minute, sample_rate_hz=48_000, number=number))
            answered.append("speech")

        async def interrupt() -> None:
            await performer.interrupt(through=9)
            answered.append("interrupt")

        async with asyncio.TaskGroup() as tasks:
            for number in range(1, 10):
                tasks.create_task(speak(number))
            await asyncio.sleep(0)
            tasks.create_task(interrupt())
        assert answered == ["interrupt"] + ["speech"] * 9
        assert len(minute) > 100 * PIECE_BYTES
        await fleet.aclose()


async def test_a_session_goes_on_when_its_stage_is_connected_again(tmp_path: Path) -> None:
    async with remote_stage(tmp_path) as (address, cert):
        supply = RemoteStages(addresses=(address,), token=TOKEN, source=UNREACHABLE, ca_file=cert)
        fleet = StageFleet(supply, limits=Limits(measured=False, sessions_per_stage=1))
        await fleet.start()
        performer = await fleet.allocate(spec(tmp_path))
        events = performer.events()
        with structlog.testing.capture_logs() as logs:
            async with asyncio.timeout(20):
                second = Speech(pcm=b"\1\1" * 16_000, sample_rate_hz=16_000, number=1, utterance_id="a", final=True)
                await performer.speak(second)
                fleet._stages[0].link.abort()  # the network fails for a moment
                kinds = (PerformanceMoved, PlaybackStarted, PlaybackFinished)
                seen = [event async for event in until_finished(events) if isinstance(event, kinds)]
        assert [type(event) for event in seen if not isinstance(event, PlaybackStarted)] == [
            PerformanceMoved,
            PlaybackFinished,
        ]
        assert seen[-1] == PlaybackFinished(utterance_id="a", position_s=1.0, interrupted=False)
        assert "session_without_owner" not in [log["event"] for log in logs], "the stage had kept it for its server"
        assert fleet.capacity().sessions == 1
        await fleet.aclose()


async def until_finished(events: AsyncIterator[PerformerEvent]) -> AsyncIterator[PerformerEvent]:
    async for event in events:
        yield event
        if isinstance(event, PlaybackFinished):
            return


async def test_what_a_lost_connection_left_on_a_stage_is_ended_when_it_is_back(tmp_path: Path) -> None:
    async with remote_stage(tmp_path) as (address, cert):
        supply = RemoteStages(addresses=(address,), token=TOKEN, source=UNREACHABLE, ca_file=cert)
        fleet = StageFleet(supply, limits=Limits(measured=False, sessions_per_stage=1))
        await fleet.start()
        performer = await fleet.allocate(spec(tmp_path))
        with structlog.testing.capture_logs() as logs:
            fleet._stages[0].link.abort()
            while not performer.moving:  # noqa: ASYNC110 (the fleet tells nobody)
                await asyncio.sleep(0)
            await performer.end()  # nobody can tell the stage
            async with asyncio.timeout(20):
                while fleet._strays or not any(log["event"] == "session_without_place" for log in logs):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        assert [log["session_id"] for log in logs if log["event"] == "session_without_place"] == ["sess_1"]
        await fleet.allocate(spec(tmp_path))
        await fleet.aclose()


async def test_a_wrong_token_is_an_error_in_the_log(tmp_path: Path) -> None:
    async with remote_stage(tmp_path) as (address, cert):
        fleet = StageFleet(RemoteStages(addresses=(address,), token="wrong", source=UNREACHABLE, ca_file=cert))
        with structlog.testing.capture_logs() as logs, pytest.raises(PerformerLost, match="WRONG_STAGE_TOKEN"):
            await fleet.start()
        assert "stage_not_connected" in [log["event"] for log in logs]
        with pytest.raises(PerformerLost):
            await fleet.allocate(spec(tmp_path))
        await fleet.aclose()


async def test_a_stage_whose_certificate_is_not_trusted_gets_no_token(tmp_path: Path) -> None:
    async with remote_stage(tmp_path) as (address, _):
        with pytest.raises(StageUnreachable, match="certificate"):
            await StageLink.connect(address, HELLO, tls=ssl.create_default_context())


async def test_another_stage_replaces_a_lost_one(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    certificate = write_certificate(tmp_path, "127.0.0.1")
    async with remote_stage(second, certificate) as (other, cert):
        async with remote_stage(first, certificate) as (lost, _):
            supply = RemoteStages(addresses=(lost, other), token=TOKEN, source=UNREACHABLE, ca_file=cert)
            fleet = StageFleet(supply, limits=Limits(measured=False, sessions_per_stage=1))
            await fleet.start()
            performer = await fleet.allocate(spec(tmp_path))
        async with asyncio.timeout(20):
            async for event in performer.events():
                if isinstance(event, PerformanceMoved):
                    break
        assert [str(stage.link.address) for stage in fleet._stages] == [str(other)]
        await performer.end()
        await fleet.allocate(spec(tmp_path, "sess_2"))
        await fleet.aclose()


# --- a stage that answers wrongly


Behave = Callable[[Connection], Awaitable[None]]


@asynccontextmanager
async def bad_stage(folder: Path, behave: Behave) -> AsyncIterator[Address]:
    """Listen like a stage, and treat each connection as `behave` does."""

    async def serve(connection: Connection) -> None:
        try:
            await behave(connection)
        except LinkBroken:
            pass
        finally:
            await connection.aclose()

    async with listening(Address(path=folder / "bad.sock"), serve, tls=None) as address:
        yield address


def whole(message: FromStage) -> bytes:
    return b"\0\0\0\0\0" + encode(message)


def send_frames(*frames: bytes) -> Behave:
    """Wait for the hello, send these frames, and ignore everything else."""

    async def behave(connection: Connection) -> None:
        await connection.receive()
        for frame in frames:
            await connection.send(frame)
        while await connection.receive() is not None:
            pass

    return behave


async def leave(connection: Connection) -> None:
    await connection.receive()


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (send_frames(whole(Ready(version=99))), "speaks version 99"),
        (send_frames(whole(Rejected(code="WRONG_STAGE_TOKEN", message="no"))), "WRONG_STAGE_TOKEN"),
        (send_frames(b"\0\0\0\0\0garbage"), "does not answer like a stage"),
        (send_frames(b"\7\0\0\0\0"), "does not answer like a stage"),
        (send_frames(whole(Event(session_id="s", event=PerformerEnded(reason="ended")))), "does not admit"),
        (leave, "does not admit"),
    ],
)
async def test_a_stage_that_answers_the_hello_wrongly_is_rejected(tmp_path: Path, behave: Behave, reason: str) -> None:
    async with bad_stage(tmp_path, behave) as address:
        with pytest.raises(StageRejected, match=reason):
            await StageLink.connect(address, HELLO)


async def test_a_stage_that_never_answers_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.fleet.link.CONNECT_WITHIN_S", 0.1)
    async with bad_stage(tmp_path, send_frames()) as address:
        with pytest.raises(StageUnreachable, match="has not answered"):
            await StageLink.connect(address, HELLO)


@pytest.mark.parametrize(
    "frames", [(b"\0\0\0\0\0garbage",), (b"\7\0\0\0\0",), (whole(Ready(version=PORT_VERSION)),), (b"\0\0\0",)], ids=str
)
async def test_requests_to_a_stage_that_breaks_the_protocol_fail(tmp_path: Path, frames: tuple[bytes, ...]) -> None:
    async with bad_stage(tmp_path, send_frames(whole(Ready(version=PORT_VERSION)), *frames)) as address:
        link = await StageLink.connect(address, HELLO)
        with structlog.testing.capture_logs() as logs:
            async with asyncio.TaskGroup() as tasks:
                request = tasks.create_task(_is_lost(link))
                tasks.create_task(link.listen(lambda _: None))
            assert request.result()
        assert [log["event"] for log in logs] == ["stage_broke_the_protocol"]
        await link.aclose()


async def _is_lost(link: StageLink) -> bool:
    try:
        await link.request("s", 1, End())
    except PerformerLost:
        return True
    return False


async def test_answers_without_a_request_are_ignored(tmp_path: Path) -> None:
    async def behave(connection: Connection) -> None:
        await connection.receive()
        await connection.send(whole(Ready(version=PORT_VERSION)))
        await connection.send(whole(Answer(number=77, result=Done())))
        frame = await connection.receive()
        assert frame is not None
        request = decode_from_server(frame[5:])
        assert isinstance(request, Request)
        for _ in range(2):
            await connection.send(whole(Answer(number=request.number, result=Done())))
        await connection.receive()

    async with bad_stage(tmp_path, behave) as address:
        link = await StageLink.connect(address, HELLO)
        listening_task = asyncio.create_task(link.listen(lambda _: None))
        assert await link.request("s", 1, End()) == Done()
        await link.aclose()
        await listening_task


async def test_an_address_where_nobody_listens_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(StageUnreachable):
        await connect_to(Address(path=tmp_path / "nothing.sock"), tls=None, timeout_s=1.0)
    with pytest.raises(StageUnreachable):
        await connect_to(Address.parse("wss://127.0.0.1:9"), tls=ssl.create_default_context(), timeout_s=1.0)


@pytest.mark.parametrize("text", ["", "unix:", "ws://host:1", "wss://host", "wss://:1", "http://host:1", "wss://h:1/x"])
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither unix:PATH nor wss"):
        Address.parse(text)


@pytest.mark.parametrize(
    "text", ["unix:/run/stage.sock", "wss://10.0.0.1:8443", "wss://[::1]:8443", "wss://stage.example:1"]
)
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(Address.parse(text)) == text
