"""The answers of /v1/admin. Fields are in the order on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from visavis.accounts.scopes import Scope
from visavis.api.schemas.parts import Answer, AvatarId, SessionId, Time, Url, id_pattern
from visavis.api.schemas.server_schemas import ServerCapacity
from visavis.api.schemas.usage_schemas import AccountUsage
from visavis.api.schemas.webhook_schemas import OneWebhook, Webhook, WebhookWithSecret
from visavis.sessions.lifecycle import EndReason, Status

ACCOUNT_ID, KEY_ID, PURCHASE_ID, AUDIT_ID = (id_pattern(kind) for kind in ("acct", "key", "purc", "audt"))
PLAN_KEY = "^[a-z0-9][a-z0-9_-]{0,63}$"
AccountId = Annotated[str, WithJsonSchema({"type": "string", "pattern": ACCOUNT_ID})]
KeyId = Annotated[str, WithJsonSchema({"type": "string", "pattern": KEY_ID})]
PurchaseId = Annotated[str, WithJsonSchema({"type": "string", "pattern": PURCHASE_ID})]
AuditId = Annotated[str, WithJsonSchema({"type": "string", "pattern": AUDIT_ID})]
PlanKey = Annotated[str, WithJsonSchema({"type": "string", "pattern": PLAN_KEY})]
NextCursor = "The `cursor` of the next page; null on the last one"


class OfAccount(Answer):
    account_id: AccountId
    name: str


# Sessions


class ShownAvatar(Answer):
    avatar_id: AvatarId
    name: str


class Metered(Answer):
    """As the usage ledger has it; of a session that runs, until now."""

    minutes: int = Field(description="Billed: included and purchased ones")
    included_minutes: int
    purchased_minutes: int
    seconds: int = Field(description="That the session lasted")
    seen_seconds: int = Field(description="From the first frame that a viewer got to the last")


class Played(Answer):
    """What the session has really shown."""

    utterances: int = Field(description="That have ended")
    interrupted: int
    seconds: float = Field(description="Of their sound that were played")
    viewers: int = Field(description="That have joined; one that came back counts again")


class AdminSession(Answer):
    session_id: SessionId
    account: OfAccount
    key_id: KeyId
    test: bool = Field(description="Of a test key: free")
    dialect: Literal["hosted", "own"]
    status: Status
    reason: EndReason | None = Field(description="Why it has ended; null until then")
    avatar: ShownAvatar
    metadata: dict[str, Any]
    created_at: Time
    started_at: Time | None
    ended_at: Time | None
    expiration: Time | None
    usage: Metered
    played: Played
    viewers: int = Field(description="That watch now; 0 if another server performs it")
    channel: bool = Field(description="Whether its channel is open; false if another server performs it")


class OneAdminSession(Answer):
    success: Literal[True] = True
    session: AdminSession


class AdminSessionPage(Answer):
    success: Literal[True] = True
    sessions: list[AdminSession] = Field(description="Newest first")
    next_cursor: str | None = Field(description=NextCursor)


# Accounts


class AdminAccount(Answer):
    account_id: AccountId
    name: str
    plan: PlanKey
    created_at: Time


class AdminAccountPage(Answer):
    success: Literal[True] = True
    accounts: list[AdminAccount] = Field(description="Newest first")
    next_cursor: AccountId | None = Field(description=NextCursor)


class OneAdminAccount(Answer):
    success: Literal[True] = True
    account: AdminAccount
    usage: AccountUsage


class Purchase(Answer):
    purchase_id: PurchaseId
    minutes: int
    used: int
    created_at: Time


class OnePurchase(Answer):
    success: Literal[True] = True
    purchase: Purchase


class ManyPurchases(Answer):
    success: Literal[True] = True
    purchases: list[Purchase] = Field(description="Oldest first, as they are used")


# Keys


class AdminKey(Answer):
    key_id: KeyId
    account: OfAccount
    name: str
    start: str = Field(description="The key's first characters")
    test: bool
    scopes: list[Scope]
    sources: list[str] = Field(description="From where it may be used; an empty list: from everywhere")
    state: Literal["active", "expired", "revoked"]
    created_at: Time
    last_used_at: Time | None = Field(description="To within a minute")
    expires_at: Time | None
    revoked_at: Time | None


class OneAdminKey(Answer):
    success: Literal[True] = True
    key: AdminKey


class AdminKeyWithSecret(Answer):
    success: Literal[True] = True
    key: AdminKey
    secret: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^ah_(live|test)_[A-Za-z0-9]{32}$"})] = Field(
        description="The key itself, as `x-api-key` has it. It is never shown again"
    )


class AdminKeyPage(Answer):
    success: Literal[True] = True
    keys: list[AdminKey] = Field(description="Newest first")
    next_cursor: KeyId | None = Field(description=NextCursor)


# Plans


class AdminPlan(Answer):
    """Null figures are unlimited."""

    plan: PlanKey
    name: str
    max_concurrency: int | None = Field(description="Sessions at once")
    included_minutes: int | None = Field(description="Each month")
    max_session_minutes: int | None = Field(description="How long a session may last")
    waives_unwatched: bool = Field(description="Whether sessions that nobody has watched are billed nothing")


class OneAdminPlan(Answer):
    success: Literal[True] = True
    plan: AdminPlan


class ManyAdminPlans(Answer):
    success: Literal[True] = True
    plans: list[AdminPlan] = Field(description="Sorted by key")


# Webhooks


class AdminWebhook(Webhook):
    account: OfAccount


class OneAdminWebhook(OneWebhook):
    webhook: AdminWebhook


class AdminWebhookWithSecret(WebhookWithSecret):
    webhook: AdminWebhook


class AdminWebhookPage(Answer):
    success: Literal[True] = True
    webhooks: list[AdminWebhook] = Field(description="Newest first")
    next_cursor: str | None = Field(description=NextCursor)


# Avatars


class AdminAvatar(Answer):
    avatar_id: AvatarId
    account: OfAccount | None = Field(description="Null for an avatar of the library")
    name: str
    parent_id: AvatarId
    is_public: bool
    preview_url: Url
    created_at: Time


class AdminAvatarPage(Answer):
    success: Literal[True] = True
    avatars: list[AdminAvatar] = Field(description="Looks, newest first")
    next_cursor: AvatarId | None = Field(description=NextCursor)


# The server


class AdminCores(Answer):
    given: float = Field(description="To all stages")
    unused: float
    stolen: float = Field(description="By a hypervisor")
    throttled: float = Field(description="By a quota")


class AdminStage(Answer):
    machine: str = Field(description="The same for stages that share their cores")
    sessions: int
    viewers: int
    cores: float = Field(description="That this process takes")
    loop_load: float = Field(description="The share of time in which its loop has no rest, 0 to 1")
    memory_bytes: int
    port: int = Field(description="UDP, of its media; 0 if each viewer has sockets of its own")
    dropped: int = Field(description="Datagrams that came faster than the stage read them")


class AdminCapacity(Answer):
    success: Literal[True] = True
    capacity: ServerCapacity
    starting: int = Field(description="Sessions that are being started")
    viewers: int
    channels: int = Field(description="Channels that are open")
    cores: AdminCores
    stages: list[AdminStage]
    problems: list[str] = Field(description="What is wrong, a sentence each, as /readyz tells it")


class AuditEntry(Answer):
    audit_id: AuditId
    at: Time
    actor: Literal["key", "command", "server"]
    actor_id: str | None = Field(description="The id of the key, or the user who has run the command")
    address: str | None = Field(description="Of the key's caller")
    action: str = Field(examples=["key.revoked"])
    subject_id: str = Field(description="Of what was changed")
    account_id: str | None = Field(description="Whose it is")
    details: dict[str, Any]


class AuditPage(Answer):
    success: Literal[True] = True
    entries: list[AuditEntry] = Field(description="Newest first")
    next_cursor: AuditId | None = Field(description=NextCursor)
