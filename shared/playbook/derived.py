"""
What a service works out from a playbook (an index, the fixed part of a prompt), made once a version and kept for
the next turns.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.errors import Retryable
from shared.events.turns import Turn
from shared.playbook.directory import Directory
from shared.playbook.model import Playbook

T = TypeVar("T")

VERSIONS_KEPT_MAX = 256


class Derived(Generic[T]):
    """*derive* applied to the playbooks of *directory*, the most recently used *versions_max* results kept."""

    def __init__(
        self, directory: Directory, derive: Callable[[Playbook], T], *, versions_max: int = VERSIONS_KEPT_MAX
    ) -> None:
        self._directory = directory
        self._derive = derive
        self._versions_max = versions_max
        self._kept: OrderedDict[tuple[str, str, str], tuple[Playbook, T]] = OrderedDict()

    def of(self, turn: Turn) -> tuple[Playbook, T]:
        """
        The playbook that *turn* was opened with, and what follows from it.

        Raises:
            Retryable: this process has not seen that version yet.

        """
        name = (turn.tenant, turn.agent, turn.playbook_version)
        kept = self._kept.get(name)
        if kept is None:
            playbook = self._directory.version(*name)
            if playbook is None:
                raise Retryable(
                    f"version {turn.playbook_version} of agent {turn.agent} is not known here yet; if this goes on, "
                    "look at the follower of the topic `playbooks`"
                )
            kept = self._kept[name] = (playbook, self._derive(playbook))
            if len(self._kept) > self._versions_max:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return kept
