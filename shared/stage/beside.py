"""
A stage with what a process does beside it.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from shared.stage.process import Runnable


class Beside:
    """*stage* with *errand*, which runs once while the stage begins its work: it costs the start no time."""

    def __init__(self, stage: Runnable, errand: Coroutine[Any, Any, object]) -> None:
        self._stage = stage
        self._errand = errand

    async def run(self, stop: asyncio.Event) -> None:
        """
        Run the stage until *stop* is set.

        Raises:
            Fatal: from the stage, or from the errand, which then ends the stage.

        """
        errand = asyncio.create_task(self._errand, name="errand")
        working = asyncio.create_task(self._stage.run(stop), name="stage")
        try:
            await asyncio.wait((errand, working), return_when=asyncio.FIRST_COMPLETED)
            if errand.done():
                errand.result()
            await working
        finally:
            for task in (working, errand):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
