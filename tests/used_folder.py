"""Data folders on which a server of this machine has run before: it starts with a third of the work. The first server
on a new folder runs all migrations, and its first stage draws for a second to measure the machine.
"""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

from tests import sqlite_template
from visavis.accounts.service import Accounts
from visavis.library.prepared import FOLDER
from visavis.stage.calibration import measure, remember
from visavis.stage.costs import Measurement
from visavis.stage.parts import built_in
from visavis.store.database import Database


def used_before(data_dir: Path) -> Path:
    """Make the folder, if there is none, and return it, with what was measured and, unless it has one, a database."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    remember(data_dir, _measured())
    database = data_dir / "visavis.db"
    if not database.exists():
        database.touch(mode=0o600)
        database.write_bytes(sqlite_template.migrated())
    return data_dir


@functools.cache
def _measured() -> Measurement:
    parts = built_in()
    return measure(parts.load_avatar(FOLDER / "iris"), parts)


def create_key(data_dir: Path, name: str = "tests") -> str:
    """Create a key as `visavis keys create` does, which takes a second as a command (tests/accounts has its tests)."""

    async def create() -> str:
        database = await Database.open(f"sqlite+aiosqlite:///{data_dir / 'visavis.db'}")
        try:
            return (await Accounts(database).create(name=name))[1]
        finally:
            await database.aclose()

    return asyncio.run(create())
