"""`visavis stage` with a token of the fleet: runs the stages of this machine, which servers find in the database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from visavis import signals
from visavis.errors import SettingInvalid
from visavis.fleet.admission import Limits
from visavis.logs import configure_logs
from visavis.machine.cores import cores as given_cores
from visavis.machine.cores import processes_for
from visavis.orphans import Orphans
from visavis.settings import read_settings
from visavis.stage.given_files import check_cache, read_token
from visavis.stage.port.address import Address
from visavis.store.database import sqlite_path
from visavis.supervisor.processes import ProcessOptions
from visavis.supervisor.supervisor import Supervisor, SupervisorOptions
from visavis.tls.authority import parse_host

EVERYWHERE = ("0.0.0.0", "::")


def run(
    *,
    listen: str,
    fleet_token_file: Path,
    address: str | None,
    labels: Mapping[str, str],
    cache: Path,
    log_json: bool = False,
) -> None:
    """Perform until SIGTERM or SIGINT, and then until the sessions are over or VISAVIS_DRAIN_S has passed; a second
    signal ends them at once. `address`: where servers reach this machine, if not where it listens.

    Raises `SettingInvalid`, `FileUnusable` for a cache that cannot be written, `StageNotAdmitted` if the database does
    not admit this machine, and `PerformerLost` if a stage process does not start.
    """
    settings = read_settings()
    if settings.database_url is None or sqlite_path(settings.resolved_database_url) is not None:
        raise SettingInvalid(
            "A stage of a fleet needs the fleet's PostgreSQL",
            suggestion="Set VISAVIS_DATABASE_URL to what `visavis db stage-role` prints",
        )
    listens = _parse(listen)
    host = _reached_host(address or listens.host)
    check_cache(cache)
    configure_logs(level=settings.log_level, as_json=log_json or settings.log_json)
    options = SupervisorOptions(
        database_url=settings.resolved_database_url,
        token=read_token(fleet_token_file),
        host=host,
        labels=labels,
        drain_s=settings.drain_s,
        processes=ProcessOptions(
            listen=listens,
            count=settings.stages or processes_for(settings.cores or given_cores()),
            cache=cache,
            network=settings.media_network,
            limits=Limits.of(settings),
            log_json=log_json or settings.log_json,
        ),
    )
    asyncio.run(_supervise(Supervisor(options)))


async def _supervise(supervisor: Supervisor) -> None:
    for number in signals.ENDING_SERVICE:
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stop)
    reaping = asyncio.create_task(Orphans().run()) if os.getpid() == 1 else None  # of a container
    try:
        await supervisor.run(lambda: print("This machine performs sessions of the fleet", flush=True))
    finally:
        if reaping is not None:
            reaping.cancel()


def _reached_host(text: str) -> str:
    """Raises `SettingInvalid` for a name or an address by which no other machine reaches this one."""
    try:
        host = str(parse_host(text))
    except ValueError as error:
        raise SettingInvalid(f"--address: {error}") from None
    if host in EVERYWHERE:
        raise SettingInvalid(
            f"{host} is where this machine listens, and no address of it",
            suggestion="Say with --address by which name or address servers reach this machine",
        )
    return host


def _parse(text: str) -> Address:
    try:
        address = Address.parse(text)
    except ValueError as error:
        raise SettingInvalid(str(error)) from None
    if address.path is not None:
        raise SettingInvalid("--listen takes wss://HOST:PORT")
    return address
