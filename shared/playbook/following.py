"""
A stage together with the playbooks that it works by.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

from shared.errors import Fatal
from shared.playbook.topic import PlaybookFollower


class Runnable(Protocol):
    """What runs until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None: ...


class WithPlaybooks:
    """*stage*, begun once *follower* has read all playbooks, so that no turn meets an empty directory after a start."""

    def __init__(self, follower: PlaybookFollower, stage: Runnable) -> None:
        self._follower = follower
        self._stage = stage

    async def run(self, stop: asyncio.Event) -> None:
        """
        Follow the playbooks, and run the stage until *stop* is set.

        Raises:
            Fatal: from the stage, or the follower has ended by itself.

        """
        following = asyncio.create_task(self._follower.run(), name="playbooks")
        working = asyncio.create_task(self._work(stop), name="stage")
        try:
            await asyncio.wait((following, working), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Fatal("the playbooks are no longer followed") from following.exception()
            await working
        finally:
            for task in (working, following):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _work(self, stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        ready = asyncio.create_task(self._follower.wait_ready())
        try:
            await asyncio.wait((stopped, ready), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            ready.cancel()
        if not stop.is_set():
            await self._stage.run(stop)
