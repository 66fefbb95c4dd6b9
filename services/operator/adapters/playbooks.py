"""
Publishing playbooks from the command line.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from prometheus_client import CollectorRegistry

from shared.broker.clients import KafkaSettings, producer
from shared.errors import Fatal
from shared.playbook.model import Playbook
from shared.playbook.topic import PlaybookFollower, Published, publish

READ_SECONDS_MAX = 30.0


async def publish_playbook(settings: KafkaSettings, tenant: str, playbook: Playbook) -> Published:
    """
    Put *playbook* in force, and retire the versions that nobody needs any more.

    Raises:
        Fatal: the topic of playbooks could not be read in time.
        shared.playbook.finding.PlaybookError: a check found an error.

    """
    async with publishing(settings) as publish_one:
        return await publish_one(tenant, playbook)


@contextlib.asynccontextmanager
async def publishing(settings: KafkaSettings) -> AsyncIterator[Callable[[str, Playbook], Awaitable[Published]]]:
    """
    `publish_playbook` for many playbooks: the topic is read once and followed.

    Raises:
        Fatal: the topic of playbooks could not be read in time.

    """
    async with known_playbooks(settings) as known:
        writing = producer(settings)

        async def publish_one(tenant: str, playbook: Playbook) -> Published:
            return await publish(writing, settings, tenant, playbook, kept=known.kept(tenant, playbook.agent))

        try:
            await writing.start()
            yield publish_one
        finally:
            await writing.stop()


@contextlib.asynccontextmanager
async def known_playbooks(settings: KafkaSettings) -> AsyncIterator[PlaybookFollower]:
    """All playbooks that the topic holds, followed for as long as the context lasts."""
    follower = PlaybookFollower(settings, CollectorRegistry())
    following = asyncio.create_task(follower.run())
    try:
        try:
            await asyncio.wait_for(follower.wait_ready(), READ_SECONDS_MAX)
        except TimeoutError:
            raise Fatal(
                f"the playbooks topic of {settings.bootstrap_servers} could not be read within {READ_SECONDS_MAX:g} s; "
                "check HOLDFAST_KAFKA_BOOTSTRAP_SERVERS, and that `holdfast topics apply` has been run",
            ) from None
        yield follower
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
