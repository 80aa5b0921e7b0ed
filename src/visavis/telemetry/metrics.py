"""Every metric of a server, for Prometheus: names, meanings and labels. docs/reference/metrics.md lists them.

No label names a session, a key, an avatar or an address: each takes few values, which this module or the code knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from visavis import __version__
from visavis.machine.garbage import PAUSES, PAUSES_S
from visavis.stage.port.events import PerformerMetrics
from visavis.stage.port.report import StageReport

LATENCY_S = (0.02, 0.05, 0.08, 0.11, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
INTERRUPT_S = (0.01, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 0.5, 1.0, 2.0, 5.0)
REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
START_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
ROUND_TRIP_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)
LOST_SHARE = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
FRAME_RATE = (1.0, 5.0, 9.5, 11.5, 14.5, 19.5, 22.5, 24.5, 25.5, 30.5)
DURATION_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is read when Prometheus asks. `most_sessions`: how many the stages take. `reports`: those of all stages."""

    running: int
    starting: int
    most_sessions: int
    viewers: int
    channels: int
    queued_s: float
    cores: Mapping[str, float] = field(default_factory=dict)  # by state, see `visavis_cores`
    fleet: Mapping[str, float] = field(default_factory=dict)  # machines, room_cores, taken_cores
    frame_rate: float = 25.0
    reports: Sequence[StageReport] = ()


