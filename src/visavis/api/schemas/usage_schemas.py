"""The answers about usage: what an account has used, may use, and is using now."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from visavis.api.schemas.parts import Answer, SessionAvatar, SessionId, Time


class Minutes(Answer):
    total_remaining: int | None = Field(description="Null where the plan is unlimited")


class Concurrency(Answer):
    current: int = Field(description="Sessions that run now; a created session does not count")
    max: int | None = Field(description="Null where the plan is unlimited")
    available: int | None


class Usage(Answer):
    concurrency: Concurrency
    minutes: Minutes


class UsagePeriod(Answer):
    start: Time
    end: Time


class IncludedMinutes(Answer):
    total: int | None = Field(description="Null where the plan is unlimited")
    used: int
    remaining: int | None


class PurchasedMinutes(Answer):
    total: int
    remaining: int


ActiveMinutes = Annotated[int, Field(description="So far, rounded up; 0 for a session of a test key")]


# Sessions that run now, each in its own dialect, as its end answers it: without a token, a room or metadata, which a
# key for reports does not open.


class ActiveHostedSession(Answer):
    session_id: SessionId
    avatar: SessionAvatar
    session_type: Literal["webrtc_video"] = "webrtc_video"
    status: Literal["started"] = "started"
    started_at: Time
    ended_at: None = None
    expiration: Time | None
    created_at: Time
    minutes: ActiveMinutes


class ActiveOwnSession(Answer):
    session_id: SessionId
    status: Literal["started"] = "started"
    started_at: Time
    ended_at: None = None
    expiration: Time | None
    minutes: ActiveMinutes


class UsagePlan(Answer):
    key: str
    name: str
    max_session_duration: int | None = Field(description="Minutes; null where it is unlimited")
    will_renew: bool = Field(description="The included minutes are reset with the next period")


class AccountUsage(Answer):
    period: UsagePeriod
    included_minutes: IncludedMinutes
    purchased_minutes: PurchasedMinutes
    total_remaining: int | None
    active_sessions: list[ActiveHostedSession | ActiveOwnSession]
    active_minutes: int
    concurrency: Concurrency
    plan: UsagePlan


class UsageSums(Answer):
    sessions: int
    minutes: int = Field(description="Billed: included and purchased ones")
    seconds: int = Field(description="That the sessions lasted")
    seen_seconds: int = Field(description="From the first frame that a viewer got of each session to the last")


class UsageDay(Answer):
    date: Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
    sessions: int
    minutes: int
    seconds: int
    seen_seconds: int


class UsageDays(Answer):
    period: UsagePeriod
    time_zone: str
    days: list[UsageDay] = Field(description="Those with usage, oldest first")
    total: UsageSums


class UsageDaysAnswer(Answer):
    success: Literal[True] = True
    usage: UsageDays


class SessionUsage(Answer):
    session_id: SessionId
    minutes: int
    seconds: int
    seen_seconds: int


class UsageSessionsAnswer(Answer):
    success: Literal[True] = True
    sessions: list[SessionUsage] = Field(description="Sorted by id")
    next_cursor: SessionId | None = Field(description="Null on the last page")


class UsageAnswer(Answer):
    success: Literal[True] = True
    usage: AccountUsage
