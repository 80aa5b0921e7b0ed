"""The API on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Service, open_service


@pytest.fixture
async def service(tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    """The service with fakes, once on each database."""
    async with open_service(tmp_path, database_url=database_url) as opened:
        yield opened
