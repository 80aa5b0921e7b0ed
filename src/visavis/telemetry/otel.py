"""Traces over OTLP/HTTP. Only this module imports OpenTelemetry's SDK (the extra `otel`)."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags
from ulid import ULID

from visavis import __version__
from visavis.telemetry.traces import Span

ROOT = "session"  # the span that contains all others of its trace
EXPORT_WITHIN_S = 3.0
MAX_WAITING_SPANS = 2048
SEND_EVERY_MS = 2000


class OtelTraces:
    """Implements `traces.Traces`. Spans are sent in batches by a thread of the SDK."""

    def __init__(self, url: str) -> None:
        self._ids = _SessionIds()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "visavis", "service.version": __version__}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_WITHIN_S)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=MAX_WAITING_SPANS, schedule_delay_millis=SEND_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("visavis", __version__)

    def record(self, span: Span) -> None:
        trace_id = int.from_bytes(ULID.from_str(span.session_id.partition("_")[2]).bytes)
        root_id = trace_id & (2**64 - 1) or 1
        if span.name == ROOT:
            self._ids.next = trace_id, root_id
            context = trace.set_span_in_context(trace.INVALID_SPAN)
        else:
            root = SpanContext(trace_id, root_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
            context = trace.set_span_in_context(NonRecordingSpan(root))
        attributes = {"visavis.session_id": span.session_id, **span.attributes}
        one = self._tracer.start_span(span.name, context=context, start_time=span.began_ns, attributes=attributes)
        for name, at_ns in span.stations:
            one.add_event(name, timestamp=at_ns)
        if span.error is not None:
            one.set_status(Status(StatusCode.ERROR, span.error))
        one.end(span.ended_ns)
        self._ids.next = None

    def close(self) -> None:
        self._provider.shutdown()


class _SessionIds(RandomIdGenerator):
    """Gives the next span the ids `next` (trace, span), if they are set, and random ones to all others."""

    next: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.next is None else self.next[0]

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.next is None else self.next[1]
