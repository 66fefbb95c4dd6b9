"""
What comes of a request over the reasoner's way out: an answer, none, or a refusal to make it.
"""

from dataclasses import dataclass

import httpx

from shared.errors import HoldfastError


class Refused(HoldfastError):
    """
    A request that was not made: its destination is not allowed, or it is none that can be made.

    `reason` is one of scheme, host, not_encrypted, address, credentials, header, request.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotAnswered(HoldfastError):
    """
    A request that got no whole answer.

    `reason` is one of timeout, connection, oversized, encoded, fault; `sent` says whether the other side may have acted
    on it.
    """

    def __init__(self, reason: str, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: httpx.Headers
    content: bytes
