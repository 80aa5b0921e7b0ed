"""What webhooks are told of avatars: docs/reference/webhooks.md, "Events"."""

from __future__ import annotations

from visavis.errors import VisavisError
from visavis.ids import new_id
from visavis.store.news import News, NewsType
from visavis.store.records import AvatarRecord, KeyRecord
from visavis.timestamps import format_time


def avatar_ready(owner: KeyRecord, look: AvatarRecord) -> News:
    return News(
        account_id=owner.account_id,
        test=owner.test,
        type=NewsType.AVATAR_READY,
        subject_id=look.id,
        data={
            "avatar_id": look.id,
            "parent_id": look.parent_id,
            "name": look.name,
            "created_at": format_time(look.created_at_ms),
        },
        at_ms=look.updated_at_ms,
    )


def avatar_failed(owner: KeyRecord, *, name: str, error: VisavisError, at_ms: int) -> News:
    """A photo could not become an avatar: there is none, only a name that was given."""
    return News(
        account_id=owner.account_id,
        test=owner.test,
        type=NewsType.AVATAR_FAILED,
        subject_id=new_id("avat"),
        data={"name": name, "error": {"code": error.code, "message": error.message, "suggestion": error.suggestion}},
        at_ms=at_ms,
    )
