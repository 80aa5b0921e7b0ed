"""Whether the server is alive, and whether it can perform."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse

from visavis.api.services import ServicesDep

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    status: str


class Ready(BaseModel):
    status: str
    default_avatar: bool
    stage: bool


@router.get("/healthz", summary="Is the server alive", response_model=Alive)
async def healthz() -> JSONResponse:
    return JSONResponse({"status": "ok"})


@router.get("/readyz", summary="Can the server perform", response_model=Ready, responses={503: {"model": Ready}})
async def readyz(services: ServicesDep) -> JSONResponse:
    ready = services.readiness.default_avatar and services.readiness.stage
    body = {
        "status": "ready" if ready else "starting",
        "default_avatar": services.readiness.default_avatar,
        "stage": services.readiness.stage,
    }
    return JSONResponse(body, 200 if ready else 503, headers={} if ready else {"Retry-After": "1"})
