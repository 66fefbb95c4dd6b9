"""
A stage with what a process does beside it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from shared.stage.process import Runnable
from shared.stage.unexpected import ends_the_stage

_log = structlog.get_logger(__name__)


class Beside:
    """*stage* with *errand*, which runs once while the stage begins its work: it costs the start no time."""

    def __init__(self, stage: Runnable, errand: Coroutine[Any, Any, object]) -> None:
        self._stage = stage
        self._errand = errand

    async def run(self, stop: asyncio.Event) -> None:
        """
        Run the stage until *stop* is set.

        Raises:
            Fatal: from the stage, or from the errand, which then ends the stage. What else the errand raises ends the
                errand alone.

        """
        errand = asyncio.create_task(self._errand, name="errand")
        working = asyncio.create_task(self._stage.run(stop), name="stage")
        try:
            await asyncio.wait((errand, working), return_when=asyncio.FIRST_COMPLETED)
            if errand.done():
                _heed(errand)
            await working
        finally:
            for task in (working, errand):
                task.cancel()
            await asyncio.wait((working, errand))


def _heed(errand: asyncio.Task[object]) -> None:
    error = None if errand.cancelled() else errand.exception()
    if error is not None and ends_the_stage(error):
        raise error
    if error is not None or errand.cancelled():
        _log.error("what runs beside the stage failed; the stage goes on", exc_info=error)
