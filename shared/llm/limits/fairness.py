"""
Whom a passed deadline speaks against.
"""

from shared.llm.errors import DeadlineExceeded


def had_no_chance(error: BaseException, elapsed_seconds: float, fair_seconds: float) -> bool:
    """
    Whether *error* is a deadline that passed before the endpoint had *fair_seconds*: the call was sent late, after
    waits of our own, and tells nothing about the endpoint.
    """
    return isinstance(error, DeadlineExceeded) and elapsed_seconds < fair_seconds
