from __future__ import annotations

import asyncio

import pytest

from tests.rooms.offers import make_offer
from visavis.rooms.sdp import MAX_LINES, MAX_SECTIONS, Codec, read_description

HEAD = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


def test_sections_are_read_in_their_order() -> None:
    description = read_description(asyncio.run(make_offer("video", "audio")))
    video, audio = description.sections
    assert (video.kind, audio.kind) == ("video", "audio")
    assert video.direction == audio.direction == "recvonly"
    assert (video.mid, audio.mid) == description.bundle == ("0", "1")
    assert "video/vp8" in {codec.mime_type for codec in video.codecs}
    opus = next(codec for codec in audio.codecs if codec.mime_type == "audio/opus")
    assert (opus.payload_type, opus.clock_rate_hz) == (96, 48_000)
    assert video.in_use and video.rtcp_mux and not description.ice_lite
    assert video.transport.ice_ufrag and video.transport.ice_pwd and video.transport.setup == "actpass"
    assert len(video.transport.fingerprints) == 3 and video.transport.candidates


def test_lines_before_the_first_section_are_defaults_of_all_sections() -> None:
    whole = "a=ice-ufrag:abcd\r\na=ice-lite\r\na=setup:active\r\na=fingerprint:sha-256 AB\r\na=sendonly\r\n"
    sections = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nm=audio 9 UDP/TLS/RTP/SAVPF 97\r\na=ice-ufrag:efgh\r\na=recvonly\r\n"
    description = read_description(HEAD + whole + sections)
    video, audio = description.sections
    assert (video.transport.ice_ufrag, audio.transport.ice_ufrag) == ("abcd", "efgh")
    assert (video.direction, audio.direction) == ("sendonly", "recvonly")
    assert video.transport.fingerprints == audio.transport.fingerprints == ("sha-256 AB",)
    assert description.ice_lite and audio.transport.setup == "active"


def test_a_codec_has_its_parameters_and_its_known_feedback() -> None:
    lines = (
        "a=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\na=rtpmap:96 VP8/90000\na=rtcp-fb:* nack\na=rtcp-fb:96 nack pli\n"
        "a=rtcp-fb:96 transport-cc\na=rtpmap:200 H264/90000\na=rtpmap:98 nonsense\n"
    )
    (section,) = read_description(f"{HEAD}m=video 9 UDP/TLS/RTP/SAVPF 96 97\n{lines}").sections
    assert section.codecs == (
        Codec(
            mime_type="video/rtx",
            clock_rate_hz=90_000,
            payload_type=97,
            parameters="apt=96",
            feedback=frozenset({"nack"}),
        ),
        Codec(mime_type="video/vp8", clock_rate_hz=90_000, payload_type=96, feedback=frozenset({"nack", "nack pli"})),
    )
    assert section.direction == "sendrecv", "the default (RFC 8866, section 6.7)"


def test_a_section_without_a_port_is_in_use_only_within_a_bundle() -> None:
    refused, bundled = read_description(
        f"{HEAD}m=video 0 UDP/TLS/RTP/SAVPF 96\nm=audio 0 UDP/TLS/RTP/SAVPF 97\na=bundle-only\n"
    ).sections
    assert not refused.in_use and bundled.in_use


@pytest.mark.parametrize(
    ("sdp", "says"),
    [
        ("", "not SDP"),
        ("nonsense", "not SDP"),
        (HEAD + "m=video nonsense", "m=video nonsense"),
        (HEAD + "m=video 9 UDP/TLS/RTP/SAVPF", "unreadable"),
        (HEAD + "m=" + "x" * 1000 + " 9 UDP/TLS/RTP/SAVPF 96", "unreadable: .{60}$"),
        (HEAD + "a=x\n" * (MAX_LINES + 1), f"more than {MAX_LINES} lines"),
        (HEAD + "m=video 9 UDP/TLS/RTP/SAVPF 96\n" * (MAX_SECTIONS + 1), f"more than {MAX_SECTIONS} sections"),
    ],
)
def test_anything_but_sdp_and_too_much_of_it_are_value_errors(sdp: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_description(sdp)
