"""
The lines that a ledger writes: one of each record it applied, and one of each key that it sets apart.
"""

import logging

import structlog

from shared.stage.base import Record
from shared.stage.commit_group import Applied
from shared.stage.hops import CORRELATION, TRACEPARENT, header_text
from shared.stage.quarantine import Quarantine
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
    tenant, conversation = _named(record.key)
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


def tell_quarantine(stage: str, key: bytes, mark: Quarantine) -> None:
    """Log that *key* is in quarantine, and why: nothing of it takes effect until somebody releases it."""
    tenant, conversation = _named(key)
    _log.error(
        "conversation in quarantine; see `holdfast quarantine show`",
        stage=stage,
        tenant=tenant,
        conversation=conversation,
        where=mark.where,
        error=mark.error,
        quarantine=mark.id,
    )


def _named(key: bytes | None) -> tuple[str, str]:
    tenant, _, conversation = (key or b"").decode(errors="replace").partition(":")
    return tenant, conversation
