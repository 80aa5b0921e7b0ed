"""Candidates that a viewer sends after its offer."""

from __future__ import annotations

import pytest

from visavis.errors import CandidatesRefused
from visavis.rooms.embedded.candidates import MAX_OF_EACH_TYPE, keep_candidates
from visavis.rooms.embedded.fragment import (
    MAX_FRAGMENT_BYTES,
    MAX_LINES,
    read_fragment,
    read_restart,
    write_restart,
)

HOST = "1 1 udp 2122252543 192.0.2.7 50000 typ host"


def test_the_example_of_the_standard_is_read() -> None:
    fragment = read_fragment(
        "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\nm=audio 9 RTP/AVP 0\r\na=mid:1\r\n"
        f"a=candidate:{HOST}\r\na=candidate:2 1 udp 1686052607 203.0.113.9 61764 typ srflx raddr 0.0.0.0 rport 0\r\n"
        "a=end-of-candidates\r\n"
    )
    assert (fragment.ice_ufrag, fragment.ice_pwd) == ("8hhY", "asd88fgpdd777uzjYhagZg")
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
        ("a=ice-pwd:one1\r\na=ice-pwd:two2\r\n", "different ICE sessions"),
        ("a=x\n" * (MAX_LINES + 1), "200 lines"),
        ("a=" + "x" * MAX_FRAGMENT_BYTES, "16 KiB"),
    ],
)
def test_anything_else_is_refused_with_a_reason(body: str, reason: str) -> None:
    with pytest.raises(CandidatesRefused, match=reason):
        read_fragment(body)


@pytest.mark.parametrize("ufrag", ["", "abc", "a b c d", "x" * 257])
@pytest.mark.parametrize("pwd", ["", "short", "asd88fgpdd777uzjYhagZg"])
def test_a_restart_needs_both_credentials(ufrag: str, pwd: str) -> None:
    with pytest.raises(CandidatesRefused, match="valid ice-ufrag and ice-pwd"):
        read_restart(f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n")


def test_the_answer_to_a_restart_can_be_read_like_its_request() -> None:
    answer = write_restart(
        kind="audio", mid="a1", ice_ufrag="8hhY", ice_pwd="asd88fgpdd777uzjYhagZg", candidates=[HOST]
    )
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:a1\r\n" in answer
    assert read_restart(answer).candidates == (HOST,)


def test_the_candidates_of_the_offer_count_too() -> None:
    """However many fragments a viewer sends, four addresses of each type are checked."""
    kept = keep_candidates([HOST])
    for number in range(1, 3 * MAX_OF_EACH_TYPE):
        offered = [f"1 1 udp 2122252543 192.0.2.{number} {50_000 + number} typ host", HOST]
        kept += keep_candidates(offered, kept)
    assert len(kept) == MAX_OF_EACH_TYPE
    assert len({(one.address, one.port) for one in kept}) == MAX_OF_EACH_TYPE
