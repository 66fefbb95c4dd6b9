"""
The exception tree of Holdfast: the class tells the caller what to do.

* HoldfastError
  - Retryable: back off and try the same thing again (time-outs, overload, an unavailable broker).
  - Invalid: this input can never succeed; dead-letter it and go on. `reason` is a bounded label.
  - Fatal: the process cannot do its work as configured; stop with a non-zero exit.

Outcomes of the business (no guideline matched, a draft was rejected) are events, not exceptions.
"""


class HoldfastError(Exception):
    """Root of every error that Holdfast raises on purpose."""


class Retryable(HoldfastError):
    """
    The same attempt may succeed later.

    `retry_after_seconds` is the least wait that the other side asked for, where it did.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Invalid(HoldfastError):
    """
    The input can never be handled; it goes to `dead.letters` byte for byte.

    `reason` is one of a bounded set of snake_case words: it becomes a metric label.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Fatal(HoldfastError):
    """Nothing that this process can do will help: stop, do not commit, exit non-zero."""
