"""
How a stage's work on a record is told as a span: OpenTelemetry's messaging conventions, as Kafka fills them.
"""

from collections.abc import Mapping, Sequence

from shared.stage.base import Output, Record
from shared.telemetry.spans import Hop

TRACEPARENT = "traceparent"
CORRELATION = "ce_correlationid"


def hop_of(record: Record | None, stage: str) -> Hop:
    """The beginning of *stage*'s work on *record*; of a due timer's, where there is none."""
    if record is None:
        return Hop("wake", "internal", "", {"messaging.consumer.group.name": stage})
    headers = dict(record.headers)
    attributes: dict[str, str | int | float | tuple[str, ...]] = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": record.topic,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.consumer.group.name": stage,
        "messaging.kafka.offset": record.offset,
    }
    if turn := header_text(headers, CORRELATION):
        attributes["holdfast.turn"] = turn
    return Hop(f"process {record.topic}", "consumer", header_text(headers, TRACEPARENT), attributes)


def wrote(outputs: Sequence[Output]) -> str:
    """The trace context of what a hop wrote; empty where it wrote nothing that has one."""
    return next((header_text(dict(output.headers), TRACEPARENT) for output in outputs if output.headers), "")


def header_text(headers: Mapping[str, bytes | None], name: str) -> str:
    """The header *name* as text; empty where there is none."""
    return (headers.get(name) or b"").decode(errors="replace")
