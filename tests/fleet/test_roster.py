"""The stages that a server leaves in its data folder, and those that the next one takes over."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.fleet.test_stage_fleet import PARTS, allocate, at_most, speech, wait_for
from tests.processes import PYTHON_PATH
from visavis.errors import HandoverImpossible
from visavis.fleet import local, stages
from visavis.fleet.adopted_process import AdoptedProcess
from visavis.fleet.identity import next_identity, write_private
from visavis.fleet.local import LocalStage, LocalStages
from visavis.fleet.roster import FOLDER, Roster, check_stages_can_be_taken_over
from visavis.fleet.stage_process import StageProcess
from visavis.fleet.stages import StageFleet
from visavis.stage.port.address import Address
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted
from visavis.stage.port.line import Waiting
from visavis.stage.port.messages import OLDEST_PORT_VERSION, PORT_VERSION, KeepLine
from visavis.stage.port.values import Spoken

pytestmark = pytest.mark.anyio
WITHIN_S = 60.0


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)


@contextlib.asynccontextmanager
async def server_on(data_dir: Path, *, grace_s: float = 30.0, silent_s: float = 5.0) -> AsyncIterator[StageFleet]:
    """The fleet of a server that starts on a data folder. It ends its stages unless it has let go of them."""
    supply = LocalStages(
        data_dir=data_dir,
        identity=next_identity(data_dir),
        max_stages=1,
        parts=PARTS,
        grace_s=grace_s,
        silent_s=silent_s,
    )
    fleet = StageFleet(supply, limits=at_most(4))
    try:
        with anyio.fail_after(WITHIN_S):
            yield fleet
    finally:
        await fleet.aclose()


def process_of(fleet: StageFleet) -> AdoptedProcess | asyncio.subprocess.Process:
    (stage,) = fleet._stages
    assert isinstance(stage, LocalStage)
    process = stage.process
    assert isinstance(process, AdoptedProcess | asyncio.subprocess.Process)
    return process


async def test_the_next_server_goes_on_with_a_session_and_no_event_is_lost_or_told_twice(tmp_path: Path) -> None:
    async with server_on(tmp_path) as first:
        await first.start()
        performer = await allocate(first, tmp_path, "sess_1")
        child = process_of(first)
        await performer.speak(speech(4800, utterance_id="a", final=True))
        started = await wait_for(performer, PlaybackStarted)
        performer.acknowledge(started)
        performer.remember(b"memo")
        await first.let_go()
    async with server_on(tmp_path) as second:
        (adopted,) = await second.adopt()
        assert (adopted.held.memo, adopted.held.spec.session_id) == (b"memo", "sess_1")
        assert second.capacity().sessions == 1
        events = adopted.performer.events()
        seen = [await anext(events)]
        while not isinstance(seen[-1], PlaybackFinished):
            seen.append(await anext(events))
        playback = [event for event in seen if isinstance(event, PlaybackStarted | PlaybackFinished)]
        assert playback == [PlaybackFinished(utterance_id="a", position_s=0.3, interrupted=False)]
        await adopted.performer.speak(speech(320, utterance_id="b", final=True))
        while not isinstance(event := await anext(events), PlaybackFinished):
            pass
        assert event.utterance_id == "b"
        assert process_of(second).pid == child.pid
    assert isinstance(child, asyncio.subprocess.Process)
    assert await child.wait() == 0, "the second server has ended it"
    assert list((tmp_path / FOLDER).iterdir()) == []


async def test_a_stage_whose_server_is_gone_ends_after_its_grace_and_is_not_found(tmp_path: Path) -> None:
    async with server_on(tmp_path, grace_s=0.05) as first:
        await first.start()
        await allocate(first, tmp_path)
        child = process_of(first)
        await first.let_go()
        await child.wait()
    async with server_on(tmp_path) as second:
        assert await second.adopt() == []
        assert list((tmp_path / FOLDER).iterdir()) == []


async def test_a_copy_of_the_folder_finds_no_stage(tmp_path: Path) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "copy"
    data_dir.mkdir()
    async with server_on(data_dir, grace_s=0.5) as first:
        await first.start()
        child = process_of(first)
        await first.let_go()
        (copy / FOLDER).mkdir(parents=True)
        for entry in (data_dir / FOLDER).glob("*.json"):
            shutil.copy(entry, copy / FOLDER)
        async with server_on(copy) as stranger:
            assert await stranger.adopt() == []
        assert await child.wait() == 0, "it has ended after its grace period"


async def test_a_stage_that_is_stopped_while_it_is_adopted_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sessions end with the adoption; going on later it would perform them for nobody."""
    monkeypatch.setattr(local, "ADOPT_WITHIN_S", 1.0)
    async with server_on(tmp_path) as first:
        await first.start()
        await allocate(first, tmp_path)
        child = process_of(first)
        await first.let_go()
        child.send_signal(signal.SIGSTOP)
        async with server_on(tmp_path) as second:
            assert await second.adopt() == []
            assert isinstance(child, asyncio.subprocess.Process)
            assert await child.wait() == -signal.SIGKILL, "it was never continued"
            assert list((tmp_path / FOLDER).iterdir()) == []


