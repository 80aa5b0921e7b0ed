"""What the fleet's database says: whose sessions are whose, whether places add up, and whether the ledger is right."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import asyncpg
import httpx

from tests.fleet_faults.fleet import ADDRESSES, MACHINES, SERVERS, Fleet
from tests.fleet_faults.speaker import Speaker
from visavis.store.database import Database
from visavis.store.stages import StageStore

FRESH_MS = 1500  # a lease that was renewed within this time lives
SECOND_MS = 1000
MINUTE_MS = 60_000


async def fetch(fleet: Fleet, query: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(fleet.database_url, timeout=10)
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()


def _name_at(address: str, names: Sequence[str]) -> str:
    return next(name for name in names if f"//{ADDRESSES[name]}:" in address)


async def machine_of(fleet: Fleet, speaker: Speaker) -> str:
    """Return the machine that performs a session."""
    query = "SELECT address FROM stages JOIN sessions ON stage_id = stages.id WHERE sessions.id = $1"
    ((address,),) = await fetch(fleet, query, speaker.session_id)
    return _name_at(address, MACHINES)


async def owner_of(fleet: Fleet, speaker: Speaker) -> str:
    """Return the server that owns a session."""
    query = "SELECT address FROM servers JOIN sessions ON server_id = servers.id WHERE sessions.id = $1"
    ((address,),) = await fetch(fleet, query, speaker.session_id)
    return _name_at(address, SERVERS)


async def is_whole(fleet: Fleet) -> bool:
    """Whether every server and every machine holds its lease; False while the database is away."""
    since_ms = int(time.time() * 1000) - FRESH_MS
    alive = "WHERE ended_at_ms IS NULL AND seen_at_ms >= $1"
    try:
        servers = await fetch(fleet, f"SELECT address FROM servers {alive}", since_ms)
        machines = await fetch(fleet, f"SELECT address FROM stages {alive} AND NOT draining", since_ms)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return len(servers) == len(SERVERS) and len(machines) == len(MACHINES)


async def check_places(fleet: Fleet, *, empty: bool) -> None:
    """The sums of places are those of the sessions. `empty`: there are none."""
    database = await Database.open(fleet.database_url)
    try:
        assert await StageStore(database, beside=database).sums_are_right()
    finally:
        await database.aclose()
    if empty:
        left = await fetch(fleet, "SELECT id, taken_mcores FROM stages WHERE taken_mcores <> 0 AND ended_at_ms IS NULL")
        assert left == [], left


async def check_ledger(fleet: Fleet, speakers: Sequence[Speaker]) -> str:
    """Every session has ended once, by its client, at the second that the client knows; its entries adjoin from its
    start to its end, and hold each billed minute once. Returns what there was, in words.
    """
    ids = [one.session_id for one in speakers]
    rows = {row["id"]: row for row in await fetch(fleet, "SELECT * FROM sessions WHERE id = ANY($1)", ids)}
    query = "SELECT * FROM usage_entries WHERE session_id = ANY($1) ORDER BY session_id, number"
    entries: dict[str, list[Any]] = {one: [] for one in ids}
    for entry in await fetch(fleet, query, ids):
        entries[entry["session_id"]].append(entry)
    seconds = minutes = 0
    loosest_ms = 0.0
    for speaker in speakers:
        assert speaker.ended is not None
        row, parts, session_id = rows[speaker.session_id], entries[speaker.session_id], speaker.session_id
        assert (row["status"], row["end_reason"]) == ("ended", "ended_by_client"), (session_id, dict(row))
        assert (row["stage_id"], row["place_mcores"]) == (None, None), (session_id, dict(row))
        for at_ms, told in ((row["started_at_ms"], speaker.started), (row["ended_at_ms"], speaker.ended)):
            earliest_ms, latest_ms = told.from_s * 1000 - SECOND_MS, told.until_s * 1000 + SECOND_MS
            assert earliest_ms <= at_ms <= latest_ms, (session_id, at_ms, told.from_s, told.until_s)
            loosest_ms = max(loosest_ms, latest_ms - earliest_ms - 2 * SECOND_MS)
        edges = [row["started_at_ms"], *(part["until_ms"] for part in parts)]
        assert [part["began_at_ms"] for part in parts] == edges[:-1], (session_id, parts)
        assert edges[-1] == row["ended_at_ms"] and all(part["closed"] for part in parts), (session_id, parts)
        billed = sum(part["minutes"] for part in parts)
        lasted_ms = row["ended_at_ms"] - row["started_at_ms"]
        assert billed == max(1, -(-lasted_ms // MINUTE_MS)), (session_id, parts)
        shown = await _shown(fleet, session_id)
        assert shown["status"] == "ended" and abs(shown["duration"] - lasted_ms / 1000) <= 1, shown
        seconds, minutes = seconds + lasted_ms / 1000, minutes + billed
    used = await fetch(fleet, "SELECT sum(minutes) FROM included_usage")
    everything = await fetch(fleet, "SELECT sum(minutes) FROM usage_entries")
    assert used[0][0] == everything[0][0], "what accounts have used is the sum of the entries"
    return (
        f"{len(speakers)} sessions, {seconds:.1f} s, {minutes} minutes; the client knew each start and end to within "
        f"{loosest_ms / 1000:.1f} s at worst"
    )


async def _shown(fleet: Fleet, session_id: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=fleet.base_url, headers=fleet.headers, timeout=30) as http:
        shown: dict[str, Any] = (await http.get(f"/v1/sessions/{session_id}")).json()["session"]
    return shown
