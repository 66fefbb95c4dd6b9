"""
A door: a place where something comes in from outside, with the code behind it as a process runs it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.fuzz.entry import Entry

OWNER = "acme"
"""Whose everything is that comes in."""
OTHER = "birch"
CANARY = "canary-of-birch-7d1e0a"
"""A word that only the other tenant's records and playbook hold."""


class Broken(Exception):
    """An invariant does not hold."""


class Session(Protocol):
    """A world in which entries meet each other."""

    async def enter(self, entry: Entry) -> bool:
        """
        Let *entry* in; whether the door's first decoder took it.

        Raises:
            Broken: what followed breaks an invariant. Any other exception is one that the door does not promise.

        """
        ...


@dataclass(frozen=True, slots=True)
class Door:
    """
    *samples* are valid entries; *open* makes a world in which *together* entries come one after the other.
    """

    name: str
    what: str
    samples: Callable[[], Sequence[Entry]]
    open: Callable[[], Session]
    together: int = 1


def unseen(data: bytes | None, where: str) -> None:
    """
    Check that *data*, which is the owner's, holds nothing of the other tenant.

    Raises:
        Broken: it does.

    """
    if data is not None and CANARY.encode() in data:
        raise Broken(f"{where} of {OWNER} holds a word of {OTHER}")
