"""
What a service works out from a playbook where that takes long or much memory: on a thread, so that other turns go on,
and kept up to a size over all tenants.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.errors import Retryable
from shared.events.turns import Turn
from shared.playbook.directory import Directory
from shared.playbook.model import Playbook

T = TypeVar("T")
Name = tuple[str, str, str]

INLINE_GUIDELINES_MAX = 200
"""Up to so many guidelines it is worked out at once: 10 ms or less, which a thread would hardly shorten."""


class Ready(Generic[T]):
    """
    *derive* applied to the playbooks of *directory*. Of the results, measured by *size_of* (bytes), the most recently
    used are kept up to *bytes_max* in all; the newest one stays, however large.
    """

    def __init__(
        self, directory: Directory, derive: Callable[[Playbook], T], *, size_of: Callable[[T], int], bytes_max: int
    ) -> None:
        self._directory = directory
        self._derive = derive
        self._size_of = size_of
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[Name, tuple[T, int]] = OrderedDict()
        self._under_way: dict[Name, asyncio.Task[T]] = {}

    @property
    def bytes_held(self) -> int:
        """The size of all that is kept."""
        return self._bytes

    async def of(self, turn: Turn) -> T:
        """
        What follows from the playbook that *turn* was opened with; worked out once for all who ask meanwhile.

        Raises:
            Retryable: this process has not seen that version yet.

        """
        name = (turn.tenant, turn.agent, turn.playbook_version)
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name][0]
        if (task := self._under_way.get(name)) is None:
            playbook = self._directory.version(*name)
            if playbook is None:
                raise Retryable(
                    f"version {turn.playbook_version} of agent {turn.agent} is not known here yet; if this goes on, "
                    "look at the follower of the topic `playbooks`"
                )
            if len(playbook.guidelines) <= INLINE_GUIDELINES_MAX:
                return self._keep(name, self._derive(playbook))
            task = self._under_way[name] = asyncio.create_task(self._work_out(name, playbook))
        # One turn that is given up must not take the result from the others.
        return await asyncio.shield(task)

    async def _work_out(self, name: Name, playbook: Playbook) -> T:
        try:
            return self._keep(name, await asyncio.to_thread(self._derive, playbook))
        finally:
            del self._under_way[name]

    def _keep(self, name: Name, result: T) -> T:
        size = self._size_of(result)
        self._kept[name] = (result, size)
        self._bytes += size
        while self._bytes > self._bytes_max and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1][1]
        return result
