"""Checks a viewer's SDP offer before a connection is made for it. An offer that cannot be answered is refused with a
reason. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from visavis.errors import OfferRefused
from visavis.rooms.port import MediaKind
from visavis.rooms.webrtc.sdp import MediaSection, read_media_sections

MAX_OFFER_BYTES = 64 * 1024
MEDIA_KINDS: dict[str, MediaKind] = {"audio": "audio", "video": "video"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOffer:
    """An offer that can be answered. `sdp`: without the lines that are left out. `kinds`: those of its sections, in
    their order.
    """

    sdp: str
    kinds: tuple[MediaKind, ...]


def check_offer(sdp: str) -> CheckedOffer:
    """Check an offer and return the form of it to answer. Raises `OfferRefused`.

    Candidates with mDNS names are left out. Each takes a multicast lookup of up to seconds, and they are not needed:
    the viewer's connectivity checks tell this server the viewer's address (RFC 8445, section 7.3.1.3). The line
    end-of-candidates is left out too, because after it no address would be learned.
    """
    if len(sdp) > MAX_OFFER_BYTES:
        raise OfferRefused("The offer is larger than 64 KiB")
    try:
        sections = read_media_sections(sdp)
    except ValueError as error:
        raise OfferRefused("The offer is not SDP", suggestion="POST an SDP offer as application/sdp") from error
    kinds = _kinds_of(sections)
    for section in sections:
        _check_section(section)
    kept = [line for line in sdp.replace("\r\n", "\n").split("\n") if not _is_left_out(line)]
    return CheckedOffer(sdp="\r\n".join(kept), kinds=kinds)


def _kinds_of(sections: tuple[MediaSection, ...]) -> tuple[MediaKind, ...]:
    kinds = tuple(MEDIA_KINDS[section.kind] for section in sections if section.kind in MEDIA_KINDS)
    if "video" not in kinds:
        raise OfferRefused(
            "The offer has no video section", suggestion="Offer a recvonly video and a recvonly audio section"
        )
    if len(kinds) < len(sections) or len(kinds) != len(set(kinds)):
        raise OfferRefused(
            "The offer has more than one section of video and one of audio",
            suggestion="Offer one recvonly section of each",
        )
    return kinds


def _check_section(section: MediaSection) -> None:
    if section.direction not in ("recvonly", "sendrecv"):
        raise OfferRefused(
            f"The offer's {section.kind} section is {section.direction or 'without a direction'}",
            suggestion="A viewer's sections must be recvonly",
        )
    wanted = "video/vp8" if section.kind == "video" else "audio/opus"
    if not any(codec.mime_type == wanted for codec in section.codecs):
        raise OfferRefused(f"The offer's {section.kind} section does not include {wanted.split('/')[1].upper()}")
    if not (section.has_fingerprint and section.has_ice_credentials):
        raise OfferRefused("The offer lacks its DTLS fingerprint or its ICE credentials")
    if not section.mid:
        raise OfferRefused("The offer's sections have no mid")


def _is_left_out(line: str) -> bool:
    return line.startswith("a=end-of-candidates") or (line.startswith("a=candidate:") and ".local " in line)
