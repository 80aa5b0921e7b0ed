"""The check of a viewer's offer: which offers are refused, what the WebRTC library gets, and how the answer is
completed.
"""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.rooms.offers import make_offer
from visavis.errors import OfferRefused
from visavis.rooms.embedded.offer import check_offer

DATA = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\na=sctp-port:5000\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\n"
)


def offer(*kinds: str, direction: str = "recvonly") -> str:
    return asyncio.run(make_offer(*kinds, direction=direction))


def media_lines(sdp: str) -> list[str]:
    return [line for line in sdp.split("\r\n") if line.startswith("m=")]


def of_section(kind: str, change: tuple[str, str], sdp: str) -> str:
    """Return the offer with a change in the section of that kind alone."""
    sections = re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)
    return "".join(part.replace(*change) if part.startswith(f"m={kind}") else part for part in sections)


def test_an_offer_is_accepted_with_its_sections_in_order() -> None:
    assert check_offer(offer("audio", "video")).kinds == ("audio", "video")
    assert check_offer(offer("video", "audio")).kinds == ("video", "audio")
    assert check_offer(offer("video")).kinds == ("video",)
    assert check_offer(offer("audio")).kinds == ("audio",)


def test_the_new_offer_has_what_the_library_needs() -> None:
    sdp = check_offer(offer("video", "audio")).sdp
    assert media_lines(sdp) == ["m=video 9 UDP/TLS/RTP/SAVPF 97 98", "m=audio 9 UDP/TLS/RTP/SAVPF 96"]
    for line in (
        "a=group:BUNDLE 0 1",
        "a=rtpmap:97 VP8/90000",
        "a=rtcp-fb:97 nack pli",
        "a=fmtp:98 apt=97",
        "a=rtpmap:96 opus/48000/2",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
    ):
        assert f"\r\n{line}\r\n" in sdp, line
    assert sdp.count("a=setup:active") == sdp.count("a=ice-ufrag:") == sdp.count("a=ice-pwd:") == 2
    assert sdp.count("a=fingerprint:sha-256") == 2 and " typ host" in sdp


def test_no_other_line_reaches_the_library() -> None:
    whole = offer("video", "audio")
    noise = "a=ssrc:1 cname:x\r\na=fmtp:97 max-fr=nonsense\r\na=end-of-candidates\r\na=crypto:1 x\r\nnonsense\r\n"
    assert check_offer(whole.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\n" + noise)).sdp == check_offer(whole).sdp


@pytest.mark.parametrize(
    "line",
    [
        "a=candidate:1 1 udp {number} 10.0.{number}.1 {number} typ host",
        "a=extmap:{number} urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap:7 urn:{number}",
        "a=rtpmap:{number} VP8/90000",
        "a=rtcp-fb:* nack {number}",
        "a=rtcp-fb:97 nack pli",
        "a=fmtp:98 apt=97;x={number}",
        "a=ssrc:{number} cname:x",
        "a=group:BUNDLE {number}",
        "x",
    ],
)
def test_the_library_gets_a_short_offer_however_long_the_viewers_is(line: str) -> None:
    whole = offer("video", "audio")
    much = "".join(line.format(number=number) + "\r\n" for number in range(1500))[: 60_000 - len(whole)]
    for hostile in (whole + much + "\r\n", whole.replace("m=audio", much + "\r\nm=audio")):
        assert len(check_offer(hostile).sdp) < 4000


def test_the_candidates_of_the_bundles_first_section_are_used() -> None:
    with_candidates = offer("video", "audio")
    candidates = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", with_candidates)
    alone = of_section("audio", ("a=candidate:", "a=x:"), with_candidates)
    checked = check_offer(alone).sdp
    assert re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+)", checked) == candidates
    assert check_offer(alone.replace("BUNDLE 0 1", "BUNDLE 1 0")).sdp.count("a=candidate:") == 0


def test_a_bundle_only_section_needs_no_transport_of_its_own() -> None:
    sdp = offer("video", "audio")
    for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup", "candidate"):
        sdp = of_section("audio", (f"a={name}:", f"a=x-{name}:"), sdp)
    checked = check_offer(re.sub(r"m=audio \d+", "m=audio 0", sdp).replace("a=mid:1", "a=mid:1\r\na=bundle-only"))
    assert checked.kinds == ("video", "audio")
    assert checked.sdp.count("a=ice-ufrag:") == checked.sdp.count("a=fingerprint:sha-256") == 2


