"""
Closing a client to its end, also where its owner is cancelled meanwhile.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def uninterrupted(closing: Coroutine[Any, Any, None]) -> None:
    """
    Wait for *closing*, which has a limit of its own; a cancellation of the caller is raised when it has ended.

    A client of aiokafka counts as closed from the first step of its `stop()`: one that is interrupted there keeps its
    connections, and stopping it again does nothing.

    Raises:
        Exception: what *closing* raised, unless the caller was cancelled.

    """
    job = asyncio.create_task(closing)
    cancelled: asyncio.CancelledError | None = None
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        job.result()
        return
    if not job.cancelled():
        job.exception()
    raise cancelled
