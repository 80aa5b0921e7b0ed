"""`visavis plans` and `visavis accounts`, beside a running server."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.accounts.conftest import Visavis
from tests.fakes import FakeFleet, fake_prepare
from visavis.server import RunningServer
from visavis.settings import Settings


def test_a_running_server_follows_plans_and_purchases_at_once(tmp_path: Path, visavis: Visavis) -> None:
    with (
        RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server,
        httpx.Client(base_url=server.base_url, headers={"x-api-key": server.api_key}) as client,
    ):

        def usage() -> tuple[object, ...]:
            now = client.get("/v1/usage").json()["usage"]
            plan = now["plan"]
            return plan["key"], now["total_remaining"], now["concurrency"]["max"], plan["max_session_duration"]

        account_id = visavis("accounts", "list")[1].split()[0]
        assert usage() == ("unlimited", None, None, None)
        made = visavis("plans", "set", "small", "--name", "Small", "--concurrency", "1", "--minutes", "3")
        assert made[1].split() == ["small", "Small", "1", "3", "unlimited", "billed"]
        assert visavis("plans", "assign", account_id, "small") == [f"{account_id} is on the plan small"]
        assert usage() == ("small", 3, 1, None)
        visavis("plans", "set", "small", "--session-minutes", "30", "--concurrency", "unlimited")
        assert usage() == ("small", 3, None, 30)
        assert [line.split()[0] for line in visavis("plans", "list")] == ["KEY", "small", "unlimited"]
        (said,) = visavis("accounts", "credit", account_id, "50")
        assert said.startswith(f"{account_id} has 50 more minutes (purc_")
        assert usage() == ("small", 53, None, 30)
        face = {"avatar": "data:image/png;base64,YSBmYWNl"}
        assert client.post("/v1/sessions", json=face).json()["usage"]["minutes"] == {"total_remaining": 52}
        assert [line.split() for line in visavis("accounts", "usage", account_id)] == [
            ["MINUTES", "TOTAL", "USED", "LEFT"],
            ["included", "3", "1", "2"],
            ["purchased", "50", "0", "50"],
        ]


def test_what_does_not_exist_and_what_is_no_limit_is_refused(visavis: Visavis) -> None:
    visavis("keys", "create", "--name", "web")
    account_id = visavis("accounts", "list")[1].split()[0]
    assert "[PLAN_NOT_FOUND]" in visavis("plans", "assign", account_id, "none")[0]
    assert "[ACCOUNT_NOT_FOUND]" in visavis("plans", "assign", "acct_none", "unlimited")[0]
    assert "[ACCOUNT_NOT_FOUND]" in visavis("accounts", "credit", "acct_none", "5")[0]
    assert "[ACCOUNT_NOT_FOUND]" in visavis("accounts", "usage", "acct_none")[0]
    for wrong in (
        ("set", "Big Plan"),
        ("set", "big", "--concurrency", "many"),
        ("set", "big", "--minutes", "-1"),
        ("set", "big", "--session-minutes", "0"),
    ):
        assert "Invalid value" in " ".join(visavis("plans", *wrong)), wrong
    assert len(visavis("plans", "list")) == 2
