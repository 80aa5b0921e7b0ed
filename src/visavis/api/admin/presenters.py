"""From records to the answers of /v1/admin."""

from __future__ import annotations

from collections.abc import Mapping

from visavis.accounts.scopes import Scope
from visavis.api import presenters
from visavis.api.addresses import Addresses
from visavis.api.admin import schemas
from visavis.api.webhook_presenters import webhook
from visavis.avatars.look_files import PREVIEW
from visavis.fleet.port import Capacity
from visavis.sessions.lifecycle import EndReason, Status
from visavis.sessions.live_table import LiveTable
from visavis.sessions.played import Played
from visavis.stage.port.report import StageReport
from visavis.store.audit import AuditRecord
from visavis.store.records import AccountRecord, AvatarRecord, KeyRecord, PlanRecord, PurchaseRecord, SessionRecord
from visavis.store.usage import SessionUsage
from visavis.timestamps import format_time, format_time_or_none
from visavis.webhooks.service import ShownWebhook

_UNUSED = SessionUsage(included_minutes=0, purchased_minutes=0, seconds=0, seen_s=0, closed=True)

Names = Mapping[str, str]  # of accounts, by id


def of_account(account_id: str, names: Names) -> schemas.OfAccount:
    return schemas.OfAccount(account_id=account_id, name=names.get(account_id, ""))


def session(
    record: SessionRecord, names: Names, ledger: Mapping[str, SessionUsage], table: LiveTable
) -> schemas.AdminSession:
    live, used = table.running.get(record.id), ledger.get(record.id, _UNUSED)
    played = Played.from_plain(record.played) if live is None else live.played
    return schemas.AdminSession(
        session_id=record.id,
        account=of_account(record.account_id, names),
        key_id=record.key_id,
        test=record.test,
        dialect=record.dialect,  # type: ignore[arg-type]
        status=Status(record.status),
        reason=None if record.end_reason is None else EndReason(record.end_reason),
        avatar=schemas.ShownAvatar(avatar_id=record.avatar_id, name=record.avatar_name),
        metadata=record.metadata,
        created_at=format_time(record.created_at_ms),
        started_at=format_time_or_none(record.started_at_ms),
        ended_at=format_time_or_none(record.ended_at_ms),
        expiration=format_time_or_none(record.expiration_ms),
        usage=schemas.Metered(
            minutes=used.included_minutes + used.purchased_minutes,
            included_minutes=used.included_minutes,
            purchased_minutes=used.purchased_minutes,
            seconds=used.seconds,
            seen_seconds=used.seen_s,
        ),
        played=schemas.Played(**played.plain()),
        viewers=0 if live is None else live.viewers,
        channel=live is not None and live.has_channel,
    )


def account(record: AccountRecord) -> schemas.AdminAccount:
    return schemas.AdminAccount(
        account_id=record.id, name=record.name, plan=record.plan_key, created_at=format_time(record.created_at_ms)
    )


def purchase(record: PurchaseRecord) -> schemas.Purchase:
    return schemas.Purchase(
        purchase_id=record.id,
        minutes=record.minutes,
        used=record.used_minutes,
        created_at=format_time(record.created_at_ms),
    )


def key(record: KeyRecord, names: Names, *, now_ms: int) -> schemas.AdminKey:
    expired = record.expires_at_ms is not None and record.expires_at_ms <= now_ms
    return schemas.AdminKey(
        key_id=record.id,
        account=of_account(record.account_id, names),
        name=record.name,
        start=record.start,
        test=record.test,
        scopes=[Scope(scope) for scope in record.scopes],
        sources=record.sources,
        state="revoked" if record.revoked_at_ms is not None else "expired" if expired else "active",
        created_at=format_time(record.created_at_ms),
        last_used_at=format_time_or_none(record.last_used_at_ms),
        expires_at=format_time_or_none(record.expires_at_ms),
        revoked_at=format_time_or_none(record.revoked_at_ms),
    )


def plan(record: PlanRecord) -> schemas.AdminPlan:
    return schemas.AdminPlan(
        plan=record.key,
        name=record.name,
        max_concurrency=record.max_concurrency,
        included_minutes=record.included_minutes,
        max_session_minutes=record.max_session_minutes,
        waives_unwatched=record.waives_unwatched,
    )


def admin_webhook(shown: ShownWebhook, names: Names) -> schemas.AdminWebhook:
    return schemas.AdminWebhook(**dict(webhook(shown)), account=of_account(shown.webhook.account_id, names))


def avatar(record: AvatarRecord, names: Names, addresses: Addresses) -> schemas.AdminAvatar:
    owner_id = record.owner_account_id
    return schemas.AdminAvatar(
        avatar_id=record.id,
        account=None if owner_id is None else of_account(owner_id, names),
        name=record.name,
        parent_id=record.parent_id or "",
        is_public=record.is_public,
        preview_url=addresses.picture(record.id, PREVIEW),
        created_at=format_time(record.created_at_ms),
    )


def capacity(now: Capacity, table: LiveTable, reports: list[StageReport], problems: list[str]) -> schemas.AdminCapacity:
    running = list(table.running.values())
    return schemas.AdminCapacity(
        capacity=presenters.capacity(now).capacity,
        starting=len(table.starting),
        viewers=sum(one.viewers for one in running),
        channels=sum(one.has_channel for one in running),
        cores=schemas.AdminCores(
            given=round(now.cores.given, 2),
            unused=round(now.cores.unused, 2),
            stolen=round(now.cores.stolen, 2),
            throttled=round(now.cores.throttled, 2),
        ),
        stages=[_stage(report) for report in reports],
        problems=problems,
    )


def _stage(report: StageReport) -> schemas.AdminStage:
    return schemas.AdminStage(
        machine=report.machine_id,
        sessions=len(report.sessions),
        viewers=sum(shape.viewers for shape in report.sessions.values()),
        cores=round(report.own_cores, 2),
        loop_load=round(report.loop_load, 2),
        memory_bytes=report.memory_bytes,
        port=report.media.port,
        dropped=report.media.dropped,
    )


def audit_entry(record: AuditRecord) -> schemas.AuditEntry:
    return schemas.AuditEntry(
        audit_id=record.id,
        at=format_time(record.at_ms),
        actor=record.actor,  # type: ignore[arg-type]
        actor_id=record.actor_id,
        address=record.address,
        action=record.action,
        subject_id=record.subject_id,
        account_id=record.account_id,
        details=record.details,
    )
