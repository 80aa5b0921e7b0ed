"""Whether the server is alive, and whether it can perform. Both answer at once, from what probes.py knows.

A server that is merely busy is alive, and one that is full is ready: neither is told apart by its status.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from starlette.responses import JSONResponse

from visavis.api.described import examples
from visavis.api.described.parts import answer
from visavis.api.schemas.server_schemas import Alive, Ready
from visavis.api.services import Services, ServicesDep

router = APIRouter(tags=["health"])


STARTING_AGAIN_S = 1  # a start takes seconds
AGAIN_S = 5

_STARTING = answer(
    503,
    {"Starting": examples.STARTING, "Unready": examples.UNREADY},
    description="Not now; try again after Retry-After",
)
_STARTING[503] |= {"model": Ready, "headers": {"Retry-After": {"required": True, "schema": {"type": "integer"}}}}


@router.get(
    "/healthz",
    summary="Is the server alive",
    response_model=Alive,
    responses=answer(200, {"Alive": examples.ALIVE}),
)
async def healthz(services: ServicesDep) -> JSONResponse:
    return JSONResponse(Alive(event_loop_delay_ms=services.probes.loop.longest_ms).model_dump())


@router.get(
    "/readyz",
    summary="Can the server perform",
    response_model=Ready,
    responses=answer(200, {"Ready": examples.READY}) | _STARTING,
)
async def readyz(services: ServicesDep) -> JSONResponse:
    body = readiness_of(services)
    if body.status == "ready":
        return JSONResponse(body.model_dump())
    again_s = STARTING_AGAIN_S if body.status == "starting" else AGAIN_S
    return JSONResponse(body.model_dump(), 503, headers={"Retry-After": str(again_s)})


def readiness_of(services: Services) -> Ready:
    started = services.readiness
    stage = services.fleet.problem() if started.stage else "No stage process is running yet"
    avatar = None if started.default_avatar else "The default avatar has not been performed yet"
    database = services.probes.database.problem or services.live.ends.problem
    disk = services.probes.disk.problem
    failed = services.vitals.failed
    broken = None if failed is None else f"The task {failed!r} has failed, so the server stops"
    problems = [problem for problem in (stage, avatar, database, disk, broken) if problem is not None]
    status: Literal["ready", "starting", "stopping", "unready"] = "ready"
    if services.live.starts.stopped or broken is not None:
        status = "stopping"
    elif not started.is_complete:
        status = "starting"
    elif problems:
        status = "unready"
    return Ready(
        status=status,
        default_avatar=started.default_avatar,
        stage=stage is None,
        database=database is None,
        disk=disk is None,
        problems=problems,
    )
