"""A PostgreSQL that goes away while sessions run: they go on and end all the same, at the right time and for the right
reason, and everything is written when it is back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
import structlog.testing

from tests.conftest import Service, open_service
from tests.faults.scale import SCALE
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, last_event, speech, stored, wait_for_end
from tests.store.test_postgresql import Gate
from visavis.channel.port import SessionOver
from visavis.sessions import ends
from visavis.sessions.lifecycle import EndReason
from visavis.store import postgresql

pytestmark = pytest.mark.anyio


@pytest.fixture
async def gate(postgresql_url: str) -> AsyncIterator[Gate]:
    gate = Gate(postgresql_url)
    await gate.open()
    yield gate
    gate.shut()


@pytest.fixture
async def service(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(ends, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(ends, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(ends, "WAIT_S", 0.05)
    async with open_service(tmp_path, database_url=gate.url, sweep_interval_s=3600) as opened:
        monkeypatch.setattr(postgresql, "CONNECT_TIMEOUT_S", 1)  # a busy machine may take longer at the start
        yield opened


async def test_sessions_end_while_the_database_is_away_and_their_ends_are_written_later(
    service: Service, gate: Gate
) -> None:
    ending = [await create(service) for _ in range(3 * SCALE)]
    other = await create(service)
    attached = [await service.services.live.attach(init(session)) for session in ending]
    beside = await service.services.live.attach(init(other))
    with structlog.testing.capture_logs() as logs:
        gate.shut()
        for session in ending:
            service.performer(session["session_id"]).die()
        for one in attached:
            with anyio.fail_after(TIMEOUT_S):
                assert await last_event(one) == SessionOver(reason=EndReason.PERFORMER_LOST)
        await beside.speak(speech(b"\0\0", utterance_id="a"))
        refused = await service.client.get("/v1/sessions")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "STORAGE_UNUSABLE")
        assert "127.0.0.1" not in refused.text and int(refused.headers["retry-after"]) > 0
        decided = {one: end.ended_at_ms for one, end in service.services.live.ends.unwritten.items()}
        assert decided.keys() == {session["session_id"] for session in ending}
        await gate.open()
        for session in ending:
            record = await wait_for_end(service, session["session_id"])
            assert (record.end_reason, record.ended_at_ms) == (EndReason.PERFORMER_LOST, decided[record.id])
        with anyio.fail_after(TIMEOUT_S):
            while service.services.live.ends.unwritten:  # noqa: ASYNC110 (the row is there before it is forgotten)
                await anyio.sleep(0.005)
    assert (await stored(service, other["session_id"])).status == "started"
    assert [log["event"] for log in logs].count("session_ends_not_written") == 1
    usage = (await service.client.get("/v1/usage")).json()["usage"]
    assert usage["concurrency"]["current"] == 1
    assert usage["included_minutes"]["used"] == len(ending) + 1, "each began one minute"


async def test_a_start_without_the_database_is_refused_and_can_be_repeated(service: Service, gate: Gate) -> None:
    session = await create(service, start=False)
    url = f"/v1/sessions/{session['session_id']}/start"
    with structlog.testing.capture_logs():
        gate.shut()
        assert (await service.client.put(url)).status_code == 503
        assert session["session_id"] not in service.fleet.performers
        await gate.open()
        assert (await service.client.put(url)).status_code == 200
    assert (await stored(service, session["session_id"])).status == "started"


async def test_a_database_that_goes_in_the_middle_of_a_start_leaves_no_place_taken(
    service: Service, gate: Gate
) -> None:
    """The claim of the place is written, and the start is not."""
    session = await create(service, start=False)
    url = f"/v1/sessions/{session['session_id']}/start"
    service.fleet.gate.clear()
    with structlog.testing.capture_logs():
        async with anyio.create_task_group() as tasks:
            answers: list[int] = []

            async def start() -> None:
                answers.append((await service.client.put(url)).status_code)

            tasks.start_soon(start)
            await service.fleet.allocation_requested.wait()
            gate.shut()
            service.fleet.gate.set()
        assert answers == [503]
        assert all(performer.ended for performer in service.fleet.performers.values()), "nobody performs it"
        await gate.open()
        with anyio.fail_after(TIMEOUT_S):
            while (await service.client.put(url)).status_code != 200:  # noqa: ASYNC110 (as a client does)
                await anyio.sleep(0.01)
    usage = (await service.client.get("/v1/usage")).json()["usage"]
    assert usage["concurrency"]["current"] == 1
