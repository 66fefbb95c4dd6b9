"""
The playbooks that a process knows: every version it has seen of every agent, and which version is in force.
"""

from typing import Protocol

from shared.playbook.model import Playbook


class Directory(Protocol):
    """Playbooks by tenant, agent and version (a content hash)."""

    def current(self, tenant: str, agent: str) -> tuple[str, Playbook] | None:
        """The version in force with its playbook; None where the tenant has no such agent."""
        ...

    def version(self, tenant: str, agent: str, version: str) -> Playbook | None:
        """A version, in force or not; None where this process has not (yet) seen it, or it was retired."""
        ...
