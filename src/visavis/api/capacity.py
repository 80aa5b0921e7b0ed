"""/v1/capacity: how many sessions can still be started."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from visavis.api import presenters
from visavis.api.described import examples, refusals
from visavis.api.described.parts import answer
from visavis.api.schemas import server_schemas
from visavis.api.services import Caller, ServicesDep

router = APIRouter(prefix="/v1/capacity", tags=["capacity"])


@router.get(
    "",
    summary="Ask how many sessions can still be started",
    description="Of the whole server, not of the key: its plan is in the `usage` of a created session.",
    response_model=server_schemas.CapacityAnswer,
    responses=answer(200, {"Free": examples.CAPACITY, "Full": examples.NO_PLACES}) | refusals.v1(),
)
async def capacity(services: ServicesDep, _key: Caller) -> JSONResponse:
    return JSONResponse(presenters.capacity(services.fleet.capacity()).model_dump(mode="json"))
