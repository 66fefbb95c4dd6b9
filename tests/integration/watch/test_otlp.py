"""
Spans of a real stack at a collector: one trace a turn, whose ids are those of the records' headers; and a collector
that is away, slow or full costs spans and nothing else.
"""

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.reader import TopicReader
from services.operator.adapters.samples import bank_playbook
from services.operator.adapters.stack import STAGES, StackPlan, running
from services.operator.adapters.watch import Watch
from shared.broker.clients import KafkaSettings
from shared.broker.local import free_port_base
from shared.events import topics
from shared.events.envelope import Address
from shared.telemetry.metrics import SpanMetrics
from shared.telemetry.settings import TelemetrySettings
from shared.telemetry.spans import Span
from shared.telemetry.trace import TraceContext, parse

trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
otlp = pytest.importorskip("shared.telemetry.otlp")

SECONDS_MAX = 60.0
QUESTION = "I lost my card in Lisbon, what should I do?"
HOPS = (topics.TURNS_OPENED, topics.TURNS_MATCHED, topics.TURNS_DRAFTED, topics.TURNS_VERIFIED, topics.TURNS_CLOSED)


class Collector:
    """Takes spans as a collector does; `spans` are (service, span)."""

    def __init__(self):
        self.spans = []
        self.url = ""
        self.gate = asyncio.Event()
        self.gate.set()

    async def take(self, request):
        await self.gate.wait()
        message = trace_service.ExportTraceServiceRequest.FromString(await request.read())
        for resource in message.resource_spans:
            named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            self.spans += [(named["service.name"], span) for scope in resource.scope_spans for span in scope.spans]
        return web.Response(body=trace_service.ExportTraceServiceResponse().SerializeToString())


@asynccontextmanager
async def collecting():
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        collector.gate.set()
        await runner.cleanup()


async def until(wanted):
    limit = time.monotonic() + SECONDS_MAX
    while not wanted():
        assert time.monotonic() < limit, "it did not come to that"
        await asyncio.sleep(0.05)


def attributes(span):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


async def contexts(kafka, conversation):
    """What the headers of the hops' records say, by topic."""
    found = {}
    async with TopicReader(kafka, HOPS, start="beginning") as reader:
        while found.keys() != set(HOPS):
            for seen in await reader.read():
                if seen.address.conversation == conversation:
                    found[seen.topic] = parse(seen.event.traceparent)
    return found


