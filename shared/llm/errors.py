"""
What a model call may raise.

* ModelUnavailable (Retryable): the call may succeed later.
  - DeadlineExceeded: the request's deadline passed first; trying again is the caller's decision.
  - CircuitOpen: not sent, because the endpoint has been failing.
* ModelRefused: the endpoint rejects this request as such (bad request, too long, wrong key, unknown model, exhausted
  quota); the same request will be rejected again. The turn decides.
* InvalidAnswer: the model answered, twice, with what its schema does not allow. The turn decides; nothing is
  dead-lettered. An adapter raises it at once for an answer that it stopped reading; a re-ask may follow.
"""

from shared.errors import HoldfastError, Retryable
from shared.llm.base import Usage
from shared.llm.remedies import Remedy


class ModelUnavailable(Retryable):
    """
    The endpoint could not answer now.

    `kind` is a bounded label: timeout, rate_limited, server_error, connection, overloaded, circuit_open.
    """

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


class ModelRefused(HoldfastError):
    """
    The endpoint rejects the request as such.

    `kind` is a bounded label: auth, not_found, quota, too_long, bad_request. `remedy` is what mends it, where a
    parameter was refused that a setting leaves out.
    """

    def __init__(self, kind: str, message: str, *, remedy: Remedy | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.remedy = remedy


class InvalidAnswer(HoldfastError):
    """
    The model's answer does not satisfy its schema, and the one re-ask did not mend it.

    `kind` is a bounded label: truncated, refused, empty, oversized, not_json, schema, check (the asker's own check
    complained). `usage` is what the attempts cost.
    """

    def __init__(self, kind: str, message: str, *, usage: Usage) -> None:
        super().__init__(message)
        self.kind = kind
        self.usage = usage
