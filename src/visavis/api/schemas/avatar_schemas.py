"""The answers about avatars, and what was found out about a photo."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from visavis.api.schemas.parts import Answer, AvatarId, Time, Url


class Avatar(Answer):
    avatar_id: AvatarId
    name: str
    preview_img_url: Url | None
    parent_id: AvatarId | None = Field(description="The character of a look; null for a character")
    looks_count: int = Field(description="Of a character; 0 for a look")
    video_url: None
    is_favorite: Literal[0, 1]
    is_public: Literal[0, 1]
    active: Literal[0, 1]
    created_at: Time
    updated_at: Time


class ManyAvatars(Answer):
    success: Literal[True] = True
    avatars: list[Avatar]


class FlatAvatar(Answer):
    avatar_id: AvatarId
    tags: list[str]
    preview_url: Url
    image_url: Url


class FlatAvatars(Answer):
    success: Literal[True] = True
    public_avatars: list[FlatAvatar]
    my_avatars: list[FlatAvatar]


class UploadedFace(Answer):
    success: Literal[True] = True
    preview_url: Url
    image_url: Url
    avatar_id: AvatarId = Field(description="The look, ready to perform")


class FaceRemark(Answer):
    code: str = Field(description="Stable", examples=["FACE_SMALL"])
    kind: Literal["found", "guessed"]
    severity: Literal["info", "warning"]
    message: str
    suggestion: str | None = Field(description="What would make a better photo; null where nothing need be better")


class FaceReport(Answer):
    verdict: Literal["good", "fair", "poor"] = Field(
        description="How good an avatar to expect: no warning, one or two, more"
    )
    photo_width_px: int
    photo_height_px: int
    eye_distance_px: float = Field(description="Between the eyes, in the photo as it came")
    roll_deg: float
    yaw_deg: float
    pitch_deg: float
    remarks: list[FaceRemark]


class FaceReportAnswer(Answer):
    success: Literal[True] = True
    report: FaceReport


class UploadedFaceWithReport(UploadedFace):
    report: FaceReport
