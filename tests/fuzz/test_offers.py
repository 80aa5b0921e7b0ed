"""Offers and candidates that nobody writes in good faith: each is refused with a reason, or answered."""

from __future__ import annotations

import asyncio
import functools

from aiortc.sdp import candidate_from_sdp
from hypothesis import given

from tests.fuzz.offers import fragments, offers
from tests.fuzz.scale import examples
from visavis.errors import CandidatesRefused, OfferRefused
from visavis.rooms.embedded.candidates import MAX_OF_EACH_TYPE, TYPES, keep_candidates
from visavis.rooms.embedded.fragment import read_fragment
from visavis.rooms.embedded.offer import check_offer
from visavis.rooms.sdp import read_description
from visavis.rooms.webrtc.send_path import SendPath
from visavis.rooms.webrtc.sending_peer import SendingPeer


class Silent:
    """Takes the events of a peer that never connects."""

    def peer_connected(self) -> None: ...

    def keyframe_wanted(self) -> None: ...

    def media_sent(self, kind: str, position: int) -> None: ...

    def peer_disconnected(self) -> None: ...


@functools.cache
def runner() -> asyncio.Runner:
    return asyncio.Runner()


async def answer(offer: str) -> str:
    """Answer an offer as a room does. Raises `OfferRefused`."""
    checked = check_offer(offer)
    peer = SendingPeer(Silent(), SendPath(Silent()), wall_clock_at_start_ns=0, ice_servers=())
    try:
        return checked.complete(await peer.answer(checked.sdp, checked.kinds))
    finally:
        await peer.aclose()


def refusal_of(error: OfferRefused | CandidatesRefused) -> str:
    """Return the reason that the viewer is told. It must be one that we have found ourselves."""
    assert error.message and "cannot be answered" not in error.message, error
    return error.message


@examples(few=60, many=4_000)
@given(offers())
def test_an_offer_is_answered_section_by_section_or_refused_with_a_reason(offer: str) -> None:
    try:
        answered = read_description(runner().run(answer(offer)))
    except OfferRefused as refused:
        refusal_of(refused)
        return
    offered = read_description(offer)
    assert [section.kind for section in answered.sections] == [section.kind for section in offered.sections]
    assert set(answered.bundle) <= {section.mid for section in offered.sections}
    used = [section for section in answered.sections if section.in_use]
    assert used and all(section.direction == "sendonly" and section.codecs for section in used)


@examples(few=100, many=20_000)
@given(offers())
def test_an_offer_is_checked_or_refused_with_a_reason(offer: str) -> None:
    try:
        checked = check_offer(offer)
    except OfferRefused as refused:
        refusal_of(refused)
        return
    assert len(checked.sdp) < 8_000 and len(checked.candidates) <= MAX_OF_EACH_TYPE * len(TYPES)


@examples(few=100, many=20_000)
@given(fragments())
def test_candidates_are_read_or_refused_with_a_reason(fragment: str) -> None:
    try:
        kept = keep_candidates(read_fragment(fragment).candidates)
    except CandidatesRefused as refused:
        refusal_of(refused)
        return
    assert len(kept) <= MAX_OF_EACH_TYPE * len(TYPES)
    for candidate in kept:
        assert candidate_from_sdp(str(candidate)).port == candidate.port
