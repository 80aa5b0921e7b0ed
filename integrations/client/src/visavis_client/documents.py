"""What the server answers, as values. Unknown members are ignored; every document keeps its JSON in `raw`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where viewers watch. `token` is of this room alone; treat it like a password."""

    url: str
    name: str = ""
    token: str = ""

    @property
    def watch_url(self) -> str:
        """The address of the page that shows the room in any browser."""
        return f"{self.url}?t={self.token}" if self.token else self.url

    @classmethod
    def of(cls, document: Json | None) -> Room | None:
        if not document:
            return None
        url = document.get("url") or document.get("roomURL") or ""
        token = document.get("token") or document.get("participantToken") or ""
        return cls(url=str(url), name=str(document.get("name") or ""), token=str(token))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDocument:
    """A session as the server tells it. `status`: created, started or ended. `duration_s`: None before it is known."""

    id: str
    status: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    duration_s: int | None = None
    metadata: Json = field(default_factory=dict)
    room: Room | None = None
    billing: Json | None = None
    raw: Json = field(default_factory=dict)

    @classmethod
    def of(cls, document: Json) -> SessionDocument:
        return cls(
            id=str(document.get("session_id") or ""),
            status=str(document.get("status") or ""),
            started_at=_time(document.get("started_at")),
            ended_at=_time(document.get("ended_at")),
            expires_at=_time(document.get("expiration")),
            duration_s=document.get("duration"),
            metadata=document.get("metadata") or {},
            room=Room.of(document.get("daily_room")),
            billing=document.get("billing"),
            raw=document,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of sessions, newest first. `next_cursor`: of the page after it, None on the last one."""

    sessions: tuple[SessionDocument, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Avatar:
    """A character (`parent_id` None) or one of its looks."""

    id: str
    name: str = ""
    parent_id: str | None = None
    preview_url: str = ""
    image_url: str = ""
    is_public: bool = False
    raw: Json = field(default_factory=dict)

    @classmethod
    def of(cls, document: Json) -> Avatar:
        return cls(
            id=str(document.get("avatar_id") or ""),
            name=str(document.get("name") or ""),
            parent_id=document.get("parent_id"),
            preview_url=str(document.get("preview_img_url") or document.get("preview_url") or ""),
            image_url=str(document.get("image_url") or ""),
            is_public=bool(document.get("is_public")),
            raw=document,
        )


def _time(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
