"""Following the `playbooks` topic through a broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from prometheus_client import CollectorRegistry

from shared.broker.clients import KafkaSettings, admin, producer
from shared.broker.embedded import EmbeddedBroker
from shared.errors import Fatal
from shared.events.topics import PLAYBOOKS
from shared.playbook import topic as playbook_topic
from shared.playbook.following import WithPlaybooks
from shared.playbook.model import Guideline, Playbook, Profile
from shared.playbook.shelf import Change
from shared.playbook.topic import PlaybookFollower, publish, withdraw
from shared.playbook.version import version_of

PARTITIONS = 3
POLL_SECONDS = 0.01
METADATA_AGE_SECONDS = 0.2


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playbook_topic, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(playbook_topic, "BACKOFF_FIRST_SECONDS", 0.05)


def playbook(action: str, agent: str = "desk") -> Playbook:
    return Playbook(
        agent=agent, profile=Profile(name="A"), guidelines=(Guideline(id="a", condition="b", action=action),)
    )


async def create_topic(settings: KafkaSettings) -> None:
    client = admin(settings)
    await client.start()
    await client.create_topics(
        [NewTopic(settings.namespace + PLAYBOOKS, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"})]
    )
    await client.close()


@asynccontextmanager
async def producing(settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    client = producer(settings)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def following(settings: KafkaSettings) -> AsyncIterator[tuple[PlaybookFollower, CollectorRegistry]]:
    registry = CollectorRegistry()
    follower = PlaybookFollower(settings, registry)
    task = asyncio.create_task(follower.run())
    try:
        yield follower, registry
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  what is waited for is another process's, told by no event
            await asyncio.sleep(POLL_SECONDS)


async def test_it_is_ready_once_everything_was_read_and_then_follows(broker_settings: KafkaSettings) -> None:
    await create_topic(broker_settings)
    agents = [f"agent-{n}" for n in range(12)]
    async with producing(broker_settings) as client, following(broker_settings) as (follower, _):
        for agent in agents:
            await publish(client, broker_settings, "acme", playbook("one", agent))
        async with following(broker_settings) as (late, registry):
            await late.wait_ready()
            assert late.agents() == tuple(("acme", agent) for agent in sorted(agents))
            await until(lambda: registry.get_sample_value("holdfast_playbooks_in_force") == len(agents))
        await until(lambda: len(follower.agents()) == len(agents))
        await publish(
            client, broker_settings, "acme", playbook("two", "agent-0"), kept=follower.kept("acme", "agent-0")
        )
        await until(
            lambda: (
                follower.current("acme", "agent-0")
                == (version_of(playbook("two", "agent-0")), playbook("two", "agent-0"))
            )
        )
        assert follower.version("acme", "agent-0", version_of(playbook("one", "agent-0"))) == playbook("one", "agent-0")
        await withdraw(client, broker_settings, "acme", "agent-1", kept=follower.kept("acme", "agent-1"))
        await until(lambda: follower.current("acme", "agent-1") is None)


async def test_an_empty_topic_is_soon_read(embedded_settings: KafkaSettings) -> None:
    await create_topic(embedded_settings)
    async with following(embedded_settings) as (follower, _), asyncio.timeout(20):
        await follower.wait_ready()
    assert follower.agents() == ()


async def test_a_topic_that_cannot_be_read_for_any_reason_is_read_afresh(
    embedded_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a header"), KeyError("x"), ValueError("a corrupt batch")]
    taking = PlaybookFollower._take

    async def failing(follower: PlaybookFollower, *given: Any) -> int:
        if errors:
            raise errors.pop()
        return await taking(follower, *given)

    monkeypatch.setattr(PlaybookFollower, "_take", failing)
    await create_topic(embedded_settings)
    async with producing(embedded_settings) as client:
        await publish(client, embedded_settings, "acme", playbook("one"))
    async with following(embedded_settings) as (follower, registry), asyncio.timeout(20):
        await follower.wait_ready()
        assert follower.agents() == (("acme", "desk"),)
        assert registry.get_sample_value("holdfast_playbook_interruptions_total") == 3


async def test_a_bad_record_is_refused_and_counted_and_the_last_good_version_stays(
    embedded_settings: KafkaSettings,
) -> None:
    await create_topic(embedded_settings)
    topic = embedded_settings.namespace + PLAYBOOKS
    async with producing(embedded_settings) as client, following(embedded_settings) as (follower, registry):
        good = await publish(client, embedded_settings, "acme", playbook("one"))
        await client.send_and_wait(topic, b"junk", key=b"acme:desk:" + b"0" * 16, partition=0)
        await client.send_and_wait(topic, b"junk", key=b"no key at all", partition=1)
        await client.send_and_wait(topic, b"junk", key=b"\xff:\xfe", partition=2)

        def refused(reason: str) -> float | None:
            return registry.get_sample_value("holdfast_playbook_records_total", {"result": f"refused_{reason}"})

        await until(lambda: refused("bad_encoding") == 1 and refused("bad_key") == 2)
        assert follower.current("acme", "desk") == (good.version, playbook("one"))


async def test_a_missing_topic_is_waited_for(embedded_settings: KafkaSettings) -> None:
    settings = embedded_settings.model_copy(update={"request_timeout_seconds": 0.5})
    async with following(settings) as (follower, registry):
        await until(lambda: (registry.get_sample_value("holdfast_playbook_interruptions_total") or 0) >= 1)
        assert not follower.is_ready
        await create_topic(embedded_settings)
        async with asyncio.timeout(20):
            await follower.wait_ready()


async def test_without_a_broker_what_is_known_stays_in_force_and_a_new_broker_is_read_afresh() -> None:
    broker = EmbeddedBroker()
    await broker.start()
    host, _, port = broker.bootstrap_servers.partition(":")
    settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, metadata_age_max_seconds=METADATA_AGE_SECONDS)
    await create_topic(settings)
    async with following(settings) as (follower, _):
        async with producing(settings) as client:
            await publish(client, settings, "acme", playbook("one"))
        await until(lambda: follower.current("acme", "desk") is not None)
        await broker.stop()
        assert follower.current("acme", "desk") is not None
        async with EmbeddedBroker(host=host, port=int(port)):
            await create_topic(settings)
            async with producing(settings) as client:
                await publish(client, settings, "acme", playbook("two"))
            await until(lambda: follower.current("acme", "desk") == (version_of(playbook("two")), playbook("two")))


class Stage:
    """A stage that tells when it runs, and ends when it is told to, or at once by an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.began = asyncio.Event()
        self._error = error

    async def run(self, stop: asyncio.Event) -> None:
        self.began.set()
        if self._error:
            raise self._error
        await stop.wait()


