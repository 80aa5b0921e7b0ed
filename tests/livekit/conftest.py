from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from visavis_client import AsyncSession, AsyncVisavis

from tests.livekit.agent import Agent
from tools.livekit.server import PROGRAM, LiveKitServer, running
from visavis.server import RunningServer


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A real livekit-server."""
    try:
        PROGRAM.build()
    except FileNotFoundError:
        pytest.skip("no livekit-server can be built: there is no Go")
    with running(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest.fixture
async def client(server: RunningServer) -> AsyncIterator[AsyncVisavis]:
    async with AsyncVisavis(server.base_url, server.api_key, retries=0) as opened:
        yield opened


@pytest.fixture
async def agent(livekit: LiveKitServer) -> AsyncIterator[Agent]:
    """An agent in a room of its own."""
    joined = Agent(livekit, f"room-{secrets.token_hex(6)}")
    await joined.join()
    yield joined
    await joined.leave()


@pytest.fixture
async def session(client: AsyncVisavis, livekit: LiveKitServer, agent: Agent) -> AsyncIterator[AsyncSession]:
    """A session whose avatar is in the agent's room."""
    opened = await start(client, livekit, agent)
    yield opened
    await opened.end()


async def start(
    client: AsyncVisavis,
    livekit: LiveKitServer,
    agent: Agent,
    *,
    of: str | None = None,
    hold_for_viewer_s: float | None = None,
    features: Sequence[str] = (),
    **options: int,
) -> AsyncSession:
    """Start a session in the room of `agent`. `of`: the agent that the avatar's token names. `features`: of its
    channel, which nobody has to open.
    """
    avatar = (await client.avatars.public())[0]
    attributes = {"lk.publish_on_behalf": of or agent.identity}
    room = {
        "platform": "livekit",
        "url": livekit.url,
        "token": livekit.token(agent.room_name, agent.served_by, kind="agent", **attributes),
        "hold_for_viewer_s": hold_for_viewer_s,
    }
    wanted = {"options": options} if options else None
    return await client.sessions.create(
        avatar=avatar.id, room=room, aspect_ratio="1:1", features=features, options=wanted
    )
