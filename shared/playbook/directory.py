"""
The playbooks that a process knows: every version it has seen of every agent, and which version is in force.
"""

from typing import Protocol

from shared.playbook.model import Playbook
from shared.playbook.records import PlaybookKey, pack, succession
from shared.playbook.shelf import Shelf
from shared.playbook.version import canonical, hash_of


class Directory(Protocol):
    """Playbooks by tenant, agent and version (a content hash)."""

    def current(self, tenant: str, agent: str) -> tuple[str, Playbook] | None:
        """The version in force with its playbook; None where the tenant has no such agent."""
        ...

    def version(self, tenant: str, agent: str, version: str) -> Playbook | None:
        """A version, in force or not; None where this process has not (yet) seen it, or it was retired."""
        ...


class StaticDirectory:
    """A directory in memory, filled by hand: for tests, simulation and whatever runs without a broker."""

    def __init__(self, *, keep: int = 10) -> None:
        self._shelf = Shelf()
        self._keep = keep

    def put(self, tenant: str, playbook: Playbook) -> str:
        """
        Put *playbook* in force, and return its version.

        Raises:
            Invalid: a check finds an error in it, or the names fit no key.

        """
        content = canonical(playbook)
        version = hash_of(content)
        head, retired = succession(version, self._shelf.kept(tenant, playbook.agent), self._keep)
        name = PlaybookKey(tenant, playbook.agent)
        self._shelf.apply(PlaybookKey(tenant, playbook.agent, version).encode(), pack(content))
        self._shelf.apply(name.encode(), head.model_dump_json().encode())
        for old in retired:
            self._shelf.apply(PlaybookKey(tenant, playbook.agent, old).encode(), None)
        return version

    def withdraw(self, tenant: str, agent: str) -> None:
        """Put no playbook in force; the kept versions stay readable."""
        self._shelf.apply(PlaybookKey(tenant, agent).encode(), None)

    def current(self, tenant: str, agent: str) -> tuple[str, Playbook] | None:
        return self._shelf.current(tenant, agent)

    def version(self, tenant: str, agent: str, version: str) -> Playbook | None:
        return self._shelf.version(tenant, agent, version)
