"""Which sessions are suspected when stages die."""

from __future__ import annotations

from visavis.engine.pack_ref import PackRef
from visavis.fleet.suspects import (
    BROKE_WITHIN_S,
    PACK_BROKEN_FOR_S,
    SHORT_STAY_S,
    LastWork,
    Suspects,
)

SESSIONS = {"a", "b", "c"}
UNKNOWN = LastWork()


def verdicts(suspects: Suspects) -> dict[str, str]:
    return {one: suspects.verdict(one) for one in sorted(SESSIONS)}


def lose(suspects: Suspects, work: LastWork, *, now_s: float) -> None:
    """All sessions lose a stage, and come to the next one at once."""
    suspects.lost(SESSIONS, work, now_s=now_s)
    for one in SESSIONS:
        suspects.came(one, now_s=now_s)


def test_the_session_at_whose_work_two_stages_broke_is_alone_then_over_and_its_neighbours_go_on() -> None:
    suspects, work = Suspects(), LastWork(sessions=frozenset({"b"}), broke=True)
    lose(suspects, work, now_s=0)
    assert verdicts(suspects) == {"a": "go on", "b": "go on", "c": "go on"}
    lose(suspects, work, now_s=BROKE_WITHIN_S - 1)
    assert verdicts(suspects) == {"a": "go on", "b": "alone", "c": "go on"}
    lose(suspects, work, now_s=2 * (BROKE_WITHIN_S - 1))
    assert verdicts(suspects) == {"a": "go on", "b": "over", "c": "go on"}
    assert suspects.reason("b") == "the work for it has broken one stage after the other"
    suspects.forget("b")
    assert suspects.verdict("b") == "go on"


def test_breaks_that_are_far_apart_are_no_row() -> None:
    suspects, work = Suspects(), LastWork(sessions=frozenset({"b"}), broke=True)
    for number in range(5):
        lose(suspects, work, now_s=number * BROKE_WITHIN_S)
        assert suspects.verdict("b") == "go on"


def test_a_work_that_is_not_known_suspects_all_sessions_of_the_stage() -> None:
    suspects = Suspects()
    lose(suspects, LastWork(broke=True), now_s=0)
    assert set(verdicts(suspects).values()) == {"go on"}
    lose(suspects, LastWork(broke=True), now_s=1)
    assert set(verdicts(suspects).values()) == {"alone"}
    suspects.lost({"b"}, LastWork(broke=True), now_s=2)
    assert verdicts(suspects) == {"a": "alone", "b": "over", "c": "alone"}
    assert suspects.reason("b") == "it has lost one stage after the other"


def test_a_program_that_kills_stages_now_and_then_makes_nobody_suspect() -> None:
    suspects = Suspects()
    for number in range(20):
        lose(suspects, LastWork(sessions=frozenset({"b"} if number % 2 else ())), now_s=number * SHORT_STAY_S)
        assert set(verdicts(suspects).values()) == {"go on"}


def test_one_kill_after_the_other_ends_a_session_that_never_stays() -> None:
    suspects = Suspects()
    for number, verdict in enumerate(("go on", "go on", "alone", "over")):
        lose(suspects, UNKNOWN, now_s=number)
        assert suspects.verdict("a") == verdict


def test_marks_of_sessions_that_are_over_suspect_nobody_else() -> None:
    suspects = Suspects()
    for number in range(5):
        lose(suspects, LastWork(sessions=frozenset({"gone"}), broke=True), now_s=number)
    assert set(verdicts(suspects).values()) == {"go on"}


def test_a_pack_that_breaks_stages_is_opened_alone_then_refused_then_tried_again() -> None:
    suspects, pack = Suspects(), PackRef(avatar_id="avat_1", version=1, digest="0" * 64)
    assert suspects.pack_verdict(pack, now_s=0) == "go on"
    suspects.pack_broke(pack, now_s=0)
    assert suspects.pack_verdict(pack, now_s=1) == "alone"
    suspects.pack_broke(pack, now_s=2)
    assert suspects.pack_verdict(pack, now_s=3) == "over"
    assert suspects.pack_verdict(pack, now_s=2 + PACK_BROKEN_FOR_S) == "go on"
    suspects.pack_broke(pack, now_s=0)
    suspects.pack_opened(pack)
    assert suspects.pack_verdict(pack, now_s=1) == "go on"