class PausesCollector(Collector):
    """Tells the pauses of the garbage collector, which are noted where no metric may be touched."""

    def collect(self) -> Iterable[HistogramMetricFamily]:
        ends = [*(str(most_s) for most_s in PAUSES_S), "+Inf"]
        buckets = list(zip(ends, accumulate(PAUSES.counts), strict=True))
        yield HistogramMetricFamily(
            "visavis_garbage_collection_seconds",
            "Pauses of the server's garbage collector, in which it does nothing else",
            buckets=buckets,
            sum_value=PAUSES.sum_s,
        )


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # series that nobody reads, one for each counter and histogram
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(PausesCollector())
        build = Gauge("visavis_build_info", "Always 1; the label tells the version", ["version"], registry=registry)
        build.labels(__version__).set(1)
        self._sessions = Gauge(
            "visavis_sessions", "Sessions now, by state: running or starting", ["state"], registry=registry
        )
        self._capacity = Gauge(
            "visavis_sessions_capacity", "Sessions that the stages can perform at once", registry=registry
        )
        self._cores = Gauge(
            "visavis_cores",
            "Processor cores of the stages' machines: given to them, of these unused by anybody, stolen by a "
            "hypervisor, throttled by a quota",
            ["state"],
            registry=registry,
        )
        self._machines = Gauge(
            "visavis_fleet_machines", "Machines of the fleet that take sessions, of all servers", registry=registry
        )
        self._fleet_cores = Gauge(
            "visavis_fleet_cores",
            "Cores of the fleet's machines, of all servers: what sessions may take (room), what their places take",
            ["state"],
            registry=registry,
        )
        self._pace = Gauge(
            "visavis_frame_rate",
            "Frames a second that sessions show; below 25 a machine is overloaded",
            registry=registry,
        )
        self._viewers = Gauge("visavis_viewers", "Viewers that watch now", registry=registry)
        self._channels = Gauge("visavis_channels", "Channels that are attached to a session now", registry=registry)
        self._queued = Gauge(
            "visavis_queued_speech_seconds", "Speech that waits to be played now, of all sessions", registry=registry
        )

        self._stages = Gauge("visavis_stages", "Stages that are connected now", registry=registry)
        self._stage_cores = Gauge("visavis_stage_cores", "Cores that all stages use", registry=registry)
        self._stage_memory = Gauge("visavis_stage_memory_bytes", "Resident memory of all stages", registry=registry)
        self._loop_load = Gauge(
            "visavis_stage_loop_load", "Share of time in which the busiest stage's loop has no rest", registry=registry
        )

        self._media_buffer = Gauge(
            "visavis_media_socket_buffer_bytes",
            "Buffer that the kernel granted to the UDP sockets of media, of the stage with the least",
            ["direction"],
            registry=registry,
        )
        self._media_dropped = Gauge(
            "visavis_media_socket_dropped",
            "Datagrams that were dropped at the UDP sockets of the stages that run now: received faster than they were "
            "read, or sent faster than the kernel took them",
            ["direction"],
            registry=registry,
        )
        self._media_refused = Gauge(
            "visavis_media_socket_refused",
            "Datagrams that no viewer's connection read, at the UDP sockets of the stages that run now: of strangers, "
            "longer than 1,500 bytes, or more connectivity checks than a viewer may send",
            registry=registry,
        )
        self._tracked = Gauge(
            "visavis_tracked_connections_share",
            "Share of the kernel's table of tracked connections that is in use, of the fullest machine",
            registry=registry,
        )

        self._started = Counter("visavis_sessions_started", "Sessions that have started", registry=registry)
        self._start = Histogram(
            "visavis_session_start_seconds",
            "Time from the request for a performer to a started session",
            buckets=START_S,
            registry=registry,
        )
        self._moved = Histogram(
            "visavis_session_move_seconds",
            "Time that a session had no stage, because its own was lost, before it went on on another one",
            buckets=START_S,
            registry=registry,
        )
        self._refused = Counter(
            "visavis_session_starts_refused",
            "Starts that were refused, by the code of the error",
            ["code"],
            registry=registry,
        )
        self._ended = Counter(
            "visavis_sessions_ended", "Sessions that have ended, by their reason", ["reason"], registry=registry
        )
        self._duration = Histogram(
            "visavis_session_duration_seconds",
            "Time from the start of a session to its end",
            buckets=DURATION_S,
            registry=registry,
        )
        self._minutes = Counter(
            "visavis_billed_minutes", "Minutes of ended sessions, each rounded up", registry=registry
        )

        self._frames = Counter(
            "visavis_frames",
            "Frames: drawn in full, drawn hurried, or left out because they were late",
            ["outcome"],
            registry=registry,
        )
        self._frame_rate = Histogram(
            "visavis_session_frame_rate",
            "Frames a second of a watched session, observed once a second for each of them",
            buckets=FRAME_RATE,
            registry=registry,
        )
        self._blocks = Counter("visavis_sound_blocks", "Blocks of sound (20 ms) that were made", registry=registry)
        self._dropped = Counter(
            "visavis_dropped_packets",
            "Encoded packets that were dropped because a viewer could not keep up, by kind: audio or video",
            ["kind"],
            registry=registry,
        )
        self._underruns = Counter(
            "visavis_underruns", "Times that the audio of an utterance ran out before more came", registry=registry
        )
        self._behind = Histogram(
            "visavis_clock_behind_seconds",
            "How far the clock of a session is behind the time since its start, observed once a second",
            buckets=LATENCY_S,
            registry=registry,
        )
        self._sent_packets = Counter("visavis_rtp_packets_sent", "RTP packets sent to viewers", registry=registry)
        self._resent_packets = Counter(
            "visavis_rtp_packets_resent",
            "RTP packets that viewers had lost and that were sent again",
            registry=registry,
        )
        self._refused_requests = Counter(
            "visavis_viewer_requests_refused",
            "Lost packets and datagrams of viewers that were passed over: too many, or such as no room reads",
            registry=registry,
        )
        self._never_connected = Counter(
            "visavis_viewers_never_connected",
            "Viewers that were removed because they did not connect after their offer was answered",
            registry=registry,
        )
        self._sent_bytes = Counter(
            "visavis_rtp_bytes_sent", "Payload of RTP packets sent to viewers", registry=registry
        )
        self._joined = Counter("visavis_viewers_joined", "Viewers that have joined a room", registry=registry)
        self._round_trip = Histogram(
            "visavis_viewer_round_trip_seconds",
            "Round trip that a viewer reports, observed once a second for each of them",
            buckets=ROUND_TRIP_S,
            registry=registry,
        )
        self._lost = Histogram(
            "visavis_viewer_lost_share",
            "Share of packets that a viewer reports as lost (0 to 1), observed once a second for each of them",
            buckets=LOST_SHARE,
            registry=registry,
        )

        self._struggling = Counter(
            "visavis_struggling_viewer_seconds",
            "Seconds of viewers whose network was too bad for any bit rate",
            registry=registry,
        )

        self._utterances = Counter(
            "visavis_utterances",
            "Utterances that have ended: finished, interrupted or unmeasured",
            ["outcome"],
            registry=registry,
        )
        self._latency = Histogram(
            "visavis_utterance_latency_seconds",
            "Time from the turn of an utterance to its first motion, its first encoded frame, and its first packet",
            ["until"],
            buckets=LATENCY_S,
            registry=registry,
        )
        self._interrupts = Counter("visavis_interrupts", "Interrupts", registry=registry)
        self._confirmed = Histogram(
            "visavis_interrupt_confirmed_seconds",
            "Time from the channel's interrupt to its confirmation by the stage",
            buckets=INTERRUPT_S,
            registry=registry,
        )
        self._silent = Histogram(
            "visavis_interrupt_silent_seconds",
            "Time from the arrival of an interrupt at the stage until the sound had faded out",
            buckets=INTERRUPT_S,
            registry=registry,
        )

        # The counters of answered requests, by method, route and status.
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "visavis_http_requests",
            "HTTP requests that were answered, by method, route and status",
            ["method", "route", "status"],
            registry=registry,
        )
        self._request_time = Histogram(
            "visavis_http_request_seconds",
            "Time until the answer to an HTTP request began, by route",
            ["route"],
            buckets=REQUEST_S,
            registry=registry,
        )
        # Prometheus takes the first value of a series for its start, so series that are known begin at 0.
        for outcome in ("full", "hurried", "late"):
            self._frames.labels(outcome)
        for kind in ("audio", "video"):
            self._dropped.labels(kind)
        for until in ("motion", "frame", "packet"):
            self._latency.labels(until)
        for outcome in ("finished", "interrupted", "unmeasured"):
            self._utterances.labels(outcome)

    def declare(self, *, end_reasons: Iterable[str], start_refusals: Iterable[str]) -> None:
        """Begin the series of these ends and these codes of refused starts at 0."""
        for reason in end_reasons:
            self._ended.labels(reason)
        for code in start_refusals:
            self._refused.labels(code)

    # --- sessions
    def session_started(self, *, after_s: float) -> None:
        self._started.inc()
        self._start.observe(after_s)

    def start_refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def session_moved(self, *, after_s: float) -> None:
        self._moved.observe(after_s)

    def session_ended(self, reason: str, *, duration_s: float, minutes: int) -> None:
        self._ended.labels(reason).inc()
        self._duration.observe(duration_s)
        self._minutes.inc(minutes)

    def viewer_joined(self) -> None:
        self._joined.inc()

    # --- media
    def take_second(self, second: PerformerMetrics) -> None:
        """Add the metrics of one session and one second."""
        self._frames.labels("full").inc(second.frames - second.hurried_frames)
        self._frames.labels("hurried").inc(second.hurried_frames)
        self._frames.labels("late").inc(second.late_frames)
        self._blocks.inc(second.blocks)
        self._dropped.labels("audio").inc(second.dropped_blocks)
        self._dropped.labels("video").inc(second.dropped_pictures)
        self._underruns.inc(second.underruns)
        self._behind.observe(max(0.0, second.behind_ms / 1000))
        self._sent_packets.inc(second.packets_sent)
        self._resent_packets.inc(second.packets_resent)
        self._refused_requests.inc(second.requests_refused)
        self._never_connected.inc(second.never_connected)
        self._sent_bytes.inc(second.bytes_sent)
        self._interrupts.inc(second.interrupts)
        self._utterances.labels("unmeasured").inc(second.unmeasured)
        for silent_ms in second.silent_ms:
            self._silent.observe(silent_ms / 1000)
        if second.viewers and second.duration_s > 0.5:  # the last report may cover a moment
            self._frame_rate.observe(second.frames / second.duration_s)
        self._struggling.inc(second.struggling)
        for viewer in second.viewers:
            self._lost.observe(viewer.lost_share)
            if viewer.round_trip_ms is not None:
                self._round_trip.observe(viewer.round_trip_ms / 1000)

    def utterance_ended(
        self, *, interrupted: bool, motion_ms: float | None, frame_ms: float | None, packet_ms: float | None
    ) -> None:
        self._utterances.labels("interrupted" if interrupted else "finished").inc()
        for until, after_ms in (("motion", motion_ms), ("frame", frame_ms), ("packet", packet_ms)):
            if after_ms is not None:
                self._latency.labels(until).observe(after_ms / 1000)

    def interrupt_confirmed(self, *, after_s: float) -> None:
        self._confirmed.observe(after_s)

    # --- HTTP
    def request_answered(self, *, method: str, route: str, status: int, after_s: float) -> None:
        """`route`: the path of the route, with its parameters' names; never the path of the request."""
        known = self._answered.get((method, route, status))
        if known is None:  # to find them by their labels takes longer than to count
            known = self._requests.labels(method, route, str(status)), self._request_time.labels(route)
            self._answered[method, route, status] = known
        count, times = known
        count.inc()
        times.observe(after_s)

    # --- reading
    def exposition(self, state: State) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._sessions.labels("running").set(state.running)
        self._sessions.labels("starting").set(state.starting)
        self._capacity.set(state.most_sessions)
        for name, cores in state.cores.items():
            self._cores.labels(name).set(cores)
        self._machines.set(state.fleet.get("machines", 0))
        self._fleet_cores.labels("room").set(state.fleet.get("room_cores", 0.0))
        self._fleet_cores.labels("taken").set(state.fleet.get("taken_cores", 0.0))
        self._pace.set(state.frame_rate)
        self._viewers.set(state.viewers)
        self._channels.set(state.channels)
        self._queued.set(state.queued_s)
        self._stages.set(len(state.reports))
        self._stage_cores.set(sum(report.own_cores for report in state.reports))
        self._stage_memory.set(sum(report.memory_bytes for report in state.reports))
        self._loop_load.set(max((report.loop_load for report in state.reports), default=0.0))
        media = [report.media for report in state.reports]
        opened = [one for one in media if one.port]
        self._media_buffer.labels("receive").set(min((one.receive_buffer_bytes for one in opened), default=0))
        self._media_buffer.labels("send").set(min((one.send_buffer_bytes for one in opened), default=0))
        self._media_dropped.labels("receive").set(sum(one.dropped for one in media))
        self._media_dropped.labels("send").set(sum(one.unsent for one in media))
        self._media_refused.set(sum(one.refused for one in media))
        self._tracked.set(max((one.tracked_share for one in media), default=0.0))
        return generate_latest(self.registry)
