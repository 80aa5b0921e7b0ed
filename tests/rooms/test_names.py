"""Addresses and names at which viewers reach a machine, resolved for each viewer."""

from __future__ import annotations

import anyio
import pytest
import structlog.testing

from visavis.rooms import names
from visavis.rooms.names import ReachableAddresses

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Resolver:
    """Knows names, until it knows them otherwise. `gate`: what every look-up waits for, if set."""

    def __init__(self, **known: list[str]) -> None:
        self.known = known
        self.gate: anyio.Event | None = None
        self.asked: list[str] = []

    async def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        if self.gate is not None:
            await self.gate.wait()
        if name not in self.known:
            raise OSError("unknown")
        return self.known[name]


async def test_a_name_is_resolved_anew_for_each_viewer() -> None:
    resolver = Resolver(home=["203.0.113.1"])
    reachable = ReachableAddresses(["198.51.100.9", "home", "2001:db8::9"], resolver)
    assert await reachable.now() == ["198.51.100.9", "203.0.113.1", "2001:db8::9"]
    resolver.known["home"] = ["203.0.113.2", "2001:db8::9"]
    assert await reachable.now() == ["198.51.100.9", "203.0.113.2", "2001:db8::9"]


async def test_a_name_that_cannot_be_resolved_keeps_its_last_addresses_and_is_logged_once() -> None:
    resolver = Resolver(home=["203.0.113.1"])
    reachable = ReachableAddresses(["home", "nowhere"], resolver)
    with structlog.testing.capture_logs() as logs:
        assert await reachable.now() == ["203.0.113.1"]
        del resolver.known["home"]
        assert await reachable.now() == ["203.0.113.1"] == await reachable.now()
    assert [log["name"] for log in logs if log["event"] == "viewer_address_unknown"] == ["nowhere", "home"]


async def test_a_slow_look_up_holds_no_viewer_and_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "LOOK_UP_WAIT_S", 0.02)
    resolver = Resolver(home=["203.0.113.1"])
    resolver.gate = anyio.Event()
    reachable = ReachableAddresses(["home"], resolver)
    assert await reachable.now() == [] == await reachable.now()
    assert resolver.asked == ["home"], "one look-up at a time"
    monkeypatch.setattr(names, "LOOK_UP_WAIT_S", 20)
    resolver.gate.set()
    assert await reachable.now() == ["203.0.113.1"]
    resolver.gate = anyio.Event()
    monkeypatch.setattr(names, "LOOK_UP_WAIT_S", 0.02)
    assert await reachable.now() == ["203.0.113.1"], "what was known before"
    await reachable.aclose()
