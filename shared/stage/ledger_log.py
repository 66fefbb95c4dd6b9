"""
The one line that a ledger writes of each record it applied.
"""

import logging

import structlog

from shared.stage.base import Record
from shared.stage.fold import Applied
from shared.stage.hops import CORRELATION, TRACEPARENT, header_text
from shared.telemetry.logging import canonical

_log = structlog.get_logger(__name__)


def tell(record: Record, applied: Applied, duration_seconds: float) -> None:
    """
    Log that *record* was applied, and what came of it.

    What it changed is durable only with its transaction: after one that was aborted the same record is told of again.
    """
    if not _log.is_enabled_for(logging.INFO):
        return
    headers = dict(record.headers)
    tenant, _, conversation = (record.key or b"").decode(errors="replace").partition(":")
    canonical(
        _log,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        outcome=applied,
        duration_seconds=duration_seconds,
        event_id=header_text(headers, "ce_id"),
        tenant=tenant,
        conversation=conversation,
        turn=header_text(headers, CORRELATION),
        trace=header_text(headers, TRACEPARENT),
    )
