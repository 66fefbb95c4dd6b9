"""
Spans to a collector by OTLP over HTTP, from a thread of its own; needs the extra `otlp`.

Whatever the collector does, the event loop is not held up: the queue is bounded, what finds it full is dropped and
counted, and so is a batch that the collector did not take in time. The exporter's own environment variables
(`OTEL_EXPORTER_OTLP_HEADERS`, `_CERTIFICATE` and the like, OpenTelemetry's specification of the protocol exporter) are
heeded.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from queue import Empty, Full, Queue

import structlog
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from shared.telemetry.metrics import SpanMetrics
from shared.telemetry.registry import DISTRIBUTION
from shared.telemetry.settings import TelemetrySettings
from shared.telemetry.spans import Span
from shared.telemetry.trace import TraceContext

PATH = "/v1/traces"
STOP_SECONDS = 5.0
"""How long the last batches may take when the process ends; then they count as failed."""
IDLE_SECONDS = 0.5
"""Between two looks at whether the process ends, while there is nothing to export."""
KINDS = {"consumer": SpanKind.CONSUMER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}

log = structlog.get_logger(__name__)


class OtlpSpans:
    """`Spans` that go to *exporter* in batches."""

    def __init__(self, service: str, settings: TelemetrySettings, metrics: SpanMetrics, exporter: SpanExporter) -> None:
        self._settings = settings
        self._metrics = metrics
        self._exporter = exporter
        self._resource = Resource(
            {"service.name": f"{DISTRIBUTION}-{service}", "service.version": version(DISTRIBUTION)}
        )
        self._scope = InstrumentationScope(DISTRIBUTION, version(DISTRIBUTION))
        self._queue: Queue[Span] = Queue(settings.otlp_queue_max)
        self._thread = threading.Thread(target=self._export, name="otlp", daemon=True)
        self._ending = threading.Event()
        self._away = False

    def start(self) -> None:
        """Begin to export."""
        self._thread.start()

    def stop(self) -> None:
        """Export what is left, within `STOP_SECONDS`; blocks that long at most."""
        self._ending.set()
        self._thread.join(STOP_SECONDS)
        self._exporter.shutdown()

    def offer(self, span: Span) -> None:
        """Queue *span*; drop it where the queue is full."""
        try:
            self._queue.put_nowait(span)
        except Full:
            self._metrics.dropped.inc()

    def _export(self) -> None:
        while batch := self._batch():
            # The exporter raises nothing: what it cannot encode or send it reports as a failure.
            done = self._exporter.export([self._readable(span) for span in batch]) is SpanExportResult.SUCCESS
            (self._metrics.exported if done else self._metrics.failed).inc(len(batch))
            if done is self._away:
                self._away = not done
                told = log.info if done else log.warning
                told(
                    "the collector of spans takes them" if done else "the collector of spans takes none; they are lost"
                )

    def _batch(self) -> list[Span]:
        """The next spans to export, at least one; none when all is done and the process ends."""
        settings, batch = self._settings, list[Span]()
        while not batch:
            try:
                batch.append(self._queue.get(timeout=IDLE_SECONDS))
            except Empty:
                if self._ending.is_set():
                    return batch
        if not self._ending.is_set():
            self._ending.wait(settings.otlp_wait_seconds)
        while len(batch) < settings.otlp_batch_max:
            try:
                batch.append(self._queue.get_nowait())
            except Empty:
                break
        return batch

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.context, remote=False),
            parent=None if span.parent is None else _context(span.parent, remote=span.kind == "consumer"),
            resource=self._resource,
            attributes={**span.attributes, **({"error.type": span.error} if span.error else {})},
            kind=KINDS[span.kind],
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.begun_ns,
            end_time=span.ended_ns,
            instrumentation_scope=self._scope,
        )


@contextmanager
def exporting(service: str, settings: TelemetrySettings, metrics: SpanMetrics) -> Iterator[OtlpSpans]:
    """Spans of *service* to the collector that *settings* name."""
    exporter = OTLPSpanExporter(
        endpoint=settings.otlp_url.rstrip("/") + PATH,
        timeout=settings.otlp_timeout_seconds,
        compression=Compression.Gzip,
    )
    spans = OtlpSpans(service, settings, metrics, exporter)
    spans.start()
    try:
        yield spans
    finally:
        spans.stop()


def _context(context: TraceContext, *, remote: bool) -> SpanContext:
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), remote, TraceFlags(context.flags))
