"""
The dead letters of a ledger stage: of records that it calls invalid, and of those whose key is in quarantine.
"""

from collections.abc import Callable

import structlog

from shared.errors import Invalid
from shared.stage.base import Output, Record
from shared.stage.dead_letters import dead_letter
from shared.stage.ports import Position

_log = structlog.get_logger(__name__)


class LedgerLetters:
    """
    A `shared.stage.fold.Letters` of the stage *name*; *clock* tells unix seconds. *rejecting* is told the
    position of each record that is rejected.
    """

    def __init__(self, name: str, clock: Callable[[], float], rejecting: Callable[[Position], None]) -> None:
        self._name = name
        self._clock = clock
        self._rejecting = rejecting

    def rejected(self, record: Record, error: Invalid) -> Output:
        """Makes the dead letter of a *record* that the ledger refused as invalid."""
        self._rejecting(Position(record.topic, record.partition))
        _log.warning(
            "record dead-lettered",
            stage=self._name,
            reason=error.reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        return self.held(record, error)

    def held(self, record: Record, error: Invalid) -> Output:
        """Makes the dead letter of a *record* whose key is in quarantine; their number has no limit."""
        return dead_letter(self._name, record, error, attempts=1, first_failed_at=self._clock())
