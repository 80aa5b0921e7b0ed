"""Reads session descriptions (SDP, RFC 8866): the facts about each media section that a room checks. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from aiortc.sdp import SessionDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """`mime_type`: in lower case, for example video/vp8."""

    mime_type: str
    payload_type: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSection:
    """One m= section. `kind`: audio, video, application or any other word. `mid`: '' if the section has none."""

    kind: str
    direction: str | None
    mid: str
    codecs: tuple[Codec, ...]
    has_fingerprint: bool  # of its DTLS certificate
    has_ice_credentials: bool


def read_media_sections(sdp: str) -> tuple[MediaSection, ...]:
    """Return the sections of a description in their order. Raises `ValueError` for anything but SDP."""
    if not sdp.startswith("v=0"):  # required by RFC 8866, but not checked by the parser
        raise ValueError("no version line")
    try:
        description = SessionDescription.parse(sdp)
    except Exception as error:  # the parser raises whatever its string handling raises
        raise ValueError(f"not SDP: {error!r}") from error
    return tuple(
        MediaSection(
            kind=media.kind,
            direction=media.direction,
            mid=media.rtp.muxId,
            codecs=tuple(
                Codec(mime_type=codec.mimeType.lower(), payload_type=codec.payloadType or 0)
                for codec in media.rtp.codecs
            ),
            has_fingerprint=bool(media.dtls and media.dtls.fingerprints),
            has_ice_credentials=bool(media.ice and media.ice.usernameFragment and media.ice.password),
        )
        for media in description.media
    )