@pytest.mark.timeout(180)
async def test_a_turn_is_one_trace_with_the_ids_of_its_records(tmp_path):
    async with collecting() as collector:
        plan = StackPlan(
            folder=tmp_path / "stack",
            tenant="harbour",
            playbook=bank_playbook(),
            partitions=1,
            environ={"HOLDFAST_TELEMETRY_OTLP_URL": collector.url, "HOLDFAST_TELEMETRY_OTLP_WAIT_SECONDS": "0.1"},
        )
        async with (
            running(plan, KafkaSettings()) as stack,
            Publisher(stack.kafka) as publisher,
            Watch(stack.kafka) as watch,
        ):
            message = str(uuid4())
            outcome = watch.expect(message, "", time.time_ns() // 1_000_000)
            asked = posted(Address("harbour", "phone-5550199"), plan.playbook.agent, QUESTION, event_id=message)
            await publisher.publish([(Address("harbour", "phone-5550199"), asked)])
            await asyncio.wait_for(outcome, SECONDS_MAX)
            headers = await asyncio.wait_for(contexts(stack.kafka, "phone-5550199"), SECONDS_MAX)
            ids = {context.span_id for context in headers.values()}
            await until(lambda: ids <= {span.span_id.hex() for _, span in collector.spans})

    [trace] = {context.trace_id for context in headers.values()}
    spans = {span.span_id.hex(): (service, span) for service, span in collector.spans if span.trace_id.hex() == trace}
    assert {service for service, _ in spans.values()} == {f"holdfast-{stage}" for stage in STAGES}
    for topic, stage in zip(HOPS[1:4], ("matcher", "reasoner", "verifier"), strict=True):
        service, span = spans[headers[topic].span_id]
        assert service == f"holdfast-{stage}"
        assert attributes(span)["holdfast.result"] == "done"
    [root] = [span for _, span in spans.values() if not span.parent_span_id]
    assert root.span_id.hex() == headers[topics.TURNS_OPENED].span_id
    assert all(span.parent_span_id.hex() in spans for _, span in spans.values() if span is not root)

    calls = [(service, span) for service, span in spans.values() if span.name == "chat rehearsal"]
    assert {service for service, _ in calls} >= {"holdfast-matcher", "holdfast-reasoner"}
    for service, span in calls:
        told = attributes(span)
        assert spans[span.parent_span_id.hex()][0] == service
        assert told["gen_ai.provider.name"] == "openai"
        assert told["gen_ai.usage.input_tokens"] > 0
    everything = b"".join(span.SerializeToString() for _, span in collector.spans)
    assert b"Lisbon" not in everything
    assert b"5550199" not in everything
    assert b"harbour" not in everything


def made(number):
    context = TraceContext(f"{number + 1:032x}", f"{number + 1:016x}")
    return Span("process turns.opened", "consumer", context, None, 1, 2, {"holdfast.result": "done"})


def counts(metrics):
    return {name: getattr(metrics, name)._value.get() for name in ("exported", "dropped", "failed")}


def settings(url, **changes):
    return TelemetrySettings(otlp_url=url, otlp_wait_seconds=0.01, otlp_timeout_seconds=0.3, **changes)


async def test_what_a_full_queue_cannot_take_is_dropped_and_counted():
    metrics = SpanMetrics(CollectorRegistry())
    async with collecting() as collector:
        collector.gate.clear()
        own = settings(collector.url, otlp_queue_max=10, otlp_batch_max=5).model_copy(
            update={"otlp_timeout_seconds": SECONDS_MAX}
        )
        with otlp.exporting("matcher", own, metrics) as spans:
            for number in range(100):
                spans.offer(made(number))
            dropped = counts(metrics)["dropped"]
            assert dropped >= 100 - 10 - 5
            collector.gate.set()
            await until(lambda: counts(metrics)["exported"] == 100 - dropped)

    assert counts(metrics)["failed"] == 0
    assert len(collector.spans) == 100 - dropped


async def test_spans_are_lost_while_no_collector_listens_and_go_again_when_one_does():
    metrics = SpanMetrics(CollectorRegistry())
    port = free_port_base()
    with otlp.exporting("matcher", settings(f"http://127.0.0.1:{port}"), metrics) as spans:
        spans.offer(made(1))
        await until(lambda: counts(metrics)["failed"] == 1)
        collector, app = Collector(), web.Application()
        app.router.add_post("/v1/traces", collector.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        spans.offer(made(2))
        await until(lambda: counts(metrics)["exported"] == 1)
        await runner.cleanup()

    assert [span.span_id.hex() for _, span in collector.spans] == [f"{3:016x}"]


async def test_what_is_queued_when_the_process_ends_is_still_exported():
    metrics = SpanMetrics(CollectorRegistry())
    async with collecting() as collector:
        own = settings(collector.url).model_copy(update={"otlp_wait_seconds": 30.0, "otlp_timeout_seconds": 30.0})

        def live_and_end():
            with otlp.exporting("matcher", own, metrics) as spans:
                for number in range(7):
                    spans.offer(made(number))

        await asyncio.to_thread(live_and_end)

        assert len(collector.spans) == 7
    assert not [thread for thread in threading.enumerate() if thread.name == "otlp"]


def test_without_a_collector_nothing_of_the_sdk_is_imported():
    code = "import sys, services.matcher.app; print([name for name in sys.modules if 'opentelemetry.sdk' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
