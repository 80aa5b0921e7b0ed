"""The records that the stores return: one frozen record per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from visavis.store.json_column import dump_json


class Owner(Protocol):
    """Whose things a call is about: those of an account, and of its live keys or of its test keys. Many records are
    one.
    """

    @property
    def account_id(self) -> str: ...

    @property
    def test(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOwner:
    """An account without a key of it."""

    account_id: str
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """A plan's limits. None means unlimited."""

    key: str
    name: str
    included_minutes: int | None
    max_concurrency: int | None
    max_session_minutes: int | None
    waives_unwatched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    id: str
    name: str
    plan_key: str
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    id: str
    account_id: str
    name: str
    hash: str
    start: str
    test: bool
    created_at_ms: int
    last_used_at_ms: int | None
    revoked_at_ms: int | None
    scopes: list[str]
    sources: list[str]
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRecord:
    id: str
    key_id: str
    code_hash: str | None
    code_expires_at_ms: int | None
    token_hash: str | None
    created_at_ms: int
    expires_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AvatarRecord:
    id: str
    parent_id: str | None
    owner_account_id: str | None
    name: str
    is_public: bool
    tags: list[str]
    library_name: str | None
    digest: str | None
    created_at_ms: int
    updated_at_ms: int
    deleted_at_ms: int | None
    purged_at_ms: int | None
    photo_removed_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    id: str
    account_id: str
    key_id: str
    test: bool
    dialect: str
    status: str
    avatar_id: str
    avatar_name: str
    token_hash: str
    room_name: str
    metadata: dict[str, Any]
    aspect_ratio: str | None
    created_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None
    expiration_ms: int | None
    end_reason: str | None
    first_frame_at_ms: int | None
    last_frame_at_ms: int | None
    seen_at_ms: int | None
    output: dict[str, Any] | None = None  # `Output.plain()`
    options: dict[str, Any] | None = None  # `SessionOptions.plain()`
    server_id: str | None = None
    epoch: int = 0
    stage_id: str | None = None
    place_mcores: int | None = None
    starting_until_ms: int | None = None
    played: dict[str, Any] | None = None  # `Played.plain()`
    daily_room: dict[str, str] | None = None  # as `DoorSeal` keeps it

    @property
    def metadata_json(self) -> str:
        return dump_json(self.metadata)


class ListedSession(NamedTuple):
    """What clients are shown of a session: the columns that they see, and no others. A page has a hundred of them, and
    to make a `SessionRecord` of each takes longer than the query. `metadata_json`: as the database keeps it.
    """

    id: str
    test: bool
    dialect: str
    status: str
    avatar_id: str
    avatar_name: str
    room_name: str
    metadata_json: str
    created_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None
    expiration_ms: int | None
    seen_at_ms: int | None
    daily_room: dict[str, str] | None


AnySession = SessionRecord | ListedSession


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserTokenRecord:
    id: str
    session_id: str
    key_id: str
    purpose: str
    hash: str
    origins: list[str]
    created_at_ms: int
    expires_at_ms: int
    used_at_ms: int | None
    revoked_at_ms: int | None
    viewers: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRecord:
    """Minutes that an account has purchased at once."""

    id: str
    account_id: str
    minutes: int
    used_minutes: int
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEntryRecord:
    session_id: str
    number: int
    account_id: str
    began_at_ms: int
    until_ms: int
    seen_s: int
    minutes: int
    source: str | None
    purchase_id: str | None
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    account_id: str
    idempotency_key: str
    fingerprint: str
    status_code: int | None
    content_type: str | None
    body: str | None
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRecord:
    id: str
    account_id: str
    test: bool
    url: str
    events: list[str]
    secret: str
    old_secret: str | None
    old_secret_until_ms: int | None
    created_at_ms: int
    failing_since_ms: int | None
    disabled_at_ms: int | None
    disabled_reason: str | None
    seen_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEventRecord:
    id: str
    account_id: str
    subject_id: str
    number: int | None
    type: str
    key: str | None
    data: dict[str, Any]
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    id: str
    webhook_id: str
    event_id: str
    status: str
    attempts: int
    began_at_ms: int
    tried: bool
    due_at_ms: int | None
    created_at_ms: int
    delivered_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    delivery_id: str
    number: int
    at_ms: int
    duration_ms: int
    status_code: int | None
    problem: str | None
