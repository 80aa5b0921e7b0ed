"""`visavis bench fleet`: how large a fleet of machines one PostgreSQL carries.

The servers, the machines and the sessions are rows of a real PostgreSQL, without media; the statements are those that
real ones send (store/leases.py, stages.py, stage_rows.py, session_owners.py, usage.py).

- Each kind of statement alone, as fast as it goes: placements of sessions, the usage ledger, and renewals of leases.
- All together at the pace of a real fleet: every lease is renewed twice a second, every server looks four times a
  second for leases that have lapsed, sessions come and go.
- Then a tenth of the machines and one server stop at once: how soon that is known, and how soon their sessions have
  other servers and machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from visavis import signals
from visavis.bench.figures import print_json, print_rows
from visavis.bench.fleet_life import FleetLife, Life, Overload, Strike
from visavis.bench.live import machine_members
from visavis.bench.machine_process import Renewals
from visavis.bench.simulated_fleet import SimulatedFleet, Times
from visavis.sessions.session_metrics import Percentiles

CONNECTIONS = 16
SPARE = 10  # one session in so many waits, and comes when another goes
LIFE_S = 60.0  # of a session


@dataclass(slots=True, kw_only=True)
class Measured:
    placements: Times
    ledger: Times
    renewals: Renewals
    life: Life
    strike: Strike
    overload: Overload
    sums_are_right: bool  # every stage that lives has taken what its sessions' places add up to
    astray: int  # sessions that have a place but name a server or a stage whose lease has ended

    @property
    def right(self) -> bool:
        """Whether nothing is lost. On a machine that does not keep up some sessions may be on their way at the end."""
        return self.sums_are_right and (self.astray == 0 or self.overload.is_one)


async def measure(
    url: str, *, servers: int, stages: int, sessions: int, seconds: float, connections: int = CONNECTIONS
) -> Measured:
    """`seconds`: of each measurement. Raises `SettingInvalid` for a database that is not an empty PostgreSQL."""
    async with SimulatedFleet.open(url, connections=connections) as fleet:
        await fleet.fill(servers=servers, stages=stages, sessions=sessions + max(1, sessions // SPARE))
        placements = await fleet.place_all(sessions)
        ledger = await fleet.priced(fleet.ledger(seconds=seconds))
        renewals = await fleet.renew(seconds=seconds)
        async with FleetLife(fleet, stages=stages, sessions=sessions, lives_s=LIFE_S) as living:
            life = await living.live(seconds=seconds)
            strike = await living.strike()
        sums_are_right, astray = await fleet.store.sums_are_right(), await fleet.astray()
    return Measured(
        placements=placements,
        ledger=ledger,
        renewals=renewals,
        life=life,
        strike=strike,
        overload=living.overload,
        sums_are_right=sums_are_right,
        astray=astray,
    )


def members(measured: Measured) -> dict[str, Any]:
    """Return the figures for JSON."""
    life, strike, overload = measured.life, measured.strike, measured.overload
    return {
        "alone": {
            "renewals_per_s": round(measured.renewals.per_s),
            "renewals_ms": measured.renewals.ms,
            "renewals_processor_ms": round(measured.renewals.here_ms, 3),
            "renewals_database_processor_ms": round(measured.renewals.database_ms, 3),
            "placements_per_s": round(measured.placements.per_s),
            "placements_ms": _percentiles(measured.placements),
            **_prices("placements", measured.placements),
            "ledger_sessions_per_s": round(measured.ledger.per_s),
            **_prices("ledger", measured.ledger),
        },
        "together": {
            "renewals_per_s": round(life.renewals.per_s),
            "renewals_ms": life.renewals.ms,
            "looks_ms": _percentiles(life.looks),
            "placements_per_s": round(life.placements.per_s),
            "placements_ms": _percentiles(life.placements),
            "releases_ms": _percentiles(life.releases),
            "processor_cores": round(life.processor_cores, 2),
            "machines_processor_cores": round(life.machines_cores, 2),
            "database_processor_cores": round(life.database_cores, 2),
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
        "overload": {
            "overloaded": overload.is_one,
            "lost_leases": overload.lost_leases,
            "refused": overload.refused,
            "stale": overload.stale,
            "failures": overload.failures,
            "behind_s": round(overload.behind_s, 2),
            "astray": measured.astray,
        },
        "right": measured.right,
    }


def run(as_json: bool, *, url: str, servers: int, stages: int, sessions: int, seconds: float) -> None:
    measured = signals.run(measure(url, servers=servers, stages=stages, sessions=sessions, seconds=seconds))
    if as_json:
        size = {"servers": servers, "stages": stages, "sessions": sessions, "connections": CONNECTIONS}
        print_json({"benchmark": "fleet", **size, **members(measured), **machine_members()})
        return
    title = f"{servers} servers, {stages} stages, {sessions} sessions, {CONNECTIONS} connections of each pool"
    print_rows(title, _rows(measured))
    print("Times of single calls: p50, p95, p99. All together count from when a call was due.")
    print("Processor time of PostgreSQL: that of the processes of our connections, if it is on this machine; else 0.")
    if measured.overload.is_one:
        print(_overload(measured.overload, measured.astray))
    if not measured.right:
        print("Wrong: places do not add up, or a session names a server or a stage whose lease has ended")


def _rows(measured: Measured) -> list[tuple[str, object]]:
    life, strike = measured.life, measured.strike
    settled = f"{strike.settled_s:.1f} s" if strike.settled_s else "never"
    return [
        (
            "alone: renewals of machines' leases",
            f"{_renewals(measured.renewals)}; {_price(measured.renewals)}",
        ),
        ("alone: placements of sessions", f"{_rate(measured.placements)}; {_price(measured.placements)}"),
        (
            "alone: sessions whose ledger is brought up to date",
            f"{measured.ledger.per_s:.0f} a second; {_price(measured.ledger)}",
        ),
        ("together: renewals of machines' leases", _renewals(life.renewals)),
        ("together: looks for leases that have lapsed", _rate(life.looks)),
        ("together: sessions that come", _rate(life.placements)),
        ("together: sessions that go", _rate(life.releases)),
        (
            "together: processor time of PostgreSQL; of servers; of machines",
            f"{life.database_cores:.2f}; {life.processor_cores:.2f}; {life.machines_cores:.2f} cores",
        ),
        (f"{strike.stages} stages and a server stop: all leases are ended after", f"{strike.ended_s:.1f} s"),
        (f"their {strike.sessions} sessions have others after", settled),
        (f"{strike.taken} sessions taken over, some at a time", _rate(strike.take_overs)),
        ("sessions placed again", _rate(strike.placements)),
    ]


def _percentiles(times: Times) -> Percentiles:
    return Percentiles.of(round(one * 1000, 2) for one in times.each_s)


def _overload(overload: Overload, astray: int) -> str:
    return (
        f"Too much for this machine: {overload.lost_leases} leases lost of servers and machines that lived, "
        f"{overload.refused} sessions refused, {overload.stale} another server's by then, {overload.failures} calls "
        f"not answered, behind its pace by up to {overload.behind_s:.1f} s, {astray} sessions without a place at the "
        "end. Take fewer --stages or --sessions"
    )


def _renewals(renewals: Renewals) -> str:
    ms = renewals.ms
    return f"{renewals.per_s:.0f} a second; {ms.p50}, {ms.p95}, {ms.p99} ms"


def _rate(times: Times) -> str:
    found = _percentiles(times)
    return f"{times.per_s:.0f} a second; {found.p50}, {found.p95}, {found.p99} ms"


def _prices(name: str, times: Times) -> dict[str, float]:
    return {
        f"{name}_processor_ms": round(times.here_ms, 3),
        f"{name}_database_processor_ms": round(times.database_ms, 3),
    }


def _price(times: Times | Renewals) -> str:
    return f"processor time {times.database_ms:.2f} ms in PostgreSQL, {times.here_ms:.2f} ms here"
