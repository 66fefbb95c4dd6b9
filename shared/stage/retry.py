"""
How long to wait before the same thing is tried again.
"""

from dataclasses import dataclass, field
from random import Random

from shared.errors import Retryable


@dataclass(frozen=True, slots=True)
class Backoff:
    """
    Waits that double from *first_seconds* to *max_seconds*, each shortened by up to a half at random, so that many
    who were refused together do not come back together ("equal jitter": Brooker, AWS Architecture Blog, 2015).
    """

    first_seconds: float
    max_seconds: float
    random: Random = field(default_factory=Random)

    def wait_seconds(self, attempt: int, error: Retryable | None = None) -> float:
        """The wait after the failure of *attempt* (from 1); at least what the other side asked for."""
        # The exponent is bounded: 2**1024 is no float.
        ceiling = min(self.max_seconds, self.first_seconds * 2.0 ** min(attempt - 1, 60))
        wait = ceiling * self.random.uniform(0.5, 1.0)
        return max(wait, (error.retry_after_seconds if error is not None else None) or 0.0)