async def test_a_server_that_is_stopped_while_it_adopts_goes_on_with_its_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "ADOPT_WITHIN_S", 1.0)
    async with server_on(tmp_path) as first:
        await first.start()
        await allocate(first, tmp_path, "sess_1")
        child = process_of(first)
        await first.let_go()
        async with server_on(tmp_path) as second:
            child.send_signal(signal.SIGSTOP)  # so that its answer does not come before
            adopting = asyncio.create_task(second.adopt())
            for _ in range(50):  # turns of the loop: the server asks
                await asyncio.sleep(0)
            child.send_signal(signal.SIGCONT)
            time.sleep(2.0)  # noqa: ASYNC251 (this process is stopped)
            (adopted,) = await adopting
            assert adopted.held.spec.session_id == "sess_1"
        await child.wait()


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_session_whose_stage_is_lost_during_a_hand_over_moves_before_it_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: signal.Signals
) -> None:
    started: list[StageProcess] = []
    make = LocalStages._stage

    def noting(supply: LocalStages, name: str, process: StageProcess, *rest: Any) -> LocalStage:
        started.append(process)
        return make(supply, name, process, *rest)

    monkeypatch.setattr(LocalStages, "_stage", noting)
    monkeypatch.setattr(stages, "MOVED_WITHIN_S", WITHIN_S)  # a busy machine takes long to start a stage
    async with server_on(tmp_path, silent_s=2.5) as first:
        await first.start()
        performer = await allocate(first, tmp_path, "sess_1")
        began_s = time.monotonic()
        for _ in range(10):
            await performer.speak(speech(160_000, utterance_id="long"))  # 100 s, which go with the session
        lost = process_of(first)
        assert isinstance(lost, asyncio.subprocess.Process)
        lost.send_signal(fault)
        await first.let_go()
        assert (await lost.wait()) == -signal.SIGKILL
    async with server_on(tmp_path) as second:
        (adopted,) = await second.adopt()
        assert adopted.held.spec.session_id == "sess_1" and process_of(second).pid != lost.pid
        assert [one.utterance_id for one in adopted.held.utterances] == ["long"]
        lasted_s = adopted.held.performed_s + time.monotonic() - adopted.told_s
        assert lasted_s == pytest.approx(time.monotonic() - began_s, abs=0.5), "it has lasted since its first stage"
    await started[1].wait()


