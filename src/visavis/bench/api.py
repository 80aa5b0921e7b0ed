"""`visavis bench api`: how many calls a second a server answers, and how soon.

A real server (one process) is called over loopback with an API key. For each database:

- `GET /healthz`, which needs no key and no database: what HTTP alone costs here. All other figures are also given as a
  share of it, because it changes with the machine and its neighbours as they do.
- `GET /v1/sessions/{id}` and `POST /v1/sessions`, on connections that ask again as soon as they are answered.
- How late `GET /v1/sessions/{id}` is answered at half of the rate that this machine shall reach; and at half of the
  rate that it has reached, with `/healthz` at the same pace. Beside each stands what tells the server's own delays from
  its neighbours': the share of the time that its event loop was ready to run and had no core, and how long its garbage
  collector held it. And what is left without the moments in which the machine itself stood (standstills.py).
- A page of a hundred sessions, anywhere among a million.
- How soon a key is refused that the API or the command line has revoked.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

from visavis import signals
from visavis.api.cursors import cursor_after
from visavis.bench.figures import Repeated, percentiles_ms, print_json, print_rows
from visavis.bench.garbage_collections import Collections, collections
from visavis.bench.http_calls import Answered, Call, Calls
from visavis.bench.live import LiveServer, machine_members, running_server
from visavis.bench.many_sessions import add_ended_sessions
from visavis.bench.pipeline import speaking_fps
from visavis.bench.processes import waited_s
from visavis.bench.revocations import revocations_s
from visavis.bench.standstills import Moment, apart_from, watched
from visavis.errors import SettingInvalid
from visavis.sessions.session_metrics import Percentiles

CONNECTIONS = 16
ROUNDS = 3
PAGES = 200
REVOCATIONS = 3
# What a machine shall reach on which `visavis bench pipeline` prints so many frames a second; in proportion elsewhere.
WANTED_AT_FPS = 250
WANTED_PER_S = {"get": 1500, "create": 300}
WANTED_MS = {"get_ms, p99": 15, "list_ms, p95": 20}
NO_LIMITS = {
    "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000000",
    "VISAVIS_MAX_CREATED_SESSIONS_PER_ACCOUNT": "100000000",
}


@dataclass(slots=True)
class Paced:
    """A call at an even pace, in all rounds. `answered`: a list for each round, and `moments`: those of all rounds in
    which the machine stood. `seconds`: of all rounds, and `waited_s`, in which the server's event loop was ready and
    had no core.
    """

    answered: list[list[Answered]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    seconds: float = 0.0
    waited_s: float = 0.0
    collected: Collections = field(default_factory=Collections)

    async def measure(self, server: LiveServer, calls: Calls, call: Call, *, per_s: float, seconds: float) -> None:
        """Measure one more round."""
        async with server.client() as http, watched() as standstills:
            collected, waited, began_s = await collections(http), waited_s(server.pid), time.monotonic()
            self.answered.append(await calls.paced(call, per_s=per_s, seconds=seconds))
            self.seconds += time.monotonic() - began_s
            self.waited_s += waited_s(server.pid) - waited
            self.collected += await collections(http) - collected
        self.moments += [one for one in standstills.moments if one.end_s > began_s]

    @property
    def p99_of_rounds_ms(self) -> list[float | None]:
        return [percentiles_ms(call.late_s for call in one).p99 for one in self.answered]

    @property
    def all_ms(self) -> Percentiles:
        return percentiles_ms(call.late_s for call in self._all)

    @property
    def steady_ms(self) -> Percentiles:
        """Without the calls that fell into moments in which the machine stood."""
        return percentiles_ms(call.late_s for call in self._steady)

    @property
    def left_out_share(self) -> float:
        """Which share of the calls fell into such moments."""
        return 1 - len(self._steady) / max(1, len(self._all))

    @property
    def _all(self) -> list[Answered]:
        return list(chain.from_iterable(self.answered))

    @property
    def _steady(self) -> list[Answered]:
        return apart_from(self._all, self.moments)

    @property
    def waited_share(self) -> float:
        return self.waited_s / self.seconds

    def members(self) -> dict[str, object]:
        return {
            **asdict(self.all_ms),
            "p99_of_rounds": self.p99_of_rounds_ms,
            "without_standstills": self.steady_ms,
            "left_out_share": round(self.left_out_share, 3),
            "standstills": len(self.moments),
            "waited_share": round(self.waited_share, 3),
            "collecting_ms": round(self.collected.sum_s * 1000, 1),
            "longest_collection_ms": self.collected.longest_ms,
        }

    def text(self) -> str:
        rounds = ", ".join(str(p99) for p99 in self.p99_of_rounds_ms)
        return (
            f"{_latencies(self.all_ms)} (rounds: {rounds}); {self._steady_text()}; {self.waited_share:.0%} of the time "
            f"without a core; {self.collected.text}"
        )

    def _steady_text(self) -> str:
        if not self.moments:
            return "the machine never stood"
        count = "1 moment" if len(self.moments) == 1 else f"{len(self.moments)} moments"
        stood = f"{self.left_out_share:.0%} of them, in {count} in which the machine stood"
        return f"without {stood}: {_latencies(self.steady_ms)}"


@dataclass(slots=True)
class Measured:
    """Answers in a second, one figure for each round, and latencies in seconds."""

    healthz: list[float] = field(default_factory=list)
    get: list[float] = field(default_factory=list)
    create: list[float] = field(default_factory=list)
    list_page: list[float] = field(default_factory=list)
    healthz_paced: Paced = field(default_factory=Paced)
    get_paced: Paced = field(default_factory=Paced)
    get_wanted: Paced = field(default_factory=Paced)  # at half of the rate that GET shall reach
    list_page_s: list[float] = field(default_factory=list)
    revoked_s: dict[str, list[float]] = field(default_factory=dict)  # by what has revoked the key

    def share(self, rates: list[float]) -> Repeated:
        """Return which share of the rate of `/healthz` in the same round each rate is."""
        return Repeated.of([rate / of for rate, of in zip(rates, self.healthz, strict=True)], digits=3)


async def measure(
    server: LiveServer, database_url: str, *, sessions: int, seconds: float, wanted_per_s: float
) -> Measured:
    """Measure one server. `seconds`: of each measurement of a rate. `wanted_per_s`: what GET shall reach here."""
    port = urlsplit(server.base_url).port
    assert port is not None
    async with server.client() as http:
        made = await http.post("/v1/sessions", json={"avatar_id": server.look})
        session_id: str = made.raise_for_status().json()["session"]["session_id"]
    places = await add_ended_sessions(database_url, session_id, count=sessions)
    healthz = Call.of("GET", "/healthz")
    get = Call.of("GET", f"/v1/sessions/{session_id}", key=server.key)
    create = Call.of("POST", "/v1/sessions", key=server.key, body={"avatar_id": server.look}, status=201)
    drawn = random.Random(1)

    def page(_number: int = 0) -> Call:
        cursor = cursor_after(drawn.choice(places))
        return Call.of("GET", f"/v1/sessions?limit=100&cursor={cursor}", key=server.key)

    measured = Measured()
    async with Calls.open(port=port, connections=CONNECTIONS) as calls:
        for call in (healthz, get, create, page()):
            await calls.rate(call, seconds=seconds / 4)  # warm
        for _ in range(ROUNDS):
            measured.healthz.append(await calls.rate(healthz, seconds=seconds))
            measured.get.append(await calls.rate(get, seconds=seconds))
            measured.list_page.append(await calls.rate(page(), seconds=seconds))
            measured.create.append(await calls.rate(create, seconds=seconds))
            await measured.get_wanted.measure(server, calls, get, per_s=wanted_per_s / 2, seconds=seconds)
            pace = measured.get[-1] / 2
            await measured.get_paced.measure(server, calls, get, per_s=pace, seconds=seconds)
            await measured.healthz_paced.measure(server, calls, healthz, per_s=pace, seconds=seconds)
        measured.list_page_s = await calls.times_s(page, count=PAGES)
    measured.revoked_s = await revocations_s(server, database_url, rounds=REVOCATIONS)
    return measured


def members(measured: Measured) -> dict[str, object]:
    """Return the figures of one database, for JSON."""
    rates = {
        "healthz": measured.healthz,
        "get": measured.get,
        "create": measured.create,
        "list": measured.list_page,
    }
    repeated = {name: Repeated.of(values, digits=0) for name, values in rates.items()}
    shares = {name: measured.share(values) for name, values in rates.items() if name != "healthz"}
    return {
        **{f"{name}_per_s": one.median for name, one in repeated.items()},
        **{f"{name}_per_s_spread": one.spread for name, one in repeated.items()},
        **{f"{name}_share": one.median for name, one in shares.items()},
        **{f"{name}_share_spread": one.spread for name, one in shares.items()},
        "get_ms": measured.get_wanted.members(),
        "get_at_half_ms": measured.get_paced.members(),
        "healthz_ms": measured.healthz_paced.members(),
        "list_ms": percentiles_ms(measured.list_page_s),
        **{f"revoked_by_{way}_ms": round(max(found) * 1000) for way, found in measured.revoked_s.items()},
    }


def wanted(pipeline_fps: float) -> dict[str, int]:
    """Return what this machine shall reach: rates at least, latencies at most."""
    speed = pipeline_fps / WANTED_AT_FPS
    rates = {f"{name}_per_s": round(rate * speed) for name, rate in WANTED_PER_S.items()}
    return rates | {name: round(latency / speed) for name, latency in WANTED_MS.items()}


def run(as_json: bool, *, sqlite: bool, postgresql: str | None, sessions: int, seconds: float) -> None:
    """Measure and print. `sqlite`: whether SQLite is measured. `postgresql`: the address of an empty database, to
    measure that, too.
    """
    databases: dict[str, str | None] = {"sqlite": None} if sqlite else {}
    databases |= {"postgresql": postgresql} if postgresql else {}
    if not databases:
        raise SettingInvalid(
            "There is no database to measure", suggestion="Give --postgresql, or leave --no-sqlite out"
        )
    found: dict[str, Measured] = {}
    for name, url in databases.items():
        with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
            settings = NO_LIMITS | ({} if url is None else {"VISAVIS_DATABASE_URL": url})
            with running_server(Path(folder), **settings) as server:
                used = url or f"sqlite+aiosqlite:///{server.folder / 'visavis.db'}"
                pipeline = speaking_fps(server.pack)
                per_s = wanted(pipeline.median)["get_per_s"]
                found[name] = signals.run(measure(server, used, sessions=sessions, seconds=seconds, wanted_per_s=per_s))
    record = {
        "benchmark": "api",
        "sessions": sessions,
        "connections": CONNECTIONS,
        **{name: members(measured) for name, measured in found.items()},
        "wanted": wanted(pipeline.median),
        "pipeline_fps_per_core": pipeline.median,
        "pipeline_fps_spread": pipeline.spread,
        **machine_members(),
    }
    if as_json:
        print_json(record)
        return
    for name, measured in found.items():
        print_rows(f"{name}, {sessions} sessions, {CONNECTIONS} connections", _rows(measured))
    print(f"This machine makes {pipeline.text('.0f')} frames a second on one core (visavis bench pipeline)")
    print("So it shall reach " + "; ".join(f"{name} {figure}" for name, figure in wanted(pipeline.median).items()))


def _rows(measured: Measured) -> list[tuple[str, object]]:
    def rate(values: list[float]) -> str:
        return f"{Repeated.of(values, digits=0).text('.0f')} a second"

    shown: Mapping[str, list[float]] = {
        "GET /v1/sessions/{id}": measured.get,
        "POST /v1/sessions": measured.create,
        "GET /v1/sessions, a page of 100": measured.list_page,
    }
    rows: list[tuple[str, object]] = [("GET /healthz", rate(measured.healthz))]
    for name, values in shown.items():
        rows.append((name, f"{rate(values)}; {measured.share(values).median:.2f} of /healthz"))
    return [
        *rows,
        ("GET /v1/sessions/{id} at half of what it shall reach", measured.get_wanted.text()),
        ("GET /v1/sessions/{id} at half of what it has reached", measured.get_paced.text()),
        ("GET /healthz at the same pace", measured.healthz_paced.text()),
        ("a page of 100 anywhere, one after the other", _latencies(percentiles_ms(measured.list_page_s))),
        ("a key revoked by the API is refused after", _longest(measured.revoked_s["api"])),
        ("a key revoked by the command line is refused after", _longest(measured.revoked_s["command"])),
    ]


def _longest(times_s: list[float]) -> str:
    return f"{max(times_s) * 1000:.0f} ms at most ({len(times_s)} keys)"


def _latencies(found: Percentiles) -> str:
    return f"p50 {found.p50} ms, p95 {found.p95} ms, p99 {found.p99} ms"
