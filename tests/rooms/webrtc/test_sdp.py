from __future__ import annotations

import asyncio

import pytest

from tests.rooms.offers import make_offer
from visavis.rooms.webrtc.sdp import Codec, read_media_sections


def test_sections_are_read_in_their_order() -> None:
    video, audio = read_media_sections(asyncio.run(make_offer("video", "audio")))
    assert (video.kind, audio.kind) == ("video", "audio")
    assert video.direction == audio.direction == "recvonly"
    assert (video.mid, audio.mid) == ("0", "1")
    assert "video/vp8" in {codec.mime_type for codec in video.codecs}
    assert Codec(mime_type="audio/opus", payload_type=96) in audio.codecs
    assert video.has_fingerprint and video.has_ice_credentials


@pytest.mark.parametrize("sdp", ["", "nonsense", "v=0\r\nm=video nonsense", "v=0\r\na=group:BUNDLE 0\r\nm=audio 9 x 0"])
def test_anything_but_sdp_is_a_value_error(sdp: str) -> None:
    with pytest.raises(ValueError):
        read_media_sections(sdp)
