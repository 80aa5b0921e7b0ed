"""From records to answers: each session in its own dialect, every address made for the caller."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from visavis.api.addresses import Addresses
from visavis.api.schemas import (
    avatar_schemas,
    metrics_schemas,
    room_schemas,
    server_schemas,
    session_schemas,
    usage_schemas,
)
from visavis.api.schemas.parts import SessionAvatar
from visavis.api.shown_sessions import shown_room
from visavis.avatars.look_files import IMAGE, PREVIEW
from visavis.avatars.service import Listed
from visavis.engine.portrait.report import PreparationReport
from visavis.errors import NoCapacity
from visavis.fleet.port import Capacity
from visavis.proxy_rooms.rooms import PROXY, Proxy
from visavis.rooms.spec import RoomSpec
from visavis.sessions.billing import AccountUsage, ActiveSession
from visavis.sessions.calendar import Day
from visavis.sessions.lifecycle import Status
from visavis.sessions.plan_limits import CurrentUsage
from visavis.sessions.service import OWN, Sessions
from visavis.sessions.session_metrics import Percentiles, SessionMetrics
from visavis.store.records import AvatarRecord, SessionRecord
from visavis.store.usage_reports import Usage
from visavis.timestamps import format_time, format_time_or_none

FULL_RATE_FPS = 25  # PerformanceSpec.fps of every session


def avatar_of(record: SessionRecord, addresses: Addresses) -> SessionAvatar:
    return SessionAvatar(
        avatar_id=record.avatar_id, name=record.avatar_name, url=addresses.picture(record.avatar_id, IMAGE)
    )


def daily_room(record: SessionRecord, sessions: Sessions, addresses: Addresses) -> room_schemas.DailyRoom:
    return room_schemas.DailyRoom(**shown_room(record, sessions, addresses))


def usage(now: CurrentUsage) -> usage_schemas.Usage:
    return usage_schemas.Usage(
        concurrency=_concurrency(now), minutes=usage_schemas.Minutes(total_remaining=now.minutes_remaining)
    )


def _concurrency(now: CurrentUsage) -> usage_schemas.Concurrency:
    available = None if now.maximum is None else max(0, now.maximum - now.current)
    return usage_schemas.Concurrency(current=now.current, max=now.maximum, available=available)


def account_usage(found: AccountUsage, addresses: Addresses) -> usage_schemas.UsageAnswer:
    balance, plan = found.balance, found.balance.plan
    return usage_schemas.UsageAnswer(
        usage=usage_schemas.AccountUsage(
            period=usage_schemas.UsagePeriod(start=format_time(found.month_ms), end=format_time(found.month_end_ms)),
            included_minutes=usage_schemas.IncludedMinutes(
                total=plan.included_minutes, used=balance.included_used, remaining=balance.included_left
            ),
            purchased_minutes=usage_schemas.PurchasedMinutes(
                total=balance.purchased_total, remaining=balance.purchased_left
            ),
            total_remaining=balance.left,
            active_sessions=[_active(one, addresses) for one in found.active],
            active_minutes=sum(one.minutes for one in found.active),
            concurrency=_concurrency(found.current),
            plan=usage_schemas.UsagePlan(
                key=plan.key, name=plan.name, max_session_duration=plan.max_session_minutes, will_renew=True
            ),
        )
    )


def _active(
    active: ActiveSession, addresses: Addresses
) -> usage_schemas.ActiveHostedSession | usage_schemas.ActiveOwnSession:
    record = active.session
    started_at = format_time(record.started_at_ms or 0)
    expiration = format_time_or_none(record.expiration_ms)
    if record.dialect == OWN:
        return usage_schemas.ActiveOwnSession(
            session_id=record.id, started_at=started_at, expiration=expiration, minutes=active.minutes
        )
    return usage_schemas.ActiveHostedSession(
        session_id=record.id,
        avatar=avatar_of(record, addresses),
        started_at=started_at,
        expiration=expiration,
        created_at=format_time(record.created_at_ms),
        minutes=active.minutes,
    )


def usage_days(
    days: Sequence[Day], used: Sequence[Usage], total: Usage, *, time_zone: str
) -> usage_schemas.UsageDaysAnswer:
    return usage_schemas.UsageDaysAnswer(
        usage=usage_schemas.UsageDays(
            period=usage_schemas.UsagePeriod(
                start=format_time(days[0].span.began_at_ms), end=format_time(days[-1].span.ended_at_ms)
            ),
            time_zone=time_zone,
            days=[
                usage_schemas.UsageDay(**_sums(one), date=day.date.isoformat())
                for day, one in zip(days, used, strict=True)
                if one.sessions > 0
            ],
            total=usage_schemas.UsageSums(**_sums(total)),
        )
    )


def usage_sessions(found: Sequence[tuple[str, Usage]], next_cursor: str | None) -> usage_schemas.UsageSessionsAnswer:
    return usage_schemas.UsageSessionsAnswer(
        sessions=[
            usage_schemas.SessionUsage(
                session_id=session_id, minutes=one.minutes, seconds=one.seconds, seen_seconds=one.seen_s
            )
            for session_id, one in found
        ],
        next_cursor=next_cursor,
    )


def _sums(used: Usage) -> dict[str, int]:
    return {
        "sessions": used.sessions,
        "minutes": used.minutes,
        "seconds": used.seconds,
        "seen_seconds": used.seen_s,
    }


def created_hosted(
    record: SessionRecord, token: str, sessions: Sessions, addresses: Addresses, now: CurrentUsage
) -> session_schemas.HostedCreated:
    created = session_schemas.CreatedHostedSession(
        session_id=record.id,
        avatar=avatar_of(record, addresses),
        status=Status(record.status),
        access_token=token,
        started_at=None,
        ended_at=None,
        expiration=None,
        daily_room=daily_room(record, sessions, addresses),
        created_at=format_time(record.created_at_ms),
        metadata=record.metadata,
    )
    return session_schemas.HostedCreated(session=created, usage=usage(now))


def created_own(
    record: SessionRecord,
    token: str,
    sessions: Sessions,
    addresses: Addresses,
    now: CurrentUsage,
    *,
    room: RoomSpec | Proxy | None = None,
) -> session_schemas.OwnCreated | session_schemas.OwnCreatedElsewhere | session_schemas.ProxyCreated:
    """`room`: as the create asked for it. The caller has address and token of a room of its own already."""
    assert record.started_at_ms is not None and record.aspect_ratio is not None
    created = session_schemas.CreatedOwnSession(
        session_id=record.id,
        status=Status(record.status),
        session_token=token,
        started_at=format_time(record.started_at_ms),
        ended_at=None,
        expiration=format_time_or_none(record.expiration_ms),
        metadata=record.metadata,
        aspect_ratio=record.aspect_ratio,
    )
    if room == PROXY:
        door = sessions.proxy_room(record)
        shown = room_schemas.ProxyRoom(roomURL=door.url, participantToken=door.token)
        in_room = session_schemas.CreatedProxySession(**dict(created), room=shown)
        return session_schemas.ProxyCreated(session=in_room, room=shown, usage=usage(now))
    if room is not None:
        return session_schemas.OwnCreatedElsewhere(session=created, usage=usage(now))
    embedded = room_schemas.EmbeddedRoom(
        url=addresses.room(record), name=record.room_name, token=sessions.room_token(record)
    )
    in_embedded = session_schemas.CreatedEmbeddedSession(**dict(created), room=embedded)
    return session_schemas.OwnCreated(session=in_embedded, room=embedded, usage=usage(now))


def ended(record: SessionRecord, addresses: Addresses) -> session_schemas.HostedEnded | session_schemas.OwnEnded:
    status = Status(record.status)
    started_at, ended_at = format_time_or_none(record.started_at_ms), format_time_or_none(record.ended_at_ms)
    if record.dialect == OWN:
        return session_schemas.OwnEnded(
            session=session_schemas.OwnEnd(
                session_id=record.id, status=status, started_at=started_at, ended_at=ended_at
            )
        )
    shape = session_schemas.EndedHostedSession(
        session_id=record.id,
        avatar=avatar_of(record, addresses),
        status=status,
        started_at=started_at,
        ended_at=ended_at,
        created_at=format_time(record.created_at_ms),
    )
    return session_schemas.HostedEnded(session=shape)


def avatar(listed: Listed, addresses: Addresses) -> avatar_schemas.Avatar:
    record = listed.avatar
    return avatar_schemas.Avatar(
        avatar_id=record.id,
        name=record.name,
        preview_img_url=None if listed.face_id is None else addresses.picture(listed.face_id, PREVIEW),
        parent_id=record.parent_id,
        looks_count=listed.looks_count,
        video_url=None,
        is_favorite=0,
        is_public=1 if record.is_public else 0,
        active=1,
        created_at=format_time(record.created_at_ms),
        updated_at=format_time(record.updated_at_ms),
    )


def flat_avatar(record: AvatarRecord, addresses: Addresses) -> avatar_schemas.FlatAvatar:
    return avatar_schemas.FlatAvatar(
        avatar_id=record.id,
        tags=record.tags,
        preview_url=addresses.picture(record.id, PREVIEW),
        image_url=addresses.picture(record.id, IMAGE),
    )


def uploaded_face(record: AvatarRecord, addresses: Addresses) -> avatar_schemas.UploadedFace:
    return avatar_schemas.UploadedFace(
        preview_url=addresses.picture(record.id, PREVIEW),
        image_url=addresses.picture(record.id, IMAGE),
        avatar_id=record.id,
    )


def face_report(report: PreparationReport) -> avatar_schemas.FaceReport:
    """Warnings come first; within a severity, the order in which a person would say it."""
    remarks = sorted(report.remarks, key=lambda remark: remark.severity != "warning")
    return avatar_schemas.FaceReport(
        verdict=report.verdict,
        photo_width_px=report.photo_width_px,
        photo_height_px=report.photo_height_px,
        eye_distance_px=report.photo_eye_distance_px,
        roll_deg=report.roll_deg,
        yaw_deg=report.yaw_deg,
        pitch_deg=report.pitch_deg,
        remarks=[
            avatar_schemas.FaceRemark(
                code=remark.code,
                kind=remark.kind,
                severity=remark.severity,
                message=remark.message,
                suggestion=remark.suggestion,
            )
            for remark in remarks
        ],
    )


def session_metrics(record: SessionRecord, seen: SessionMetrics) -> metrics_schemas.SessionMetricsAnswer:
    last = seen.last
    round_trips_ms = [viewer.round_trip_ms for viewer in last.viewers if viewer.round_trip_ms is not None]
    return metrics_schemas.SessionMetricsAnswer(
        metrics=metrics_schemas.SessionMetrics(
            session_id=record.id,
            status=Status(record.status),
            performed_s=round(seen.performed_s, 3),
            frames=metrics_schemas.FrameMetrics(
                rate=seen.frame_rate,
                wanted_rate=last.fps,
                drawn=seen.frames,
                hurried=seen.hurried_frames,
                late=seen.late_frames,
            ),
            sound=metrics_schemas.SoundMetrics(blocks=seen.blocks, underruns=seen.underruns, drift_ms=last.behind_ms),
            speech=metrics_schemas.SpeechMetrics(
                queued_s=last.queued_s, utterances=seen.utterances, interrupted=seen.interrupted_utterances
            ),
            latency_ms=metrics_schemas.LatencyMetrics(
                motion=_percentiles(seen.motion_ms),
                frame=_percentiles(seen.frame_ms),
                packet=_percentiles(seen.packet_ms),
            ),
            interrupts=metrics_schemas.InterruptMetrics(
                count=seen.interrupts,
                confirmed_ms=_percentiles(seen.confirmed_ms),
                silent_ms=_percentiles(seen.silent_ms),
            ),
            viewers=metrics_schemas.ViewerMetrics(
                watching=len(last.viewers),
                round_trip_ms=max(round_trips_ms, default=None),
                lost_share=max((viewer.lost_share for viewer in last.viewers), default=None),
                bit_rate_share=last.bit_rate_share,
                struggling=last.struggling,
                packets_sent=seen.packets_sent,
                bytes_sent=seen.bytes_sent,
                dropped_pictures=seen.dropped_pictures,
                dropped_blocks=seen.dropped_blocks,
            ),
            utterances=[metrics_schemas.UtteranceMetrics(**msgspec.structs.asdict(one)) for one in seen.newest],
        )
    )


def _percentiles(of: Percentiles) -> metrics_schemas.MetricPercentiles:
    return metrics_schemas.MetricPercentiles(p50=of.p50, p95=of.p95, p99=of.p99)


def capacity(now: Capacity) -> server_schemas.CapacityAnswer:
    places = [
        server_schemas.FreePlaces(width=place.width_px, height=place.height_px, free=place.free) for place in now.places
    ]
    full = not any(place.free for place in now.places)
    return server_schemas.CapacityAnswer(
        capacity=server_schemas.ServerCapacity(
            sessions=now.sessions,
            places=places,
            load=round(now.load, 2),
            frame_rate=round(FULL_RATE_FPS * now.rate, 1),
            wait=NoCapacity.retry_after_s if full else 0,
        )
    )
