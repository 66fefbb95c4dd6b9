"""
A record is tried until it has outputs: its own, those of giving it up, or the one that dead-letters it.

Here lies the boundary of a record: whatever is raised over it costs it alone, but for what must end the stage. That a
library cancels by itself, or puts such a cancellation into a group, is no reason to end anything either.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import structlog

from shared.errors import HoldfastError, Invalid, Retryable
from shared.stage.base import Handler, Output, Record
from shared.stage.dead_letters import RETRIES_EXHAUSTED, dead_letter, unreadable, without_value
from shared.stage.letter_pace import LetterPace
from shared.stage.metrics import StageMetrics
from shared.stage.outbox import Outbox
from shared.stage.ports import Position
from shared.stage.retry import Backoff
from shared.stage.settings import StageSettings
from shared.stage.unexpected import UNEXPECTED_ERROR, Unexpected, passes

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an attempt failed; `rejected` where the handler finds the record itself unfit."""

    error: HoldfastError
    reason: str
    rejected: bool = False

    @property
    def unexpected(self) -> bool:
        return self.reason == UNEXPECTED_ERROR


class Attempts:
    """
    Takes records from *handler* to the log. *pace* is told of dead letters. *clock* tells unix seconds.

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
        pace: LetterPace,
        metrics: StageMetrics,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self._stage = stage
        self._handler = handler
        self._outbox = outbox
        self._attempts_max = settings.retry_attempts_max
        self._unexpected_max = settings.unexpected_attempts_max
        self._backoff = Backoff(settings.retry_wait_seconds, settings.retry_wait_max_seconds, random)
        self._pace = pace
        self._metrics = metrics
        self._unexpected = Unexpected(stage, metrics)
        self._clock = clock
        self._waiting: dict[bytes | None, asyncio.Event] = {}
        self._stopping = False

    def observe(self, record: Record) -> None:
        """Let the handler take note of *record*; another of its key that waits for its next attempt is tried now."""
        if record.unreadable:
            return
        with self._unexpected.spared("observe", record):
            self._handler.observe(record)
        if self._waiting and record.key in self._waiting:
            self._waiting[record.key].set()

    def stop(self) -> None:
        """Try nothing again: what waits is given back."""
        self._stopping = True
        for event in self._waiting.values():
            event.set()

    async def run(self, record: Record) -> bool:
        """
        Handle *record* and return when its outputs are acknowledged; false where it was given back because of `stop`.

        Raises:
            Fatal: the stage must not go on, for the handler's sake.

        """
        attempts = unexpected = 0
        first_failed_at = 0.0
        while True:
            attempts += 1
            failure = await self._attempt(record)
            if failure is None:
                self._acknowledge(record)
                return True
            first_failed_at = first_failed_at or self._clock()
            unexpected += failure.unexpected
            if self._is_final(failure, attempts, unexpected):
                await self._give_up(record, failure, attempts, first_failed_at)
                return True
            self._metrics.retries.inc()
            passing = failure.error if isinstance(failure.error, Retryable) else None
            if not await self._wait(record.key, self._backoff.wait_seconds(attempts, passing)):
                return False

    async def _attempt(self, record: Record) -> _Failure | None:
        """What kept the outputs of *record* from the log; None where they are in it."""
        try:
            outputs = await self._handled(record)
        except Invalid as error:
            return _Failure(error, error.reason, rejected=True)
        except Retryable as error:
            return _Failure(error, RETRIES_EXHAUSTED)
        except (Exception, BaseExceptionGroup, asyncio.CancelledError) as error:  # noqa: BLE001  a record's boundary
            return self._told(error, "handle", record)
        try:
            if outputs:
                await self._outbox.send(outputs, record.partition)
        except Invalid as error:
            return _Failure(error, error.reason)
        except (Exception, BaseExceptionGroup, asyncio.CancelledError) as error:  # noqa: BLE001  a record's boundary
            return self._told(error, "send", record)
        return None

    async def _handled(self, record: Record) -> Sequence[Output]:
        if record.unreadable:
            raise unreadable(record)
        return await self._handler.handle(record)

    def _told(self, error: BaseException, during: str, record: Record) -> _Failure:
        if passes(error):
            raise error
        self._unexpected.tell(error, during, record)
        # Its own text may quote a customer; a dead letter's headers quote nobody.
        told = f"{type(error).__module__}.{type(error).__qualname__}; the log of {self._stage} has the traceback"
        return _Failure(Invalid(UNEXPECTED_ERROR, told), UNEXPECTED_ERROR)

    def _is_final(self, failure: _Failure, attempts: int, unexpected: int) -> bool:
        if failure.unexpected:
            return unexpected >= self._unexpected_max
        return isinstance(failure.error, Invalid) or attempts >= self._attempts_max

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

    def _acknowledge(self, record: Record) -> None:
        with self._unexpected.spared("acknowledge", record):
            self._handler.acknowledged(record)

    async def _give_up(self, record: Record, failure: _Failure, attempts: int, first_failed_at: float) -> None:
        ended = await self._end(record, failure.reason)
        if failure.rejected or not ended:
            self._pace.letter(Position(record.topic, record.partition), asyncio.get_running_loop().time())
            letter = dead_letter(self._stage, record, failure.error, attempts=attempts, first_failed_at=first_failed_at)
            await self._write(letter, record)
            self._metrics.dead_letter(failure.reason).inc()
        result = "failed" if ended else "dead_lettered"
        self._metrics.result(result).inc()
        _log.warning(
            "record given up",
            stage=self._stage,
            result=result,
            reason=failure.reason,
            attempts=attempts,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )

    async def _end(self, record: Record, reason: str) -> bool:
        """Write what the handler has to say on giving *record* up; false where that is nothing."""
        if record.unreadable:
            return False
        try:
            outputs = self._handler.given_up(record, reason)
            if outputs:
                await self._outbox.send(outputs, record.partition)
        except Invalid:
            return False
        except (Exception, BaseExceptionGroup, asyncio.CancelledError) as error:  # noqa: BLE001  a record's boundary
            self._told(error, "give_up", record)
            return False
        if outputs:
            self._acknowledge(record)
        return bool(outputs)

    async def _write(self, letter: Output, record: Record) -> None:
        try:
            await self._outbox.send((letter,), record.partition)
        except Invalid:
            await self._outbox.send((without_value(letter),), record.partition)
        except (Exception, BaseExceptionGroup, asyncio.CancelledError) as error:  # noqa: BLE001  a record's boundary
            # What the client cannot write is the record's own; what then fails is the producer's fault.
            self._told(error, "dead_letter", record)
            await self._outbox.send((without_value(letter),), record.partition)
