"""Databases without a schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
        return
    cluster = request.getfixturevalue("postgresql_cluster")
    url = postgresql.new_database(cluster, migrated=False)
    yield url
    postgresql.drop_database(cluster, url)
