"""
Closing a client to its end, also where its owner is cancelled meanwhile.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer


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


async def stop_consumer(client: AIOKafkaConsumer, seconds_max: float) -> None:
    """
    Stop *client* within *seconds_max*, and close its connections whatever became of that.

    `AIOKafkaConsumer.stop` waits for the coordinator's answers one after another. Where one does not come, the consumer
    is left half stopped: its fetcher goes on, and its connections stay open for the life of the process. There is no
    public way to end those.

    Raises:
        TimeoutError: the consumer did not stop in time; its group learns that it left by the session's time-out.
        KafkaError: the broker refused.

    """
    try:
        async with asyncio.timeout(seconds_max):
            await client.stop()
    except BaseException:
        await _end_tasks(client, seconds_max)
        raise
    finally:
        async with asyncio.timeout(seconds_max):
            await client._client.close()  # noqa: SLF001


async def _end_tasks(client: AIOKafkaConsumer, seconds_max: float) -> None:
    coordinator, fetcher = client._coordinator, client._fetcher  # noqa: SLF001
    # Without a group the coordinator has none of these.
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    tasks = [getattr(coordinator, name, None) for name in names]
    if fetcher is not None:
        tasks += [fetcher._fetch_task, *fetcher._pending_tasks]  # noqa: SLF001
    running = [task for task in tasks if task is not None and not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=seconds_max)
