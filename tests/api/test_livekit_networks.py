"""Which LiveKit servers a caller may have an avatar join: by setting, and by who asks."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.conftest import InProcess, Service, open_service
from visavis.rooms.spec import ANYWHERE, LiveKitRoomSpec

pytestmark = pytest.mark.anyio

OWN = {
    "livekit_url": "wss://livekit.example.com",
    "livekit_api_key": "key",
    "livekit_api_secret": "secret-of-the-operator-of-this-server",
}


async def networks(
    service: Service,
    *,
    to: str = "http://127.0.0.1:8000",
    by: str = "127.0.0.1",
    url: str = "ws://127.0.0.1:7880",
    **headers: str,
) -> tuple[str, ...]:
    """Create a session. Return what the stage is told. `to`: this server's address; `by`: the caller's."""
    transport = InProcess(service.app, client=(by, 50000))
    async with httpx.AsyncClient(transport=transport, base_url=to, headers={"x-api-key": service.key}) as client:
        created = await client.post(
            "/v1/sessions",
            json={"avatar": service.look_id, "room": {"platform": "livekit", "url": url, "token": "eyJ"}},
            headers=headers,
        )
    assert created.status_code == 201, created.text
    room = service.performer(created.json()["session"]["session_id"]).spec.room
    assert isinstance(room, LiveKitRoomSpec)
    return room.networks


async def test_a_server_for_this_machine_reaches_what_its_callers_reach(tmp_path: Path) -> None:
    async with open_service(tmp_path, listens_to_loopback=True) as service:
        assert await networks(service) == ANYWHERE
        assert await networks(service, to="http://localhost:8000") == ANYWHERE
        assert await networks(service, to="http://[::1]:8000", by="::1") == ANYWHERE
        # what a proxy on this machine passes on
        assert await networks(service, **{"X-Forwarded-For": "192.0.2.1"}) == ()
        assert await networks(service, to="http://avatars.example.com") == ()
        assert await networks(service, by="192.0.2.1") == ()


async def test_a_server_for_others_reaches_the_public_internet_alone(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        assert await networks(service) == ()


@pytest.mark.parametrize(
    "settings",
    [
        {"public_url": "https://avatars.example.com"},
        {"trusted_proxies": ("127.0.0.1",)},
        {"livekit_networks": ()},
    ],
    ids=lambda chosen: next(iter(chosen)),
)
async def test_a_server_behind_a_proxy_does_too(tmp_path: Path, settings: dict[str, object]) -> None:
    async with open_service(tmp_path, listens_to_loopback=True, **settings) as service:  # type: ignore[arg-type]
        assert await networks(service) == ()


async def test_the_operator_names_networks_and_its_own_server_stands_anywhere(tmp_path: Path) -> None:
    async with open_service(tmp_path, livekit_networks=("10.0.0.0/8",), **OWN) as service:  # type: ignore[arg-type]
        assert await networks(service) == ("10.0.0.0/8",)
        assert await networks(service, url="https://livekit.example.com:443/") == ANYWHERE
        assert await networks(service, url="wss://livekit.example.com:444") == ("10.0.0.0/8",)


NO_PORTS = ["ws://127.0.0.1:0", "ws://127.0.0.1:70000", "ws://127.0.0.1:port", "ws://[::1"]


async def test_an_address_without_a_real_port_is_no_address(service: Service) -> None:
    for url in NO_PORTS:
        refused = await service.client.post(
            "/v1/sessions",
            json={"avatar": service.look_id, "room": {"platform": "livekit", "url": url, "token": "eyJ"}},
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_REQUEST"), url
