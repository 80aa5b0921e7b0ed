"""The check of a viewer's offer: which offers are refused, and which lines are left out."""

from __future__ import annotations

import asyncio

import pytest

from tests.rooms.offers import make_offer
from visavis.errors import OfferRefused
from visavis.rooms.embedded.offer import check_offer


def offer(*kinds: str, direction: str = "recvonly") -> str:
    return asyncio.run(make_offer(*kinds, direction=direction))


def test_an_offer_is_accepted_with_its_sections_in_order() -> None:
    assert check_offer(offer("audio", "video")).kinds == ("audio", "video")
    assert check_offer(offer("video", "audio")).kinds == ("video", "audio")
    assert check_offer(offer("video")).kinds == ("video",)


def test_mdns_candidates_and_the_end_of_candidates_are_left_out() -> None:
    sdp = offer("video").replace(
        "a=end-of-candidates",
        "a=candidate:1 1 udp 2113937151 3d1b9f8e-52c0.local 51473 typ host\r\na=end-of-candidates",
    )
    checked = check_offer(sdp).sdp
    assert ".local" in sdp and ".local" not in checked and "end-of-candidates" not in checked
    assert " typ host" in checked, "other candidates stay"


@pytest.mark.parametrize(
    ("sdp", "message"),
    [
        ("nonsense", "not SDP"),
        ("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "no video"),
        ("v=0\r\n" + "a=x\r\n" * 20_000, "larger than"),
    ],
)
def test_anything_but_an_offer_of_a_viewer_is_refused(sdp: str, message: str) -> None:
    with pytest.raises(OfferRefused, match=message):
        check_offer(sdp)


def test_an_offer_that_this_room_cannot_answer_is_refused_with_the_reason() -> None:
    video = offer("video")
    with pytest.raises(OfferRefused, match="no video"):
        check_offer(offer("audio"))
    with pytest.raises(OfferRefused, match="sendonly"):
        check_offer(offer("video", direction="sendonly"))
    with pytest.raises(OfferRefused, match="more than one"):
        check_offer(offer("video", "video"))
    with pytest.raises(OfferRefused, match="VP8"):
        check_offer(video.replace("VP8", "VP9"))
    with pytest.raises(OfferRefused, match="fingerprint"):
        check_offer("\r\n".join(line for line in video.split("\r\n") if "fingerprint" not in line))
