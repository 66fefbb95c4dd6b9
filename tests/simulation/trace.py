"""
What happened in a run, in order: the readable record of a seed, and its hash.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.loop import BEGIN_SECONDS, PROCESS


@dataclass(slots=True)
class Trace:
    """Events with their virtual time (seconds since the beginning) and the process that they happened in."""

    now: Callable[[], float]
    events: list[tuple[float, str, str, str]] = field(default_factory=list)

    def note(self, what: str, detail: str = "") -> None:
        """Add an event of the current process."""
        self.events.append((self.now() - BEGIN_SECONDS, PROCESS.get(), what, detail))

    @property
    def digest(self) -> str:
        """Of all events; equal where two runs were the same."""
        return hashlib.blake2b(repr(self.events).encode(), digest_size=16).hexdigest()

    def lines(self) -> list[str]:
        """The events as text."""
        return [f"{at:9.4f}  {who:<18} {what:<12} {detail}".rstrip() for at, who, what, detail in self.events]
