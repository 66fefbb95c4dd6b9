"""
A record is tried until it has outputs: its own, or the one that dead-letters it.
"""

import asyncio
from collections.abc import Callable
from random import Random

import structlog

from shared.errors import HoldfastError, Invalid, Retryable
from shared.stage.base import Handler, Output, Record
from shared.stage.dead_letters import RejectionLimit, dead_letter, reason_of, without_value
from shared.stage.metrics import StageMetrics
from shared.stage.outbox import Outbox
from shared.stage.retry import Backoff
from shared.stage.settings import StageSettings

_log = structlog.get_logger(__name__)


class Attempts:
    """
    Takes records from *handler* to the log. *clock* tells unix seconds.

    A record that has to wait for its next attempt holds its key only; another record of the same key cuts the wait
    short, because it may have made the first one pointless.
    """

    def __init__(
        self,
        stage: str,
        handler: Handler,
        outbox: Outbox,
        *,
        settings: StageSettings,
        metrics: StageMetrics,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self._stage = stage
        self._handler = handler
        self._outbox = outbox
        self._attempts_max = settings.retry_attempts_max
        self._backoff = Backoff(settings.retry_wait_seconds, settings.retry_wait_max_seconds, random)
        self._limit = RejectionLimit(settings)
        self._metrics = metrics
        self._clock = clock
        self._waiting: dict[bytes | None, asyncio.Event] = {}
        self._stopping = False

    def stir(self, key: bytes | None) -> None:
        """There is news of *key*: a record of it that waits for its next attempt is tried now."""
        if self._waiting and key in self._waiting:
            self._waiting[key].set()

    def stop(self) -> None:
        """Try nothing again: what waits is given back."""
        self._stopping = True
        for event in self._waiting.values():
            event.set()

    async def run(self, record: Record) -> bool:
        """
        Handle *record* and return when its outputs are acknowledged; false where it was given back because of `stop`.

        Raises:
            Fatal: the stage must not go on; see `RejectionLimit`.

        """
        attempt = 0
        first_failed_at = 0.0
        while True:
            attempt += 1
            try:
                outputs = await self._handler.handle(record)
                if outputs:
                    await self._outbox.send(outputs, record.partition)
            except (Retryable, Invalid) as error:
                first_failed_at = first_failed_at or self._clock()
                if isinstance(error, Invalid) or attempt >= self._attempts_max:
                    await self._give_up(record, error, attempt, first_failed_at)
                    return True
                self._metrics.retries.inc()
                if not await self._wait(record.key, self._backoff.wait_seconds(attempt, error)):
                    return False
            else:
                self._handler.acknowledged(record)
                self._limit.accepted()
                return True

    async def _wait(self, key: bytes | None, wait_seconds: float) -> bool:
        if self._stopping:
            return False
        event = self._waiting[key] = asyncio.Event()
        try:
            async with asyncio.timeout(wait_seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiting[key]
        return not self._stopping

    async def _give_up(self, record: Record, error: HoldfastError, attempts: int, first_failed_at: float) -> None:
        reason = reason_of(error)
        letter = dead_letter(self._stage, record, error, attempts=attempts, first_failed_at=first_failed_at)
        await self._write(letter, record.partition)
        self._metrics.dead_letter(reason).inc()
        self._metrics.result("dead_lettered").inc()
        _log.warning(
            "record dead-lettered",
            stage=self._stage,
            reason=reason,
            attempts=attempts,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        if isinstance(error, Invalid):
            self._limit.rejected(self._stage, reason)

    async def _write(self, letter: Output, partition: int) -> None:
        try:
            await self._outbox.send((letter,), partition)
        except Invalid:
            await self._outbox.send((without_value(letter),), partition)