def test_other_sections_are_rejected_in_their_places() -> None:
    whole = offer("video", "audio").replace("BUNDLE 0 1", "BUNDLE 0 1 data 7")
    head, video, audio = re.split(r"^(?=m=)", whole, flags=re.MULTILINE)
    second = video.replace("a=mid:0", "a=mid:7")
    checked = check_offer(head + video + DATA + second + audio)
    assert checked.kinds == ("video", "audio")
    transport = "a=ice-ufrag:u\r\na=ice-pwd:p\r\na=fingerprint:sha-256 AB\r\na=setup:active\r\n"
    head = "v=0\r\na=group:BUNDLE 0 1\r\n"
    video = f"m=video 5000 x 97\r\na=mid:0\r\na=candidate:1 x\r\n{transport}"
    audio = f"m=audio 5000 x 96\r\na=mid:1\r\n{transport}"
    assert checked.complete(head + video + audio) == (
        f"{head}a=ice-options:trickle\r\n{video}"
        f"m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\n{transport}"
        f"m=video 0 UDP/TLS/RTP/SAVPF 97\r\nc=IN IP4 0.0.0.0\r\na=mid:7\r\n{transport}"
        f"{audio}"
    )


def test_a_section_without_a_port_is_rejected_in_its_place() -> None:
    checked = check_offer(re.sub(r"m=audio \d+", "m=audio 0", offer("video", "audio")))
    assert checked.kinds == ("video",)
    assert media_lines(checked.complete("v=0\r\nm=video 5000 x 97\r\n"))[1].startswith("m=audio 0 ")


def test_an_answer_has_a_bundle_only_if_the_offer_has_one() -> None:
    alone = offer("video").replace("a=group:BUNDLE 0\r\n", "")
    answer = check_offer(alone).complete("v=0\r\na=group:BUNDLE 0\r\nm=video 9 x 97\r\n")
    assert answer == "v=0\r\na=ice-options:trickle\r\nm=video 9 x 97\r\n"


@pytest.mark.parametrize(
    ("sdp", "says"),
    [
        ("nonsense", "not SDP"),
        ("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "no video section and no audio section"),
        ("v=0\r\n" + DATA, "no video section and no audio section"),
        ("v=0\r\n" + "a=x\r\n" * 20_000, "larger than"),
    ],
)
def test_anything_but_an_offer_is_refused(sdp: str, says: str) -> None:
    with pytest.raises(OfferRefused, match=says):
        check_offer(sdp)


@pytest.mark.parametrize(
    ("change", "by", "says"),
    [
        ("a=recvonly", "a=sendonly", "video section is sendonly"),
        ("a=recvonly", "a=inactive", "video section is inactive"),
        ("VP8", "VP9", "video section does not include VP8"),
        ("opus", "PCMU", "audio section does not include OPUS"),
        (":97 ", ":40 ", "payload type 40 of the offer's video section is not dynamic"),
        ("a=rtcp-mux", "a=x", "no rtcp-mux"),
        ("a=mid:1", "a=mid:0", "the same mid"),
        ("a=mid:1", "a=mid:" + "x" * 200, "no valid mid"),
        ("a=group:BUNDLE 0 1", "a=x", "not in one BUNDLE group"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0", "not in one BUNDLE group"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE data 0 1", "not one that a room accepts"),
        ("a=ice-ufrag:", "a=ice-ufrag:!", "no valid ice-ufrag and ice-pwd"),
        ("a=ice-ufrag:", "a=ice-ufrag:" + "x" * 257, "no valid ice-ufrag and ice-pwd"),
        ("a=ice-pwd:", "a=x:", "no valid ice-ufrag and ice-pwd"),
        ("a=setup:actpass", "a=setup:holdconn", "no valid setup"),
        ("a=setup:actpass", "a=x", "no valid setup"),
        ("a=fingerprint:", "a=x:", "no valid DTLS fingerprint"),
        ("a=fingerprint:sha-", "a=fingerprint:md5-", "no valid DTLS fingerprint"),
        ("a=fingerprint:", "a=fingerprint:sha-1 00\r\n" * 8 + "a=fingerprint:", "more than 8 DTLS fingerprints"),
    ],
)
def test_an_offer_that_cannot_be_answered_is_refused_with_the_reason(change: str, by: str, says: str) -> None:
    whole = offer("video", "audio")
    assert change in whole
    with pytest.raises(OfferRefused, match=says):
        check_offer(whole.replace(change, by))
