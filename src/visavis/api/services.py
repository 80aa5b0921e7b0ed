"""What the handlers work with: one object, made when the application starts and found in its state."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import HTTPConnection

from visavis.accounts.sealing import AnswerSeal
from visavis.accounts.service import Accounts
from visavis.accounts.sign_ins import SignIns
from visavis.api.addresses import Addresses
from visavis.api.operator_cookie import OperatorCookies
from visavis.api.probes import Probes
from visavis.api.relay import Relay
from visavis.api.request_limits import RequestLimits
from visavis.avatars.picture_signatures import PictureSigner
from visavis.avatars.service import Avatars
from visavis.channel.conversation import Conversations
from visavis.fleet.port import Fleet
from visavis.sessions.backgrounds import Backgrounds
from visavis.sessions.billing import Billing
from visavis.sessions.claims import Claims
from visavis.sessions.isolated_tasks import Vitals
from visavis.sessions.live_sessions import LiveSessions
from visavis.sessions.meter import Meter
from visavis.sessions.retention import Retention
from visavis.sessions.revocation import Revocation
from visavis.sessions.server_lease import ServerLease
from visavis.sessions.service import Sessions
from visavis.sessions.stage_sources import StageSources
from visavis.settings import Settings
from visavis.store.idempotency import IdempotencyStore
from visavis.store.records import KeyRecord
from visavis.store.usage_reports import UsageReports
from visavis.timestamps import now_ms
from visavis.webhooks.dispatcher import Dispatcher
from visavis.webhooks.service import Webhooks

_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(slots=True, kw_only=True)
class Readiness:
    """What must have happened before the server can perform; each is set once."""

    default_avatar: bool = False
    stage: bool = False

    @property
    def is_complete(self) -> bool:
        return self.default_avatar and self.stage


@dataclass(slots=True, kw_only=True)
class Services:
    settings: Settings
    accounts: Accounts
    sign_ins: SignIns
    operator_cookies: OperatorCookies
    avatars: Avatars
    pictures: PictureSigner
    answers: AnswerSeal
    sessions: Sessions
    billing: Billing
    usage_reports: UsageReports
    backgrounds: Backgrounds
    live: LiveSessions
    conversations: Conversations
    revocation: Revocation
    meter: Meter
    retention: Retention
    fleet: Fleet
    server_lease: ServerLease
    relay: Relay | None  # to the servers of a fleet that own a session
    request_limits: RequestLimits
    idempotency: IdempotencyStore
    claims: Claims
    # claims of requests that an earlier server has not answered: whoever repeats one performs it
    left_claims: set[tuple[str, str]]
    stage_sources: StageSources  # what the stages may fetch that this server is connected to
    probes: Probes
    vitals: Vitals
    webhooks: Webhooks
    dispatcher: Dispatcher
    listens_to_loopback: bool  # and to no other addresses
    readiness: Readiness = field(default_factory=Readiness)


def _services(connection: HTTPConnection) -> Services:
    services = connection.app.state.services
    assert isinstance(services, Services)
    return services


def _caller(connection: HTTPConnection) -> KeyRecord:
    """The key that the gate has recognised."""
    key = connection.scope["visavis.key"]
    assert isinstance(key, KeyRecord)
    return key


def _public_url(connection: HTTPConnection) -> str:
    """Where the caller reaches this server, without a slash at the end: the setting, or what this request came to."""
    services = _services(connection)
    if services.settings.public_url is not None:
        return services.settings.public_url
    host = connection.headers.get("host", "")
    if not _HOST.fullmatch(host):
        address, port = connection.scope.get("server") or ("localhost", None)
        host = address if port is None else f"{address}:{port}"
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"], connection.scope["scheme"])
    return f"{scheme}://{host}"


def origin_of(connection: HTTPConnection) -> str | None:
    """Return the origin of the page that makes a request; None if it names none. Browsers leave Origin out where a page
    of this server gets something.
    """
    origin = connection.headers.get("origin")
    if origin is None and connection.headers.get("sec-fetch-site") == "same-origin":
        parts = urlsplit(_public_url(connection))
        return f"{parts.scheme}://{parts.netloc}"
    return origin


def _addresses(connection: HTTPConnection) -> Addresses:
    services = _services(connection)
    return Addresses(base_url=_public_url(connection), signer=services.pictures, now_s=now_ms() // 1000)


ServicesDep = Annotated[Services, Depends(_services)]
Caller = Annotated[KeyRecord, Depends(_caller)]
AddressesDep = Annotated[Addresses, Depends(_addresses)]
