"""`visavis bench fleet`: how large a fleet of machines one PostgreSQL carries.

The servers, the stages and the sessions are rows of a real PostgreSQL, without media; the statements are those that
real ones send (store/leases.py, stages.py, session_owners.py, usage.py).

- Each kind of statement alone, as fast as it goes: renewals of leases, placements of sessions, and the usage ledger.
- All together at the pace of a real fleet: every lease is renewed twice a second, every server looks four times a
  second for leases that have lapsed, sessions come and go.
- Then a tenth of the stages and one server stop at once: how soon that is known, and how soon their sessions have other
  servers and stages.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from visavis.bench.figures import print_json, print_rows
from visavis.bench.fleet_life import FleetLife, Life, Strike
from visavis.bench.live import machine_members
from visavis.bench.simulated_fleet import SimulatedFleet, Times, flat_out
from visavis.sessions.session_metrics import Percentiles

CONNECTIONS = 16
SPARE = 10  # one session in so many waits, and comes when another goes
LIFE_S = 60.0  # of a session
EVERY_STATEMENT = 10_000_000


@dataclass(slots=True, kw_only=True)
class Measured:
    renewals: Times
    placements: Times
    ledger: Times
    life: Life
    strike: Strike
    right: bool  # the places add up, and every session has a server and a stage that live


async def measure(
    url: str, *, servers: int, stages: int, sessions: int, seconds: float, connections: int = CONNECTIONS
) -> Measured:
    """`seconds`: of each measurement. Raises `SettingInvalid` for a database that is not an empty PostgreSQL."""
    async with SimulatedFleet.open(url, connections=connections) as fleet:
        await fleet.fill(servers=servers, stages=stages, sessions=sessions + max(1, sessions // SPARE))
        placements = await fleet.place_all(sessions)
        renewing = flat_out(fleet.renew, count=EVERY_STATEMENT, at_once=connections, seconds=seconds)
        renewals = await fleet.priced(renewing)
        ledger = await fleet.priced(fleet.ledger(seconds=seconds))
        await fleet.renew_all()
        async with FleetLife(fleet, sessions=sessions, lives_s=LIFE_S) as living:
            life = await living.live(seconds=seconds)
            strike = await living.strike()
        right = await fleet.is_right()
    return Measured(renewals=renewals, placements=placements, ledger=ledger, life=life, strike=strike, right=right)


def members(measured: Measured) -> dict[str, Any]:
    """Return the figures for JSON."""
    life, strike = measured.life, measured.strike
    return {
        "alone": {
            "renewals_per_s": round(measured.renewals.per_s),
            "renewals_ms": _percentiles(measured.renewals),
            **_prices("renewals", measured.renewals),
            "placements_per_s": round(measured.placements.per_s),
            "placements_ms": _percentiles(measured.placements),
            **_prices("placements", measured.placements),
            "ledger_sessions_per_s": round(measured.ledger.per_s),
            **_prices("ledger", measured.ledger),
        },
        "together": {
            "renewals_per_s": round(life.renewals.per_s),
            "renewals_ms": _percentiles(life.renewals),
            "looks_ms": _percentiles(life.looks),
            "placements_per_s": round(life.placements.per_s),
            "placements_ms": _percentiles(life.placements),
            "releases_ms": _percentiles(life.releases),
            "refused": life.refused,
            "lost_leases": life.lost_leases,
            "failures": life.failures,
            "unplaced": life.unplaced,
            "processor_cores": round(life.processor_cores, 2),
        },
        "strike": {
            "stages": strike.stages,
            "sessions": strike.sessions,
            "ended_s": round(strike.ended_s, 2),
            "settled_s": round(strike.settled_s, 2),
            "taken": strike.taken,
            "take_overs_ms": _percentiles(strike.take_overs),
            "placements_per_s": round(strike.placements.per_s),
            "placements_ms": _percentiles(strike.placements),
        },
        "right": measured.right,
    }


def run(as_json: bool, *, url: str, servers: int, stages: int, sessions: int, seconds: float) -> None:
    measured = asyncio.run(measure(url, servers=servers, stages=stages, sessions=sessions, seconds=seconds))
    if as_json:
        size = {"servers": servers, "stages": stages, "sessions": sessions, "connections": CONNECTIONS}
        print_json({"benchmark": "fleet", **size, **members(measured), **machine_members()})
        return
    title = f"{servers} servers, {stages} stages, {sessions} sessions, {CONNECTIONS} connections of each pool"
    print_rows(title, _rows(measured))
    print("Times of single calls: p50, p95, p99. All together count from when a call was due.")
    print("Processor time of PostgreSQL: that of the processes of our connections, if it is on this machine; else 0.")
    if not measured.right:
        print("Wrong: places do not add up, or a session names a server or a stage whose lease has ended")


def _rows(measured: Measured) -> list[tuple[str, object]]:
    life, strike = measured.life, measured.strike
    settled = f"{strike.settled_s:.1f} s" if strike.settled_s else "never"
    return [
        ("alone: renewals of leases", f"{_rate(measured.renewals)}; {_price(measured.renewals)}"),
        ("alone: placements of sessions", f"{_rate(measured.placements)}; {_price(measured.placements)}"),
        (
            "alone: sessions whose ledger is brought up to date",
            f"{measured.ledger.per_s:.0f} a second; {_price(measured.ledger)}",
        ),
        ("together: renewals", _rate(life.renewals)),
        ("together: looks for leases that have lapsed", _rate(life.looks)),
        ("together: sessions that come", _rate(life.placements)),
        ("together: sessions that go", _rate(life.releases)),
        (
            "sessions refused, not placed; leases lost; failures",
            f"{life.refused}, {life.unplaced}; {life.lost_leases}; {life.failures}",
        ),
        ("the processor time of this benchmark", f"{life.processor_cores:.2f} cores"),
        (f"{strike.stages} stages and a server stop: all leases are ended after", f"{strike.ended_s:.1f} s"),
        (f"their {strike.sessions} sessions have others after", settled),
        (f"{strike.taken} sessions taken over, some at a time", _rate(strike.take_overs)),
        ("sessions placed again", _rate(strike.placements)),
    ]


def _percentiles(times: Times) -> Percentiles:
    return Percentiles.of(round(one * 1000, 2) for one in times.each_s)


def _rate(times: Times) -> str:
    found = _percentiles(times)
    return f"{times.per_s:.0f} a second; {found.p50}, {found.p95}, {found.p99} ms"


def _prices(name: str, times: Times) -> dict[str, float]:
    return {
        f"{name}_processor_ms": round(times.here_ms, 3),
        f"{name}_database_processor_ms": round(times.database_ms, 3),
    }


def _price(times: Times) -> str:
    return f"processor time {times.database_ms:.2f} ms in PostgreSQL, {times.here_ms:.2f} ms here"
