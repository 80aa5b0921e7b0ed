"""Opens the running server's database for a command, so that what the command changes takes effect there at once."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import TypeVar

from visavis import signals
from visavis.accounts.service import Accounts
from visavis.machine import file_modes
from visavis.settings import read_settings
from visavis.store.audit import Actor, acting
from visavis.store.database import Database

Result = TypeVar("Result")


def with_accounts(work: Callable[[Accounts], Awaitable[Result]], *, create: bool = False) -> Result:
    """Do work with the accounts of the database. `create`: make the database if there is none."""
    return with_database(lambda database: work(Accounts(database)), create=create)


def with_database(work: Callable[[Database], Awaitable[Result]], *, create: bool = False) -> Result:
    """Do work with the database. `create`: make it if there is none."""
    settings = read_settings()
    file_modes.apply(settings.data_mode)

    async def run() -> Result:
        database = await Database.open(settings.resolved_database_url, create=create)
        acting.set(Actor(kind="command", id=_user()))
        try:
            return await work(database)
        finally:
            await database.aclose()

    return signals.run(run())


def _user() -> str | None:
    """Return who runs the command; None where the system does not know."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
