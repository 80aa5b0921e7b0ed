"""API keys: created, shown once, listed and revoked, by the service and by commands while a server runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Column
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.accounts.conftest import Visavis
from tests.conftest import Service, open_service
from tests.fakes import FakeFleet, fake_prepare
from visavis.accounts.keys import has_key_form, hash_key, new_key
from visavis.accounts.service import Accounts
from visavis.errors import ApiKeyRefused
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.store.database import Database

TIMEOUT_S = 30.0


def test_keys_have_the_published_form_and_are_unique() -> None:
    keys = [new_key(test=test) for test in (False, True) * 50]
    assert len(set(keys)) == 100
    for key, kind in zip(keys, ("live", "test") * 50, strict=True):
        assert re.fullmatch(f"ah_{kind}_[A-Za-z0-9]{{32}}", key)
        assert has_key_form(key)
    assert not any(
        has_key_form(text) for text in ("", "ah_live_", keys[0] + "a", "ah_prod_" + "a" * 32, keys[0][:-1] + "é")
    )


@pytest.mark.anyio
async def test_the_data_folder_contains_no_key(service: Service, tmp_path: Path) -> None:
    record, key = await service.services.accounts.create(name="shown once")
    assert record.hash == hash_key(key)
    for path in tmp_path.rglob("*"):  # noqa: ASYNC240
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path


@pytest.mark.anyio
async def test_a_first_key_is_made_once(tmp_path: Path, database_url: str) -> None:
    async with open_service(tmp_path / "used") as used:
        assert await used.services.accounts.create_first() is None
        (record,) = await used.services.accounts.all()
        await used.services.accounts.revoke(record.id)
        assert await used.services.accounts.create_first() is None
    database = await Database.open(database_url)
    accounts = Accounts(database)
    assert not await accounts.any_exists()
    first = await accounts.create_first()
    assert first is not None and (await accounts.authenticate(first[1])).name == "first key"
    assert await accounts.create_first() is None
    await database.aclose()


@pytest.mark.anyio
async def test_the_time_of_the_last_use_is_stored(service: Service) -> None:
    record, key = await service.services.accounts.create(name="used")
    await service.client.get("/v1/sessions", headers={"x-api-key": key})
    await service.services.accounts.save_uses()
    (used,) = [one for one in await service.services.accounts.all() if one.id == record.id]
    assert used.last_used_at_ms is not None and used.last_used_at_ms >= record.created_at_ms


def test_commands_take_effect_on_a_running_server_at_once(tmp_path: Path) -> None:
    def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "visavis.cli", "keys", *arguments]
        return subprocess.run(
            command, env=os.environ | {"VISAVIS_DATA_DIR": str(tmp_path)}, capture_output=True, text=True, check=False
        )

    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        url = server.base_url + "/v1/sessions"
        made = keys("create", "--name", "bot", "--test")
        key = made.stdout.strip()
        assert made.returncode == 0 and made.stdout == key + "\n" and has_key_form(key) and key.startswith("ah_test_")
        assert httpx.get(url, headers={"x-api-key": key}).status_code == 200
        listed = keys("list").stdout
        line = next(line for line in listed.splitlines() if " bot " in line)
        assert "active" in line and key not in listed and line.split()[0].startswith("key_")
        face = {"avatar": "data:image/png;base64,YSBmYWNl"}
        session = httpx.post(url, json=face, headers={"x-api-key": key}).json()["session"]
        init = {"type": "session.init"} | {name: session[name] for name in ("session_id", "session_token")}
        with connect(server.base_url.replace("http", "ws") + "/v1/channel") as channel:
            channel.send(json.dumps(init))
            assert json.loads(channel.recv())["type"] == "connection.established"
            assert keys("revoke", line.split()[0]).returncode == 0
            with pytest.raises(ConnectionClosed) as closed:
                channel.recv(TIMEOUT_S)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "key_revoked")
        with connect(server.base_url.replace("http", "ws") + "/v1/channel") as channel:
            channel.send(json.dumps(init))
            assert json.loads(channel.recv())["error"] == "API key has been deactivated"
        deadline_s = time.monotonic() + TIMEOUT_S
        while (answer := httpx.get(url, headers={"x-api-key": key})).status_code == 200:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)  # polls another process; no test asserts how long this takes
        assert answer.json() == {"error": "API key has been deactivated"}
        assert "revoked" in next(line for line in keys("list").stdout.splitlines() if " bot " in line)
        unknown = keys("revoke", "key_none")
        assert unknown.returncode == 1 and "KEY_NOT_FOUND" in unknown.stderr and "Traceback" not in unknown.stderr


def test_a_link_to_the_console_needs_a_key_of_an_operator(visavis: Visavis) -> None:
    visavis("keys", "create", "--name", "web")
    (refused,) = visavis("keys", "sign-in", "--console")
    assert "KEY_NOT_FOUND" in refused and "--scope admin" in refused
    visavis("keys", "create", "--name", "operator", "--scope", "admin")
    (address,) = visavis("keys", "sign-in", "--console", "--url", "https://avatars.example.org")
    assert address.startswith("https://avatars.example.org/console#code=")


@pytest.mark.anyio
async def test_a_key_that_another_process_revokes_stops_within_a_second(database_url: str) -> None:
    database, now_s = await Database.open(database_url), 100.0
    here, elsewhere = Accounts(database, clock_s=lambda: now_s), Accounts(database)
    record, key = await here.create(name="one")
    other, another = await here.create(name="two")
    for used in (key, another):
        await here.authenticate(used)
    await elsewhere.revoke(record.id)
    await elsewhere.rotate(other.id, overlap_ms=0)
    now_s += 1.0
    for used, said in ((key, "deactivated"), (another, "expired")):
        with pytest.raises(ApiKeyRefused, match=said):
            await here.authenticate(used)
    third, used = await here.create(name="three")
    await here.authenticate(used)
    await here.revoke(third.id)
    with pytest.raises(ApiKeyRefused, match="deactivated"):
        await here.authenticate(used)
    await database.aclose()


@pytest.mark.anyio
async def test_a_key_in_use_is_read_twice_a_second(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database, now_s = await Database.open(database_url), 100.0
    accounts, reads = Accounts(database, clock_s=lambda: now_s), 0
    _, key = await accounts.create(name="one")
    rows_by = database.rows_by

    async def counted(column: Column[str], values: Collection[str]) -> list[dict[str, Any]]:
        nonlocal reads
        reads += 1
        return await rows_by(column, values)

    monkeypatch.setattr(database, "rows_by", counted)
    for _ in range(100):
        await accounts.authenticate(key)
        now_s += 0.01
    assert reads == 2
    await database.aclose()
