"""Sessions as GET and the list show them: the members that `schemas.HostedSession` and `schemas.OwnSession` describe.

A page has a hundred of them. Models, which check every value, take several times as long as all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from visavis.api.addresses import Addresses
from visavis.avatars.look_files import IMAGE
from visavis.sessions.billing import SessionBill
from visavis.sessions.service import OWN, Sessions
from visavis.store.records import AnySession
from visavis.timestamps import format_time, format_time_or_none, whole_seconds_between


def shown_session(
    record: AnySession,
    sessions: Sessions,
    addresses: Addresses,
    bills: Mapping[str, SessionBill],
    *,
    with_seconds: bool = False,
) -> dict[str, object]:
    """Return a session in its own dialect. `bills`: of the sessions that have ended; the own-room dialect shows them,
    `with_seconds` if the caller has asked for these.
    """
    if record.dialect == OWN:
        return _own_session(record, sessions, bills.get(record.id), with_seconds=with_seconds)
    return {
        "session_id": record.id,
        "avatar": {
            "avatar_id": record.avatar_id,
            "name": record.avatar_name,
            "url": addresses.picture(record.avatar_id, IMAGE),
        },
        "session_type": "webrtc_video",
        "status": record.status,
        "started_at": format_time_or_none(record.started_at_ms),
        "ended_at": format_time_or_none(record.ended_at_ms),
        "expiration": format_time_or_none(record.expiration_ms),
        "duration": _duration(record),
        "daily_room": shown_room(record, sessions, addresses),
        "created_at": format_time(record.created_at_ms),
        "metadata": _metadata(record),
    }


def shown_room(record: AnySession, sessions: Sessions, addresses: Addresses) -> dict[str, str]:
    """Return the room of a hosted session, with the token of its caller."""
    if (door := sessions.daily_door(record)) is not None:
        return {"url": door.url, "name": record.room_name, "token": door.token}
    return {"url": addresses.room(record), "name": record.room_name, "token": sessions.room_token(record)}


def _own_session(
    record: AnySession, sessions: Sessions, bill: SessionBill | None, *, with_seconds: bool
) -> dict[str, object]:
    duration = 0
    if record.started_at_ms is not None:
        duration = whole_seconds_between(record.started_at_ms, sessions.until_ms(record))
    shown: dict[str, object] = {
        "session_id": record.id,
        "status": record.status,
        "started_at": format_time_or_none(record.started_at_ms),
        "ended_at": format_time_or_none(record.ended_at_ms),
        "expiration": format_time_or_none(record.expiration_ms),
        "duration": duration,
        "metadata": _metadata(record),
    }
    if bill is not None:
        shown["billing"] = {
            "minutes": bill.minutes,
            "included_minutes": bill.included_minutes,
            "purchased_minutes": bill.purchased_minutes,
            **({"seconds": bill.seconds, "seen_seconds": bill.seen_s} if with_seconds else {}),
        }
    return shown


def _duration(record: AnySession) -> int | None:
    """Null until the end, and for a session that was never started."""
    if record.started_at_ms is None or record.ended_at_ms is None:
        return None
    return max(0, whole_seconds_between(record.started_at_ms, record.ended_at_ms))


def _metadata(record: AnySession) -> msgspec.Raw:
    """Return the metadata as text that needs no reading: their numbers may be larger than msgspec's."""
    return msgspec.Raw(record.metadata_json.encode())


def reply_with(document: Mapping[str, object]) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")
