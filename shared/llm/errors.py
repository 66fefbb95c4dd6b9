"""
What a model call may raise.

* ModelUnavailable (Retryable): the call may succeed later.
  - DeadlineExceeded: the request's deadline passed first; trying again is the caller's decision.
  - CircuitOpen: not sent, because the endpoint has been failing.
* ModelRefused (Fatal): the endpoint will not serve this process: wrong key, unknown model, exhausted quota, malformed request.
* InvalidAnswer: the model answered, twice, with what its schema does not allow. The turn decides; nothing is dead-lettered.
"""

from shared.errors import Fatal, HoldfastError, Retryable
from shared.llm.base import Usage


class ModelUnavailable(Retryable):
    """The endpoint could not answer now. `kind` is a bounded label: timeout, rate_limited, server_error, connection, overloaded."""

    def __init__(self, kind: str, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.kind = kind


class DeadlineExceeded(ModelUnavailable):
    """The request's deadline passed before an answer came."""

    def __init__(self, message: str) -> None:
        super().__init__("timeout", message)


class CircuitOpen(ModelUnavailable):
    """The call was not sent: the endpoint has been failing, and is given time."""

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__("circuit_open", message, retry_after_seconds=retry_after_seconds)


class ModelRefused(Fatal):
    """The endpoint will not serve this process as it is configured."""


class InvalidAnswer(HoldfastError):
    """
    The model's answer does not satisfy its schema, and the one re-ask did not mend it.

    `kind` is a bounded label: truncated, refused, empty, oversized, not_json, schema. `usage` is what the attempts cost.
    """

    def __init__(self, kind: str, message: str, *, usage: Usage) -> None:
        super().__init__(message)
        self.kind = kind
        self.usage = usage
