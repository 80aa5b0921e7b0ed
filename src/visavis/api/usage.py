"""/v1/usage: docs/reference/rest.md, "Usage"."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from visavis.api import presenters, schemas
from visavis.api.described import examples, refusals
from visavis.api.described.parts import answer
from visavis.api.services import Caller, ServicesDep

router = APIRouter(prefix="/v1/usage", tags=["usage"])


@router.get(
    "",
    summary="Get the usage of your account",
    description="In this month (UTC). Null figures are unlimited.",
    response_model=schemas.UsageAnswer,
    responses=answer(200, {"A plan with minutes": examples.ACCOUNT_USAGE, "Unlimited": examples.UNLIMITED_USAGE})
    | refusals.v1(),
)
async def usage(services: ServicesDep, key: Caller) -> JSONResponse:
    return JSONResponse(presenters.account_usage(await services.billing.usage_of(key)).model_dump(mode="json"))
