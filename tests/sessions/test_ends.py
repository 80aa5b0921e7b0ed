"""Ends that cannot be written are remembered and written later, on a virtual clock."""

from __future__ import annotations

import itertools

import anyio
import structlog.testing

from tests.virtual_clock import run_virtually
from visavis.sessions.ends import LONGEST_PAUSE_S, WAIT_S, Ends, SessionEnd, pause_s
from visavis.sessions.lifecycle import EndReason
from visavis.store.records import SessionRecord


def end_of(session_id: str, *, reason: EndReason = EndReason.CLIENT) -> SessionEnd:
    record = SessionRecord(
        id=session_id,
        account_id="acct_1",
        key_id="key_1",
        test=False,
        dialect="hosted",
        status="started",
        avatar_id="avat_1",
        avatar_name="Iris",
        token_hash="",
        room_name="vv-1",
        metadata={},
        aspect_ratio=None,
        created_at_ms=0,
        started_at_ms=1_000,
        ended_at_ms=None,
        expiration_ms=None,
        end_reason=None,
        first_frame_at_ms=None,
        last_frame_at_ms=None,
        seen_at_ms=1_000,
    )
    return SessionEnd(before=record, reason=reason, ended_at_ms=61_000, metering={"first_frame_at_ms": 2_000})


class Database:
    """Cannot be written until `works` is set, except for the sessions in `writable`."""

    def __init__(self) -> None:
        self.works = False
        self.poisoned: set[str] = set()
        self.attempts: list[tuple[float, str]] = []
        self.rows: dict[str, SessionRecord] = {}

    async def write(self, end: SessionEnd) -> SessionRecord:
        self.attempts.append((anyio.current_time(), end.before.id))
        if not self.works or end.before.id in self.poisoned:
            raise OSError("database is locked")
        self.rows[end.before.id] = end.record
        return end.record


def test_the_pauses_grow_up_to_a_limit() -> None:
    assert [pause_s(failures) for failures in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert pause_s(10_000) == LONGEST_PAUSE_S


def test_an_end_is_written_when_the_database_works_again() -> None:
    database = Database()
    ends = Ends(database.write)
    end = end_of("sess_1", reason=EndReason.ROOM_EMPTY)

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ends.run)
            ends.add(end)
            began_s = anyio.current_time()
            shown = await ends.wait_written(end)
            assert anyio.current_time() - began_s == WAIT_S, "the session waits no longer for its row"
            assert (shown.status, shown.end_reason, shown.ended_at_ms) == ("ended", "room_empty", 61_000)
            assert ends.problem == "1 ends of sessions cannot be written yet"
            await anyio.sleep(600)
            assert ends.unwritten.keys() == {"sess_1"}
            database.works = True
            await end.written.wait()
            assert ends.unwritten == {} and ends.problem is None
            tasks.cancel_scope.cancel()

    with structlog.testing.capture_logs() as logs:
        run_virtually(scenario)
    row = database.rows["sess_1"]
    assert (row.end_reason, row.ended_at_ms, row.first_frame_at_ms) == ("room_empty", 61_000, 2_000)
    times_s = [at_s for at_s, _ in database.attempts]
    pauses_s = [after - before for before, after in itertools.pairwise(times_s)]
    assert pauses_s[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0] and set(pauses_s[7:]) == {30.0}
    assert [log["event"] for log in logs] == ["session_ends_not_written", "session_ends_written_again"]
    assert logs[0]["problem"] == "database is locked"


def test_an_end_that_can_never_be_written_holds_up_no_other() -> None:
    database = Database()
    database.works, database.poisoned = True, {"sess_1"}
    ends = Ends(database.write)
    others = [end_of(f"sess_{number}") for number in range(2, 6)]

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ends.run)
            for end in (end_of("sess_1"), *others):
                ends.add(end)
            for end in others:
                await ends.wait_written(end)
                assert end.written.is_set()
            tasks.cancel_scope.cancel()

    run_virtually(scenario)
    assert ends.unwritten.keys() == {"sess_1"}


def test_what_cannot_be_written_at_the_end_of_the_server_is_in_its_log() -> None:
    database = Database()
    ends = Ends(database.write)
    ends.add(end_of("sess_1"))

    async def scenario() -> None:
        await ends.flush()
        database.works = True
        ends.add(end_of("sess_2"))
        await ends.flush()

    with structlog.testing.capture_logs() as logs:
        run_virtually(scenario)
    lost = [log for log in logs if log["event"] == "session_end_lost"]
    assert [(log["session_id"], log["reason"], log["ended_at"]) for log in lost] == [
        ("sess_1", EndReason.CLIENT, "1970-01-01T00:01:01Z")
    ]
    assert database.rows.keys() == {"sess_1", "sess_2"}
