"""The metrics for Prometheus: each is described, and none has a label that grows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.contract import reference
from visavis.machine.garbage import Pauses
from visavis.sessions.lifecycle import EndReason
from visavis.stage.port.events import PerformerMetrics, ViewerQuality
from visavis.stage.port.report import MediaPortReport, StageReport
from visavis.telemetry import metrics as telemetry
from visavis.telemetry.metrics import Metrics, State

IDLE = State(running=0, starting=0, most_sessions=10, viewers=0, channels=0, queued_s=0.0)
LABELS = {"direction", "state", "reason", "code", "outcome", "kind", "until", "method", "route", "status", "version"}


def values(metrics: Metrics, state: State = IDLE) -> dict[str, float]:
    """Return every value by its name with its labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition(state).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def series(metrics: Metrics) -> set[str]:
    """Return the names of our metrics, those of counters with their ending."""
    families = text_string_to_metric_families(metrics.exposition(IDLE).decode())
    ours = [family for family in families if family.name.startswith("visavis_")]
    return {f"{family.name}_total" if family.type == "counter" else family.name for family in ours}


def test_every_metric_has_a_description_and_is_in_the_reference() -> None:
    metrics = Metrics()
    for family in text_string_to_metric_families(metrics.exposition(IDLE).decode()):
        assert family.documentation, family.name
    rows = reference.rows("metrics", under="Metrics of the server")
    named = {row[0].strip("`") for row in rows if row[0].startswith("`visavis_")}
    assert named == series(metrics)


def test_cores_and_the_frame_rate_are_told() -> None:
    state = replace(IDLE, cores={"given": 2.0, "unused": 0.5, "stolen": 0.1, "throttled": 0.0}, frame_rate=12.5)
    told = values(Metrics(), state)
    assert told["visavis_cores{state=stolen}"] == 0.1 and told["visavis_cores{state=unused}"] == 0.5
    assert told["visavis_frame_rate"] == 12.5


def test_the_sockets_of_all_stages_are_told() -> None:
    ports = (
        MediaPortReport(port=20000, receive_buffer_bytes=4_000_000, send_buffer_bytes=200_000, dropped=2, unsent=1),
        MediaPortReport(
            port=20001, receive_buffer_bytes=212_992, send_buffer_bytes=300_000, refused=7, tracked_share=0.5
        ),
        MediaPortReport(),  # of a stage whose viewers have sockets of their own
    )
    reports = tuple(
        StageReport(machine_id="one", cores=2, unused_cores=1, own_cores=0.5, media=media) for media in ports
    )
    told = values(Metrics(), replace(IDLE, reports=reports))
    assert told["visavis_media_socket_buffer_bytes{direction=receive}"] == 212_992
    assert told["visavis_media_socket_buffer_bytes{direction=send}"] == 200_000
    assert told["visavis_media_socket_dropped{direction=receive}"] == 2
    assert told["visavis_media_socket_dropped{direction=send}"] == 1
    assert told["visavis_media_socket_refused"] == 7
    assert told["visavis_tracked_connections_share"] == 0.5


def test_labels_are_few_and_known() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.session_ended(EndReason.CLIENT, duration_s=number, minutes=1)
        metrics.utterance_ended(interrupted=False, motion_ms=1.0, frame_ms=number, packet_ms=None)
    for family in text_string_to_metric_families(metrics.exposition(IDLE).decode()):
        if family.name.startswith("visavis_"):
            assert {label for sample in family.samples for label in sample.labels} <= LABELS | {"le"}


def test_a_second_of_a_session_adds_up() -> None:
    metrics = Metrics()
    metrics.take_second(
        PerformerMetrics(
            frames=20,
            hurried_frames=5,
            late_frames=4,
            blocks=50,
            dropped_blocks=1,
            dropped_pictures=2,
            queued_s=3.0,
            underruns=1,
            interrupts=2,
            silent_ms=(14.0, 400.0),
            viewers=(ViewerQuality(round_trip_ms=30.0, lost_share=0.01), ViewerQuality()),
            packets_sent=90,
            bytes_sent=50_000,
            packets_resent=7,
            requests_refused=3,
            never_connected=4,
        )
    )
    found = values(metrics)
    assert found["visavis_frames_total{outcome=full}"] == 15
    assert found["visavis_frames_total{outcome=hurried}"] == 5
    assert found["visavis_frames_total{outcome=late}"] == 4
    assert found["visavis_dropped_packets_total{kind=audio}"] == 1
    assert found["visavis_dropped_packets_total{kind=video}"] == 2
    assert found["visavis_interrupts_total"] == 2
    assert found["visavis_interrupt_silent_seconds_bucket{le=0.02}"] == 1
    assert found["visavis_viewer_round_trip_seconds_count"] == 1
    assert found["visavis_viewer_lost_share_count"] == 2
    assert found["visavis_session_frame_rate_bucket{le=22.5}"] == 1
    assert found["visavis_session_frame_rate_bucket{le=19.5}"] == 0
    assert found["visavis_rtp_bytes_sent_total"] == 50_000
    assert found["visavis_rtp_packets_resent_total"] == 7
    assert found["visavis_viewer_requests_refused_total"] == 3
    assert found["visavis_viewers_never_connected_total"] == 4


def test_an_unwatched_second_has_no_frame_rate() -> None:
    metrics = Metrics()
    metrics.take_second(PerformerMetrics(frames=0, late_frames=0, queued_s=0.0))
    assert values(metrics)["visavis_session_frame_rate_count"] == 0


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.viewer_joined()
    assert values(one)["visavis_viewers_joined_total"] == 1
    assert values(other)["visavis_viewers_joined_total"] == 0


def test_pauses_of_the_garbage_collector_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses()
    monkeypatch.setattr(telemetry, "PAUSES", pauses)
    for pause_s in (0.0004, 0.004, 3.0):
        pauses.add(pause_s)
    told = values(Metrics())
    name = "visavis_garbage_collection_seconds"
    assert [told[f"{name}_bucket{{le={le}}}"] for le in ("0.001", "0.0025", "0.005", "1.0", "+Inf")] == [1, 1, 2, 2, 3]
    assert told[f"{name}_count"] == 3 and told[f"{name}_sum"] == pytest.approx(3.0044)
