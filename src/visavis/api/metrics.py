"""What an operator measures: the metrics of one session, and those of the server for Prometheus."""

from __future__ import annotations

import hmac
from dataclasses import asdict

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from visavis.api import presenters
from visavis.api.described import sessions as described
from visavis.api.services import Caller, Services, ServicesDep
from visavis.api.this_machine import comes_from_this_machine
from visavis.errors import AccessDenied, Unauthorized
from visavis.telemetry.metrics import State

router = APIRouter(tags=["metrics"])


@router.get("/v1/sessions/{session_id}/metrics", **described.METRICS)
async def session_metrics(session_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    record = await services.sessions.get(key, session_id)
    metrics = services.live.metrics_of(record)
    return JSONResponse(presenters.session_metrics(record, metrics).model_dump(mode="json"))


@router.get("/metrics", include_in_schema=False)
async def server_metrics(request: Request, services: ServicesDep) -> Response:
    _check_reader(request, services)
    text = services.live.observer.metrics.exposition(_state(services))
    return Response(text, headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE_LATEST})


def _check_reader(request: Request, services: Services) -> None:
    """Raises `Unauthorized` for a wrong token. Without a token in the settings, raises `AccessDenied` for requests from
    other machines, also those that a proxy on this machine passes on.
    """
    token = services.settings.metrics_token
    if token is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        expected = token.get_secret_value().encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected):
            raise Unauthorized("The token of the metrics is required", suggestion="Send Authorization: Bearer <token>")
    elif not comes_from_this_machine(request):
        raise AccessDenied(
            "Only this machine may read the metrics", suggestion="Set VISAVIS_METRICS_TOKEN to read them from others"
        )


def _state(services: Services) -> State:
    table = services.live.table
    running = list(table.running.values())
    capacity = services.fleet.capacity()
    return State(
        running=len(running),
        starting=len(table.starting),
        most_sessions=capacity.most_sessions,
        viewers=sum(session.viewers for session in running),
        channels=sum(session.has_channel for session in running),
        queued_s=sum(session.metrics.last.queued_s for session in running),
        cores=asdict(capacity.cores),
        fleet=asdict(capacity.room),
        frame_rate=presenters.FULL_RATE_FPS * capacity.rate,
        reports=services.fleet.reports(),
    )
