"""
What a stage's inputs have lost before it read them: counted, and said in the log.
"""

import structlog

from shared.stage.metrics import StageMetrics
from shared.stage.ports import Gap, Position

_log = structlog.get_logger(__name__)


class Gaps:
    """
    The gaps that *stage* met. One that is met again, because nothing behind it was committed before its task was
    opened anew, counts once.
    """

    def __init__(self, stage: str, metrics: StageMetrics) -> None:
        self._stage = stage
        self._metrics = metrics
        self._told: dict[Position, Gap] = {}

    def tell(self, gap: Gap) -> None:
        """Count and log *gap*, unless that is done."""
        before = self._told.get(gap.position)
        if before is not None and before.begins_anew == gap.begins_anew:
            if gap.begins_anew and before.asked == gap.asked:
                return
            if not gap.begins_anew and gap.asked < before.first:
                gap = Gap(gap.position, before.first, gap.first)
        lost = gap.lost
        if not lost:
            return
        self._told[gap.position] = gap
        self._metrics.lost(gap.position.topic).inc(lost)
        self._say(gap)

    def _say(self, gap: Gap) -> None:
        line = _log.bind(
            stage=self._stage,
            topic=gap.position.topic,
            partition=gap.position.partition,
            expected_offset=gap.asked,
            first_offset=gap.first,
        )
        if gap.begins_anew:
            line.error("a log begins anew before the offset expected; it is read from its beginning")
        else:
            line.error("records were deleted before they were read; reading goes on behind them", lost=gap.lost)