async def test_a_stage_that_was_started_on_a_full_disk_is_found_when_the_disk_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def full_disk(path: Path, text: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_private(path, text)

    monkeypatch.setattr("visavis.fleet.roster.write_private", full_disk)
    monkeypatch.setattr("visavis.fleet.local.ENTER_AGAIN_S", 0.01)
    async with server_on(tmp_path) as first:
        await first.start()
        performer = await allocate(first, tmp_path, "sess_1")
        child = process_of(first)
        while not Roster(tmp_path).entries():  # noqa: ASYNC110
            await anyio.sleep(0.01)  # polls a file; no test asserts how long this takes
        performer.remember(b"memo")
        await first.let_go()
    assert tries == 3
    async with server_on(tmp_path) as second:
        (adopted,) = await second.adopt()
        assert adopted.held.spec.session_id == "sess_1"
    await child.wait()
    assert list((tmp_path / FOLDER).iterdir()) == []


async def test_a_stage_that_ends_while_the_disk_is_full_is_never_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("visavis.fleet.roster.write_private", full_disk)
    async with server_on(tmp_path) as first:
        await first.start()
        monkeypatch.undo()
    assert list((tmp_path / FOLDER).iterdir()) == []


async def test_speech_that_was_not_heard_is_said_though_server_and_stage_died(tmp_path: Path) -> None:
    async with server_on(tmp_path) as first:
        await first.start()
        performer = await allocate(first, tmp_path, "sess_1")
        for _ in range(9):
            await performer.speak(speech(4800, utterance_id="long"))  # 0.3 s each
        await performer.speak(speech(4800, utterance_id="long", final=True))
        await performer.speak(speech(4800, utterance_id="next", final=True))
        text = Waiting(place=1, number=20, body=b"text")
        await performer.keep_line(KeepLine(waiting=text, spoken=Spoken(utterance_id="text", samples=0)))
        performer.acknowledge(await wait_for(performer, PlaybackStarted))
        await first.let_go()
    async with server_on(tmp_path) as second:
        (adopted,) = await second.adopt()
        process = process_of(second)
        process.kill()
        await process.wait()
        events = adopted.performer.events()
        ends: list[PlaybackFinished] = []
        starts: list[str] = []
        while len(ends) < 2:
            event = await anext(events)
            if isinstance(event, PlaybackFinished):
                ends.append(event)
            if isinstance(event, PlaybackStarted):
                starts.append(event.utterance_id)
        assert ends == [
            PlaybackFinished(utterance_id="long", position_s=3.0, interrupted=False),
            PlaybackFinished(utterance_id="next", position_s=0.3, interrupted=False),
        ]
        assert starts == ["next"]
        await second.let_go()
    async with server_on(tmp_path) as third:
        (again,) = await third.adopt()
        assert again.held.performance is not None
        assert [one.body for one in again.held.performance.line.waiting] == [b"text"], "the next stage has it, too"


async def test_a_session_of_an_adopted_stage_that_dies_goes_on_on_another(tmp_path: Path) -> None:
    async with server_on(tmp_path) as first:
        await first.start()
        await allocate(first, tmp_path, "sess_1")
        await first.let_go()
    async with server_on(tmp_path) as second:
        (adopted,) = await second.adopt()
        process = process_of(second)
        assert isinstance(process, AdoptedProcess)
        process.kill()
        await process.wait()
        await adopted.performer.speak(speech(320, utterance_id="b", final=True))
        events = adopted.performer.events()
        while not isinstance(event := await anext(events), PlaybackFinished):
            pass
        assert event == PlaybackFinished(utterance_id="b", position_s=0.02, interrupted=False)
        assert process_of(second).pid != process.pid


def test_sockets_and_entries_are_this_users_alone(tmp_path: Path) -> None:
    roster = Roster(tmp_path)
    address = roster.address_of("one")
    assert address.path == tmp_path / FOLDER / "one.sock"
    roster.add("one", pid=os.getpid(), address=address, token="secret")
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700
    assert (tmp_path / FOLDER / "one.json").stat().st_mode & 0o777 == 0o600
    (entry,) = Roster(tmp_path).entries()
    assert (entry.pid, entry.address, entry.token) == (os.getpid(), address, "secret")
    roster.remove("one", address)
    assert Roster(tmp_path).entries() == []


def test_a_folder_whose_path_is_too_long_for_sockets_has_them_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    roster = Roster(deep)
    address = roster.address_of("one")
    assert address.path is not None and deep not in address.path.parents
    assert address.path.parent.stat().st_mode & 0o777 == 0o700
    roster.close()
    assert not address.path.parent.exists()


def test_a_hand_over_is_refused_before_it_begins_if_the_stages_speak_no_version_of_ours(tmp_path: Path) -> None:
    roster = Roster(tmp_path)
    roster.address_of("one")
    roster.add("one", pid=1, address=Address(path=tmp_path / "one.sock"), token="secret")
    check_stages_can_be_taken_over(tmp_path)
    path = tmp_path / FOLDER / "one.json"
    entry = json.loads(path.read_text())
    path.write_text(json.dumps(entry | {"port_version": PORT_VERSION + 1, "oldest_port_version": PORT_VERSION}))
    check_stages_can_be_taken_over(tmp_path)
    path.write_text(json.dumps(entry | {"port_version": PORT_VERSION + 9, "oldest_port_version": PORT_VERSION + 1}))
    with pytest.raises(HandoverImpossible, match=f"version {PORT_VERSION + 9} of the port"):
        check_stages_can_be_taken_over(tmp_path)
    del entry["oldest_port_version"]  # as servers write it that speak one version
    path.write_text(json.dumps(entry | {"port_version": OLDEST_PORT_VERSION}))
    check_stages_can_be_taken_over(tmp_path)
    path.write_text(json.dumps(entry | {"port_version": 1}))
    with pytest.raises(HandoverImpossible, match="version 1 of the port"):
        check_stages_can_be_taken_over(tmp_path)
