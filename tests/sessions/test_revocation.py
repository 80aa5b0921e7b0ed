"""Revoking a key ends its sessions and refuses its channels."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
import structlog.testing

from tests.conftest import Service, open_service
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, last_event, store, stored, wait_for_end
from visavis.channel.port import SessionOver
from visavis.errors import Unauthorized
from visavis.sessions import revocation
from visavis.sessions.lifecycle import EndReason
from visavis.store.records import SessionRecord

pytestmark = pytest.mark.anyio


async def revoke(service: Service) -> None:
    (record,) = [one for one in await service.services.accounts.all() if one.name == "tests"]
    await service.services.accounts.revoke(record.id)


async def another_session(service: Service) -> str:
    """Start a session of another key; return its id."""
    _, key = await service.services.accounts.create(name="other")
    face = {"avatar": "data:image/png;base64,YSBmYWNl"}
    answer = await service.client.post("/v1/sessions", json=face, headers={"x-api-key": key})
    session_id: str = answer.json()["session"]["session_id"]
    return session_id


async def test_a_revoked_key_loses_its_sessions_and_no_other_key_does(service: Service) -> None:
    live, waiting = await create(service), await create(service, start=False)
    others = await another_session(service)
    attached = await service.services.live.attach(init(live))
    await service.services.revocation.end_sessions()
    assert (await stored(service, live["session_id"])).status == "started"
    await revoke(service)
    await service.services.revocation.end_sessions()
    with anyio.fail_after(TIMEOUT_S):
        assert await last_event(attached) == SessionOver(reason="key_revoked")
    assert service.performer(live["session_id"]).ended
    for session in (live, waiting):
        record = await stored(service, session["session_id"])
        assert (record.status, record.end_reason) == ("ended", EndReason.KEY_REVOKED)
    assert (await stored(service, others)).status == "started"


async def test_a_channel_of_a_revoked_key_is_refused_before_its_session_has_ended(service: Service) -> None:
    session = await create(service)
    await revoke(service)
    with pytest.raises(Unauthorized, match="API key has been deactivated"):
        await service.services.live.attach(init(session))
    with pytest.raises(Unauthorized, match="Invalid access token"):
        await service.services.live.attach(init(session, token="x"))


async def test_the_server_detects_a_revocation_by_polling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "POLL_INTERVAL_S", 0.01)
    async with open_service(tmp_path) as service:
        session = await create(service)
        await revoke(service)
        assert (await wait_for_end(service, session["session_id"])).end_reason == EndReason.KEY_REVOKED


async def test_a_session_that_was_being_started_when_its_key_was_revoked_ends_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "POLL_INTERVAL_S", 0.01)
    async with open_service(tmp_path) as service:
        session = await create(service, start=False)
        service.fleet.gate.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.client.put, f"/v1/sessions/{session['session_id']}/start")
            await service.fleet.allocation_requested.wait()
            await revoke(service)
            service.fleet.gate.set()
        assert (await wait_for_end(service, session["session_id"])).end_reason == EndReason.KEY_REVOKED


async def test_an_error_does_not_stop_the_polling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "POLL_INTERVAL_S", 0.01)
    async with open_service(tmp_path) as service:
        waiting = await create(service, start=False)
        await another_session(service)  # the server asks while sessions are performed
        read, failures = store(service).created_of, iter([OSError("disk full")])

        async def read_or_fail(key_id: str) -> list[SessionRecord]:
            for failure in failures:
                raise failure
            return await read(key_id)

        monkeypatch.setattr(store(service), "created_of", read_or_fail)
        with structlog.testing.capture_logs() as logs:
            await revoke(service)
            assert (await wait_for_end(service, waiting["session_id"])).end_reason == EndReason.KEY_REVOKED
        assert [log["event"] for log in logs if log["log_level"] == "error"] == ["revocation_failed"]
