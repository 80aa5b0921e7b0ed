"""Whether the server is alive, and whether it can perform."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from visavis.api.described import examples
from visavis.api.described.parts import answer
from visavis.api.schemas import Alive, Ready
from visavis.api.services import ServicesDep

router = APIRouter(tags=["health"])


_STARTING = answer(503, {"Starting": examples.STARTING}, description="Not yet; try again after Retry-After")
_STARTING[503] |= {"model": Ready, "headers": {"Retry-After": {"required": True, "schema": {"type": "integer"}}}}


@router.get(
    "/healthz",
    summary="Is the server alive",
    response_model=Alive,
    responses=answer(200, {"Alive": examples.ALIVE}),
)
async def healthz() -> JSONResponse:
    return JSONResponse(Alive().model_dump())


@router.get(
    "/readyz",
    summary="Can the server perform",
    response_model=Ready,
    responses=answer(200, {"Ready": examples.READY}) | _STARTING,
)
async def readyz(services: ServicesDep) -> JSONResponse:
    ready = services.readiness.default_avatar and services.readiness.stage
    body = Ready(
        status="ready" if ready else "starting",
        default_avatar=services.readiness.default_avatar,
        stage=services.readiness.stage,
    )
    return JSONResponse(body.model_dump(), 200 if ready else 503, headers={} if ready else {"Retry-After": "1"})
