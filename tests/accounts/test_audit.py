"""The audit log: who has changed what, from where; and no secret in it, in the database or in the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Service, open_service
from visavis.accounts.commands import audit, keys, plans
from visavis.store.audit import AuditStore

pytestmark = pytest.mark.anyio


async def entries(service: Service) -> list[tuple[str, str, str | None]]:
    """(action, who, address), the oldest first."""
    found = await service.services.accounts.audit(limit=100)
    told = [(one.action, one.actor if one.actor_id is None else one.actor_id, one.address) for one in found]
    return told[::-1]


async def test_what_keys_do_is_told_with_their_address(service: Service) -> None:
    key = await service.services.accounts.authenticate(service.key)
    made = await service.client.post("/v1/webhooks", json={"url": "http://192.0.2.1/"})
    assert made.status_code == 400  # what is refused changes nothing
    hook = (await service.client.post("/v1/webhooks", json={"url": "http://nowhere.invalid/"})).json()["webhook"]
    url = f"/v1/webhooks/{hook['webhook_id']}"
    await service.client.patch(url, json={"events": ["session.ended"]})
    await service.client.post(f"{url}/rotate")
    await service.client.patch(url, json={"enabled": False})
    await service.client.patch(url, json={"enabled": True})
    await service.client.delete(url)
    await service.client.delete(f"/v1/avatars/{service.look_id}")
    told = await entries(service)
    assert told[0] == ("key.created", "server", None)
    assert [action for action, *_ in told[1:]] == [
        "webhook.created",
        "webhook.changed",
        "webhook.secret_rotated",
        "webhook.disabled",
        "webhook.enabled",
        "webhook.deleted",
        "avatar.deleted",
    ]
    assert {(who, address) for _, who, address in told[1:]} == {(key.id, "127.0.0.1")}


def test_what_commands_do_is_told_with_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    keys.create_key(name="first", test=False, account_id=None, scopes=(), sources=(), days=None)
    key = capsys.readouterr().out.strip()
    plans.set_plan("small", {"max_concurrency": 2})
    audit.show_audit(account_id=None, limit=10)
    printed = capsys.readouterr().out
    assert "command ann" in printed and "key.created" in printed and "plan.changed" in printed
    assert '{"max_concurrency": 2}' in printed
    assert key not in printed


async def test_no_secret_is_in_the_log_in_the_database_or_in_the_data_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_service(tmp_path, log_level="debug", webhook_networks=("127.0.0.0/8",)) as service:
        hook = (
            await service.client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/?token=query-secret"})
        ).json()
        rotated = (await service.client.post(f"/v1/webhooks/{hook['webhook']['webhook_id']}/rotate")).json()
        made = await service.client.post(
            "/v1/sessions", json={"avatar_id": service.look_id}, headers={"Idempotency-Key": "once"}
        )
        session = made.json()["session"]
        await service.client.put(f"/v1/sessions/{session['session_id']}/start")
        await service.client.put(f"/v1/sessions/{session['session_id']}/end")
        _, second = await service.services.accounts.create(name="second")
        await service.client.get("/v1/sessions", headers={"x-api-key": second})
        told = json.dumps(
            [str(one) for one in await AuditStore(service.services.accounts._keys._database).newest(limit=99)]
        )
    tokens = [session["access_token"], session["daily_room"]["token"]]
    hidden = [service.key, second, hook["secret"], rotated["secret"], *tokens]
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())  # noqa: ASYNC240
    logged = "".join((*capfd.readouterr(), caplog.text))
    assert b"visavis" in stored or stored
    for secret in (*hidden, *(one.removeprefix("whsec_") for one in hidden)):
        assert secret.encode() not in stored and secret not in logged and secret not in told
    assert "query-secret" not in logged and "query-secret" not in told
