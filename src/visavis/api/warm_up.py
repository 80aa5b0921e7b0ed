"""What a server does first, while it already answers: it starts a stage, prepares the library and rehearses."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import structlog

from visavis.api.services import Services
from visavis.avatars.library import install_library
from visavis.ids import new_id
from visavis.library import LibraryPortrait
from visavis.sessions.allocation import allocate
from visavis.stage.port.values import PerformanceSpec
from visavis.store.records import AvatarRecord

log = structlog.get_logger()


async def warm_up(services: Services, portraits: Sequence[LibraryPortrait]) -> None:
    """Start the first stage, and prepare what the library brings no pack for; then let the default avatar rehearse, so
    that the first client need not wait for it.

    A server that cannot do one of these still answers, says so in /readyz, and tries again.
    """
    ready = services.readiness
    default: AvatarRecord | None = None
    stage_tried = anyio.Event()

    async def warm_stage() -> None:
        try:
            await services.fleet.start()
            ready.stage = True
        except Exception:  # the outermost edge of the warming up
            log.exception("stage_not_started")
        stage_tried.set()

    async def default_there(look: AvatarRecord) -> None:
        """The default avatar rehearses before the rest of the library is prepared: clients need not wait for that."""
        await stage_tried.wait()
        if ready.stage:
            await rehearse(look)

    async def rehearse(look: AvatarRecord) -> None:
        try:
            if not services.settings.fleet:  # there machines are many, and a session would need a row
                await _rehearse(services, look)
            ready.default_avatar = True
        except Exception:  # the outermost edge of the warming up
            log.exception("default_avatar_cannot_perform")

    while True:
        async with anyio.create_task_group() as tasks:
            if not ready.stage:
                tasks.start_soon(warm_stage)
            if default is None and portraits:
                try:
                    default = await install_library(services.avatars, portraits, default_there)
                except Exception:  # the outermost edge of the warming up
                    log.exception("library_not_installed")
        if ready.stage and default is not None and not ready.default_avatar:
            await rehearse(default)
        if ready.stage and (ready.default_avatar or not portraits):
            return
        await anyio.sleep(services.settings.sweep_interval_s)


async def _rehearse(services: Services, look: AvatarRecord) -> None:
    """Have a stage load the avatar once, unseen. Raises what `Fleet.allocate` raises: then it cannot perform."""
    session_id = new_id("sess")
    performer, _ = await allocate(
        services.fleet, services.avatars, look.id, lambda pack: PerformanceSpec(session_id=session_id, pack=pack)
    )
    await performer.end()
