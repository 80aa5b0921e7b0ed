"""Candidates that a viewer sends after its offer."""

from __future__ import annotations

import pytest

from visavis.errors import CandidatesRefused
from visavis.rooms.embedded.candidates import MAX_OF_EACH_TYPE, keep_candidates
from visavis.rooms.embedded.fragment import MAX_FRAGMENT_BYTES, MAX_LINES, read_fragment

HOST = "1 1 udp 2122252543 192.0.2.7 50000 typ host"


def test_the_example_of_the_standard_is_read() -> None:
    fragment = read_fragment(
        "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\nm=audio 9 RTP/AVP 0\r\na=mid:1\r\n"
        f"a=candidate:{HOST}\r\na=candidate:2 1 udp 1686052607 203.0.113.9 61764 typ srflx raddr 0.0.0.0 rport 0\r\n"
        "a=end-of-candidates\r\n"
    )
    assert fragment.ice_ufrag == "8hhY"
    kept = keep_candidates(fragment.candidates)
    assert [(one.address, one.type) for one in kept] == [("192.0.2.7", "host"), ("203.0.113.9", "srflx")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "empty"),
        ("\r\n\r\n", "empty"),
        ("nonsense", "unreadable: nonsense"),
        ('{"candidate": ""}', "unreadable"),
        ("a=ice-ufrag:one1\r\na=ice-ufrag:two2\r\n", "different ICE sessions"),
        ("a=x\n" * (MAX_LINES + 1), "200 lines"),
        ("a=" + "x" * MAX_FRAGMENT_BYTES, "16 KiB"),
    ],
)
def test_anything_else_is_refused_with_a_reason(body: str, reason: str) -> None:
    with pytest.raises(CandidatesRefused, match=reason):
        read_fragment(body)


def test_the_candidates_of_the_offer_count_too() -> None:
    """However many fragments a viewer sends, four addresses of each type are checked."""
    kept = keep_candidates([HOST])
    for number in range(1, 3 * MAX_OF_EACH_TYPE):
        offered = [f"1 1 udp 2122252543 192.0.2.{number} {50_000 + number} typ host", HOST]
        kept += keep_candidates(offered, kept)
    assert len(kept) == MAX_OF_EACH_TYPE
    assert len({(one.address, one.port) for one in kept}) == MAX_OF_EACH_TYPE
