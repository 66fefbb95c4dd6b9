"""
aiokafka on uvloop, at the moment when a broker dies.

A write on a connection that has just been lost is ignored by asyncio's transport, and raises RuntimeError from
uvloop's. aiokafka (0.14) takes an OSError for a broken connection and nothing else: the RuntimeError ends the
background task that wrote, be it the one that fetches or the one that refreshes the metadata, and the client then
waits for ever, in silence.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

_write = AIOKafkaConnection.send


def _send(self: Any, request: Any, expect_response: bool = True) -> Any:
    try:
        return _write(self, request, expect_response=expect_response)
    except RuntimeError as error:
        if isinstance(error, KafkaError):
            raise
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error


def notice_lost_connections() -> None:
    """Let every aiokafka client of this process take such a write for what it is."""
    AIOKafkaConnection.send = _send