async def test_a_stage_begins_when_the_playbooks_are_there_and_ends_when_told(embedded_settings: KafkaSettings) -> None:
    follower, stage, stop = PlaybookFollower(embedded_settings, CollectorRegistry()), Stage(), asyncio.Event()
    running = asyncio.create_task(WithPlaybooks(follower, stage).run(stop))
    await asyncio.sleep(0)
    assert not stage.began.is_set()
    await create_topic(embedded_settings)
    async with asyncio.timeout(20):
        await stage.began.wait()
        assert follower.is_ready
        stop.set()
        await running


async def test_told_to_stop_before_the_broker_was_ever_there_a_stage_ends(embedded_settings: KafkaSettings) -> None:
    stop, stage = asyncio.Event(), Stage()
    stop.set()
    async with asyncio.timeout(20):
        await WithPlaybooks(PlaybookFollower(embedded_settings, CollectorRegistry()), stage).run(stop)
    assert not stage.began.is_set()


async def test_a_stages_fatal_error_comes_through(embedded_settings: KafkaSettings) -> None:
    await create_topic(embedded_settings)
    follower = PlaybookFollower(embedded_settings, CollectorRegistry())
    with pytest.raises(Fatal, match="no partition"):
        async with asyncio.timeout(20):
            await WithPlaybooks(follower, Stage(Fatal("no partition"))).run(asyncio.Event())


async def test_an_error_that_nobody_foresaw_costs_its_record_alone(
    broker_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_topic(broker_settings)
    change_of = playbook_topic.change_of

    def failing(key: bytes | None, value: bytes | None) -> Change:
        if value == b"odd":
            raise RecursionError("odd")
        return change_of(key, value)

    monkeypatch.setattr(playbook_topic, "change_of", failing)
    async with producing(broker_settings) as client, following(broker_settings) as (follower, registry):
        for agent in ("one", "two"):
            await publish(client, broker_settings, "acme", playbook("Do it", agent))
            await client.send_and_wait(broker_settings.namespace + PLAYBOOKS, b"odd", key=b"acme:one")
        await until(lambda: len(follower.agents()) == 2)
        await until(
            lambda: registry.get_sample_value("holdfast_playbook_records_total", {"result": "refused_unexpected"}) == 2
        )
