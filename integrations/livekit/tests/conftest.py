from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from scene import Scene
from visavis_client import AsyncVisavis

NEEDED = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "VISAVIS_API_URL", "VISAVIS_API_KEY")


FULL = os.environ.get("VISAVIS_CONFORMANCE") == "full"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `make conformance` runs. Skip what needs servers where none is named:
    `tests/livekit/test_plugin.py` of the repository starts them.
    """
    long = [item for item in items if item.get_closest_marker("conformance") and not FULL]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
    missing = [name for name in NEEDED if name not in os.environ]
    for item in items:
        if missing and "scene" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing)} are not set"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    opened = Scene()
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def client() -> AsyncIterator[AsyncVisavis]:
    async with AsyncVisavis() as opened:
        yield opened
