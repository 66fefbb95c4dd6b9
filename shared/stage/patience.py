"""
Waiting for a broker that is not there (yet), without being deaf to a stop.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from shared.errors import Retryable
from shared.stage.retry import Backoff

_log = structlog.get_logger(__name__)


async def persist(
    aim: str, action: Callable[[], Coroutine[Any, Any, None]], stop: asyncio.Event, backoff: Backoff
) -> bool:
    """Do *action* as soon as it does not raise `Retryable`; false where *stop* comes first. Logs *aim* once."""
    attempt = 0
    while not stop.is_set():
        try:
            return await unless(stop, action())
        except Retryable as error:
            attempt += 1
            if attempt == 1:
                _log.warning("not possible yet; trying until it is", aim=aim, error=str(error))
            await unless(stop, asyncio.sleep(backoff.wait_seconds(attempt, error)))
    return False


async def unless(stop: asyncio.Event, action: Coroutine[Any, Any, None]) -> bool:
    """Run *action* to its end; false where *stop* is set first, and it is cancelled."""
    acting, stopping = asyncio.ensure_future(action), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([acting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not acting.done():
            return False
        acting.result()
        return True
    finally:
        for task in (acting, stopping):
            task.cancel()
        await asyncio.wait([acting, stopping])


async def wait_for_stop(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, unless *stop* comes first."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
