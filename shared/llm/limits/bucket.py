"""
A token bucket that grants in order of arrival and tells at once how long the wait will be.

aiolimiter, the usual library, wakes the smallest waiting amount first, so that under load a long prompt starves; it
takes nothing back; and a caller learns only at its deadline that it waited in vain.
"""


class TokenBucket:
    """
    *rate* a second, with at most *capacity* saved up; full at first. All times in seconds of one monotonic clock.

    What is granted up to t never exceeds `capacity + rate * t`, refunds counted back.
    """

    __slots__ = ("_capacity", "_level", "_rate", "_updated")

    def __init__(self, *, rate: float, capacity: float, now: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._level = capacity
        self._updated = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until *amount* could be used, if it were taken now."""
        self._refill(now)
        return max(0.0, (amount - self._level) / self._rate)

    def take(self, amount: float, now: float) -> float:
        """Take *amount* and return the seconds to wait before using it; later takers wait behind this one."""
        wait = self.wait(amount, now)
        self._level -= amount
        return wait

    def refund(self, amount: float, now: float) -> None:
        """Put back what was taken and not used; a negative *amount* takes what was used beyond it."""
        self._refill(now)
        self._level = min(self._capacity, self._level + amount)

    def _refill(self, now: float) -> None:
        # The clock is one loop's, but a caller may have read it before another did.
        if now > self._updated:
            self._level = min(self._capacity, self._level + (now - self._updated) * self._rate)
            self._updated = now
