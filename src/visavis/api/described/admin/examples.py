"""Examples of answers of /v1/admin, as described/examples.py has others."""

from __future__ import annotations

from visavis.accounts.scopes import Scope
from visavis.api.admin import schemas
from visavis.api.described.examples import (
    ACCOUNT_USAGE,
    CAPACITY,
    CHARACTER_ID,
    CREATED,
    ENDED,
    EXPIRES,
    LOOK_ID,
    METADATA,
    SESSION_ID,
    STARTED,
    URL,
)
from visavis.api.described.webhook_examples import WEBHOOK, WITH_SECRET
from visavis.sessions.lifecycle import EndReason, Status

ACCOUNT = "acct_01J8Z3N5K7Q9R2T4V6X8Y0A1E1"
KEY = "key_01J8Z3N5K7Q9R2T4V6X8Y0A1E2"
ADMIN_KEY = "key_01J8Z3N5K7Q9R2T4V6X8Y0A1E3"
PURCHASE_ID = "purc_01J8Z3N5K7Q9R2T4V6X8Y0A1E4"
AUDIT_ID = "audt_01J8Z3N5K7Q9R2T4V6X8Y0A1E5"

_OWNER = schemas.OfAccount(account_id=ACCOUNT, name="Example Ltd")

_SESSION = schemas.AdminSession(
    session_id=SESSION_ID,
    account=_OWNER,
    key_id=KEY,
    test=False,
    dialect="hosted",
    status=Status.ENDED,
    reason=EndReason.OPERATOR,
    avatar=schemas.ShownAvatar(avatar_id=LOOK_ID, name="Professional Avatar (Look)"),
    metadata=METADATA,
    created_at=CREATED,
    started_at=STARTED,
    ended_at=ENDED,
    expiration=EXPIRES,
    usage=schemas.Metered(minutes=6, included_minutes=6, purchased_minutes=0, seconds=330, seen_seconds=322),
    played=schemas.Played(utterances=14, interrupted=2, seconds=187.4, viewers=1),
    viewers=0,
    channel=False,
)
SESSION = schemas.OneAdminSession(session=_SESSION)
SESSIONS = schemas.AdminSessionPage(sessions=[_SESSION], next_cursor=f"1705320000000-{SESSION_ID}")

_ACCOUNT = schemas.AdminAccount(account_id=ACCOUNT, name="Example Ltd", plan="starter", created_at=CREATED)
ACCOUNT_ANSWER = schemas.OneAdminAccount(account=_ACCOUNT, usage=ACCOUNT_USAGE.usage)
ACCOUNTS = schemas.AdminAccountPage(accounts=[_ACCOUNT], next_cursor=None)
_PURCHASE = schemas.Purchase(purchase_id=PURCHASE_ID, minutes=500, used=0, created_at=CREATED)
PURCHASE = schemas.OnePurchase(purchase=_PURCHASE)
PURCHASES = schemas.ManyPurchases(purchases=[_PURCHASE])

_KEY = schemas.AdminKey(
    key_id=KEY,
    account=_OWNER,
    name="website",
    start="ah_live_3fKq",
    test=False,
    scopes=[Scope.SESSIONS_WRITE, Scope.SESSIONS_READ],
    sources=["203.0.113.0/24"],
    state="active",
    created_at=CREATED,
    last_used_at=STARTED,
    expires_at=None,
    revoked_at=None,
)
KEY_ANSWER = schemas.OneAdminKey(key=_KEY)
KEY_REVOKED = schemas.OneAdminKey(key=schemas.AdminKey(**dict(_KEY) | {"state": "revoked", "revoked_at": ENDED}))
KEYS = schemas.AdminKeyPage(keys=[_KEY], next_cursor=None)
KEY_WITH_SECRET = schemas.AdminKeyWithSecret(
    key=schemas.AdminKey(**dict(_KEY) | {"last_used_at": None}), secret="ah_live_3fKq8TzN5vXw2LrYb7GmHc4JdPs9AeUi"
)

_PLAN = schemas.AdminPlan(
    plan="starter",
    name="Starter",
    max_concurrency=2,
    included_minutes=300,
    max_session_minutes=60,
    waives_unwatched=True,
)
PLAN = schemas.OneAdminPlan(plan=_PLAN)
PLANS = schemas.ManyAdminPlans(plans=[_PLAN])

_WEBHOOK = schemas.AdminWebhook(**dict(WEBHOOK.webhook), account=_OWNER)
ADMIN_WEBHOOK = schemas.OneAdminWebhook(webhook=_WEBHOOK)
ADMIN_WEBHOOK_WITH_SECRET = schemas.AdminWebhookWithSecret(webhook=_WEBHOOK, secret=WITH_SECRET.secret)
ADMIN_WEBHOOKS = schemas.AdminWebhookPage(webhooks=[_WEBHOOK], next_cursor=None)

AVATARS = schemas.AdminAvatarPage(
    avatars=[
        schemas.AdminAvatar(
            avatar_id=LOOK_ID,
            account=_OWNER,
            name="Professional Avatar (Look)",
            parent_id=CHARACTER_ID,
            is_public=False,
            preview_url=f"{URL}/media/avatars/{LOOK_ID}/preview.jpg?e=1705330800&s=kW8vQ2mX5nR7tY4uB1cD9g",
            created_at=CREATED,
        )
    ],
    next_cursor=None,
)

ADMIN_CAPACITY = schemas.AdminCapacity(
    capacity=CAPACITY.capacity,
    starting=0,
    viewers=3,
    channels=2,
    cores=schemas.AdminCores(given=4.0, unused=2.76, stolen=0.0, throttled=0.0),
    stages=[
        schemas.AdminStage(
            machine="3f2a",
            sessions=2,
            viewers=3,
            cores=1.18,
            loop_load=0.29,
            memory_bytes=412000000,
            port=8801,
            dropped=0,
        )
    ],
    problems=[],
)

AUDIT = schemas.AuditPage(
    entries=[
        schemas.AuditEntry(
            audit_id=AUDIT_ID,
            at=ENDED,
            actor="key",
            actor_id=ADMIN_KEY,
            address="203.0.113.7",
            action="session.ended",
            subject_id=SESSION_ID,
            account_id=ACCOUNT,
            details={},
        )
    ],
    next_cursor=None,
)
