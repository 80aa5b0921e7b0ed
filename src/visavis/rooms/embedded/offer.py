"""Checks a viewer's SDP offer before a connection is made for it, and completes the answer. Pure.

An offer that cannot be answered is refused with a reason. For an offer that can, a new offer is written from the
checked values. The WebRTC library gets only this one, so that no line of a stranger reaches it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from visavis.errors import OfferRefused
from visavis.rooms.embedded.candidates import Candidate, keep_candidates
from visavis.rooms.port import MediaKind
from visavis.rooms.sdp import (
    Codec,
    Description,
    MediaSection,
    Transport,
    is_ice_pwd,
    is_ice_ufrag,
    read_description,
)

MAX_OFFER_BYTES = 64 * 1024
MAX_FINGERPRINTS = 8

MEDIA_KINDS: dict[str, MediaKind] = {"audio": "audio", "video": "video"}
MIME_TYPES: dict[MediaKind, str] = {"video": "video/vp8", "audio": "audio/opus"}
RTPMAPS: dict[MediaKind, str] = {"video": "VP8/90000", "audio": "opus/48000/2"}  # RFC 7741, RFC 7587
EXTENSIONS: dict[MediaKind, tuple[str, ...]] = {  # of RTP headers, which the library writes
    "video": (
        "urn:ietf:params:rtp-hdrext:sdes:mid",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    ),
    "audio": ("urn:ietf:params:rtp-hdrext:sdes:mid",),
}
_EXTENSION_IDS = range(1, 15)  # RFC 8285, section 4.2
_PAYLOAD_TYPES = range(96, 128)  # the dynamic ones (RFC 3551, section 3); the library answers with no others
_FINGERPRINT = re.compile(
    r"(?i:sha-256 (?:[0-9A-F]{2}:){31}[0-9A-F]{2}|sha-384 (?:[0-9A-F]{2}:){47}[0-9A-F]{2}"
    r"|sha-512 (?:[0-9A-F]{2}:){63}[0-9A-F]{2})"
)
_SETUPS = ("actpass", "active", "passive")
_TRANSPORT_LINE = re.compile(r"^a=(?:ice-ufrag|ice-pwd|fingerprint|setup):.*\r\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOffer:
    """An offer that can be answered. `sdp`: the new offer for the library. `kinds`: those of its sections, in order."""

    sdp: str
    kinds: tuple[MediaKind, ...]
    has_bundle: bool
    sections: tuple[MediaSection, ...]  # all sections of the viewer's offer
    accepted: tuple[int, ...]  # their indices in `sections`, one for each of `kinds`
    ice_ufrag: str
    candidates: tuple[Candidate, ...]  # those to check
    transport_section: tuple[str, str]  # kind and mid of the section by which all media travel

    def complete(self, answer: str) -> str:
        """Return the library's answer with a rejected section for each section of the offer that the library did not
        get: an answer has the sections of its offer (RFC 3264, section 6).
        """
        head, *media = re.split(r"^(?=m=)", answer, flags=re.MULTILINE)
        head += "a=ice-options:trickle\r\n"  # the viewer may send its candidates later (RFC 8840, section 4.1)
        if not self.has_bundle:
            head = re.sub(r"^a=group:BUNDLE.*\r\n", "", head, flags=re.MULTILINE)
        transport = "".join(_TRANSPORT_LINE.findall(media[0]))
        answered = dict(zip(self.accepted, media, strict=True))
        return head + "".join(
            answered.get(index) or _rejected(section, transport) for index, section in enumerate(self.sections)
        )


def check_offer(sdp: str) -> CheckedOffer:
    """Check an offer. Raises `OfferRefused`.

    The first video section and the first audio section are accepted; one of the two is enough. All other sections, for
    example a data channel, are rejected in the answer.
    """
    if len(sdp) > MAX_OFFER_BYTES:
        raise OfferRefused("The offer is larger than 64 KiB")
    try:
        offer = read_description(sdp)
    except ValueError as error:
        raise OfferRefused(
            f"The offer cannot be read. {error}", suggestion="POST an SDP offer as application/sdp"
        ) from error
    accepted = _accepted(offer.sections)
    sections = {kind: offer.sections[index] for kind, index in accepted.items()}
    for kind, section in sections.items():
        _check_section(kind, section)
    mids = _bundled_mids(offer, [section.mid for section in sections.values()])
    # All packets travel as the first section of the group says (RFC 9143, section 7.1.3).
    first = next(section for section in sections.values() if section.mid == mids[0])
    transport = first.transport
    _check_transport(transport)
    candidates = keep_candidates(transport.candidates)
    lines = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    if offer.ice_lite:
        lines.append("a=ice-lite")
    for kind, section in sections.items():
        lines += _media_lines(kind, section) + _transport_lines(transport, candidates)
    return CheckedOffer(
        sdp="".join(f"{line}\r\n" for line in lines),
        kinds=tuple(accepted),
        has_bundle=bool(offer.bundle),
        sections=offer.sections,
        accepted=tuple(accepted.values()),
        ice_ufrag=transport.ice_ufrag,
        candidates=candidates,
        transport_section=(first.kind, first.mid),
    )


# --- what is refused


def _accepted(sections: tuple[MediaSection, ...]) -> dict[MediaKind, int]:
    """Return the index of the first section of each kind, in the order of the offer."""
    accepted: dict[MediaKind, int] = {}
    for index, section in enumerate(sections):
        if section.kind in MEDIA_KINDS and section.in_use:
            accepted.setdefault(MEDIA_KINDS[section.kind], index)
    if not accepted:
        raise OfferRefused(
            "The offer has no video section and no audio section",
            suggestion="Offer a recvonly video and a recvonly audio section",
        )
    return accepted


def _check_section(kind: MediaKind, section: MediaSection) -> None:
    if section.direction not in ("recvonly", "sendrecv"):
        raise OfferRefused(
            f"The offer's {kind} section is {section.direction}", suggestion="A viewer's sections must be recvonly"
        )
    if not section.mid:
        raise OfferRefused(f"The offer's {kind} section has no valid mid")
    if not section.rtcp_mux:
        raise OfferRefused(f"The offer's {kind} section has no rtcp-mux")
    codec = _codec(kind, section)
    if codec is None:
        raise OfferRefused(f"The offer's {kind} section does not include {RTPMAPS[kind].split('/')[0].upper()}")
    if codec.payload_type not in _PAYLOAD_TYPES:
        raise OfferRefused(
            f"The payload type {codec.payload_type} of the offer's {kind} section is not dynamic",
            suggestion="Choose one from 96 to 127",
        )


def _codec(kind: MediaKind, section: MediaSection) -> Codec | None:
    return next((codec for codec in section.codecs if codec.mime_type == MIME_TYPES[kind]), None)


def _bundled_mids(offer: Description, mids: list[str]) -> list[str]:
    """Return the mids of the accepted sections in the order of the BUNDLE group."""
    if len(set(mids)) < len(mids):
        raise OfferRefused("The offer's video and audio sections have the same mid")
    if len(mids) > 1 and not set(mids) <= set(offer.bundle):
        raise OfferRefused(
            "The offer's video and audio sections are not in one BUNDLE group",
            suggestion="Set the bundle policy to max-bundle",
        )
    if not offer.bundle:
        return mids
    if offer.bundle[0] not in mids:
        # The first section cannot be rejected without the rest of the group (RFC 9143, section 7.3.3).
        raise OfferRefused(
            "The first section of the offer's BUNDLE group is not one that a room accepts",
            suggestion="Put the video or the audio section first",
        )
    return sorted(mids, key=offer.bundle.index)


def _check_transport(transport: Transport) -> None:
    if not (is_ice_ufrag(transport.ice_ufrag) and is_ice_pwd(transport.ice_pwd)):
        raise OfferRefused("The offer has no valid ice-ufrag and ice-pwd")
    if transport.setup not in _SETUPS:
        raise OfferRefused("The offer has no valid setup attribute", suggestion="Send a=setup:actpass")
    if len(transport.fingerprints) > MAX_FINGERPRINTS:
        raise OfferRefused(f"The offer has more than {MAX_FINGERPRINTS} DTLS fingerprints")
    if not any(map(_FINGERPRINT.fullmatch, transport.fingerprints)):
        raise OfferRefused(
            "The offer has no valid DTLS fingerprint", suggestion="Send a fingerprint of sha-256, sha-384 or sha-512"
        )


# --- the offer for the library


def _media_lines(kind: MediaKind, section: MediaSection) -> list[str]:
    codec = _codec(kind, section)
    assert codec is not None
    rtx = next((other for other in section.codecs if _retransmits(other, codec)), None)
    formats = f"{codec.payload_type}" if rtx is None else f"{codec.payload_type} {rtx.payload_type}"
    lines = [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {formats}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        "a=recvonly",
        "a=rtcp-mux",
        f"a=rtpmap:{codec.payload_type} {RTPMAPS[kind]}",
    ]
    lines += [f"a=rtcp-fb:{codec.payload_type} {feedback}" for feedback in sorted(codec.feedback)]
    if rtx is not None:
        lines += [f"a=rtpmap:{rtx.payload_type} rtx/90000", f"a=fmtp:{rtx.payload_type} apt={codec.payload_type}"]
    ids = {uri: section.extensions.get(uri) for uri in EXTENSIONS[kind]}
    return lines + [f"a=extmap:{number} {uri}" for uri, number in ids.items() if number in _EXTENSION_IDS]


def _retransmits(codec: Codec, video: Codec) -> bool:
    """Whether the codec carries retransmissions of the video (RFC 4588)."""
    return (
        codec.mime_type == "video/rtx"
        and codec.payload_type in _PAYLOAD_TYPES
        and f"apt={video.payload_type}" in codec.parameters.replace(" ", "").split(";")
    )


def _transport_lines(transport: Transport, candidates: tuple[Candidate, ...]) -> list[str]:
    # A viewer that may be either becomes the client of the DTLS handshake: browsers repeat lost flights of theirs after
    # two round trips, OpenSSL after 1 s, and the server may send media half a round trip earlier.
    setup = "active" if transport.setup == "actpass" else transport.setup
    return [
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_pwd}",
        f"a=setup:{setup}",
        *(f"a=fingerprint:{value}" for value in transport.fingerprints if _FINGERPRINT.fullmatch(value)),
        *(f"a=candidate:{candidate}" for candidate in candidates),
    ]


# --- the answer for the viewer


def _rejected(section: MediaSection, transport: str) -> str:
    """Return a rejected section: its port is 0. The transport lines have no meaning in it, but GStreamer refuses an
    answer without them.
    """
    mid = f"a=mid:{section.mid}\r\n" if section.mid else ""
    media = f"m={section.kind} 0 {section.protocol} {section.first_format}\r\n"
    return f"{media}c=IN IP4 0.0.0.0\r\n{mid}{transport}"
