"""
Outputs on their way to the log: acknowledged before their record counts as done, held while ownership is in doubt.
"""

import asyncio
from collections.abc import Sequence

from shared.errors import Retryable
from shared.stage.base import Output
from shared.stage.ports import Producer
from shared.stage.retry import Backoff


class Outbox:
    """
    Sends through *producer*. Closed at first: what comes waits until `open`.

    While a group rebalances, its tasks may be another's already; an output sent then would be written twice.
    """

    def __init__(self, producer: Producer, backoff: Backoff) -> None:
        self._producer = producer
        self._backoff = backoff
        self._open = asyncio.Event()
        self._sending = 0
        self._settled = asyncio.Event()
        self._settled.set()

    def open(self) -> None:
        """Ownership is certain: send what waits."""
        self._open.set()

    def close(self) -> None:
        """Ownership is in doubt: hold what is not yet under way."""
        self._open.clear()

    async def wait_open(self) -> None:
        """Return when ownership is certain."""
        while not self._open.is_set():
            await self._open.wait()

    async def send(self, outputs: Sequence[Output], partition: int) -> None:
        """
        Return when *outputs* are acknowledged. A broker that is away is waited for, as long as the caller is not
        cancelled.

        Raises:
            Invalid: an output can never be written.
            Fatal: this process may not write.

        """
        attempt = 0
        while True:
            await self.wait_open()
            try:
                await self._send(outputs, partition)
            except Retryable as error:
                attempt += 1
                await asyncio.sleep(self._backoff.wait_seconds(attempt, error))
            else:
                return

    async def settle(self, wait_seconds: float) -> bool:
        """Wait until nothing is under way; false where that takes longer than *wait_seconds*."""
        try:
            async with asyncio.timeout(wait_seconds):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    async def _send(self, outputs: Sequence[Output], partition: int) -> None:
        self._sending += 1
        self._settled.clear()
        try:
            await self._producer.send(outputs, partition)
        finally:
            self._sending -= 1
            if not self._sending:
                self._settled.set()
