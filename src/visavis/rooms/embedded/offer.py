"""Reading a viewer's SDP offer before any connection is made for it: what cannot be answered is refused with a reason.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiortc import sdp as sdp_grammar

from visavis.errors import OfferRefused

MAX_OFFER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOffer:
    """`sdp` as it is given to aiortc; `kinds` in the order of its sections, audio or video, each once."""

    sdp: str
    kinds: tuple[Literal["audio", "video"], ...]


def check_offer(sdp: str) -> CheckedOffer:
    """Return the offer as it is given to aiortc. Raises `OfferRefused`.

    Candidates with mDNS names are left out: they take a multicast lookup of up to seconds each, and the viewer reaches
    this server anyway, which then learns its address from its checks (RFC 8445, section 7.3.1.3). So is
    end-of-candidates, or no address would be learnt any more.
    """
    if len(sdp) > MAX_OFFER_BYTES:
        raise OfferRefused("The offer is larger than 64 KiB")
    try:
        if not sdp.startswith("v=0"):  # RFC 8866: every description begins so; the parser does not mind
            raise ValueError("no version line")
        offer = sdp_grammar.SessionDescription.parse(sdp)
    except Exception as error:  # the parser raises whatever its string handling raises
        raise OfferRefused("The offer is not SDP", suggestion="POST an SDP offer as application/sdp") from error
    kinds: list[Literal["audio", "video"]] = [media.kind for media in offer.media]  # type: ignore[misc]
    if "video" not in kinds:
        raise OfferRefused(
            "The offer has no video section", suggestion="Offer a recvonly video and a recvonly audio section"
        )
    if any(kind not in ("audio", "video") for kind in kinds) or len(kinds) != len(set(kinds)):
        raise OfferRefused(
            "The offer has more than one section of video and one of audio",
            suggestion="Offer one recvonly section of each",
        )
    for media in offer.media:
        if media.direction not in ("recvonly", "sendrecv"):
            raise OfferRefused(
                f"The offer's {media.kind} is {media.direction or 'of no stated direction'}",
                suggestion="A viewer's sections are recvonly",
            )
        wanted = "video/vp8" if media.kind == "video" else "audio/opus"
        if not any(codec.mimeType.lower() == wanted for codec in media.rtp.codecs):
            raise OfferRefused(f"The offer's {media.kind} does not include {wanted.split('/')[1].upper()}")
        if (
            not media.dtls
            or not media.dtls.fingerprints
            or not media.ice
            or not media.ice.usernameFragment
            or not media.ice.password
        ):
            raise OfferRefused("The offer lacks its DTLS fingerprint or its ICE credentials")
        if not media.rtp.muxId:
            raise OfferRefused("The offer's sections have no mid")
    kept = [line for line in sdp.replace("\r\n", "\n").split("\n") if not _is_left_out(line)]
    return CheckedOffer(sdp="\r\n".join(kept), kinds=tuple(kinds))


def _is_left_out(line: str) -> bool:
    return line.startswith("a=end-of-candidates") or (line.startswith("a=candidate:") and ".local " in line)
