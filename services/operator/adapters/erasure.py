"""
Erasing a conversation wherever it is known, and gathering the proof from the topics.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from uuid import uuid4

from services.operator.adapters.letters import read_box
from services.operator.adapters.publisher import Publisher, event, posted
from services.operator.adapters.reader import Seen, TopicReader
from services.operator.adapters.scan import home_of, scan
from services.operator.domain.erasure import Certificate, Holding, Probe, Survey, is_of, keeping_of, proofs
from services.operator.domain.letters import erasure_mark
from services.operator.domain.marker import head_of
from shared.broker.clients import KafkaSettings, producer
from shared.broker.topics import found_topics
from shared.errors import Fatal, Retryable
from shared.events import topics
from shared.events.conversation import ConversationErased
from shared.events.envelope import Address
from shared.events.turns import TurnClosed
from shared.stage.base import Record

LOOK_SECONDS = 0.5
PROBE_TEXT = "holdfast erase: is this refused?"
CLOCKS_APART_MS = 3_600_000
"""By how much the clocks of the processes that write may differ, where only what came lately is read."""


async def erase(
    settings: KafkaSettings,
    address: Address,
    *,
    reason: str,
    agent: str,
    probe: bool,
    seconds_max: float,
    told: Callable[[str], None],
) -> Certificate:
    """
    Publish `conversation.erased` in each partition where the conversation is found, wait for the ledger's markers, and
    gather what proves it.

    With *probe* a customer's message to *agent* follows in each of these partitions, which must be refused.

    Raises:
        Retryable: within *seconds_max* the ledger wrote no marker, or did not end a probe's turn.
        Fatal: a topic does not exist.

    """
    erased = event(address, "conversation.erased", ConversationErased(reason=reason))
    told("looking for the conversation in every partition of every topic")
    partitions = await _known_in(settings, address)
    told(f"it is known in, or belongs to, partitions {', '.join(map(str, partitions))}")
    async with Publisher(settings) as publisher:
        begun_ms = round(time.time() * 1000)
        for number in partitions:
            await publisher.publish([(address, erased)], partition=number)
        told(f"published conversation.erased {erased.id}")
        await _until_erased(settings, address, partitions, begun_ms, seconds_max)
        told("the ledger has erased it")
        probes = await _probes(settings, publisher, address, partitions, agent, seconds_max) if probe else {}
    await _bar_letters(settings, address, begun_ms)
    told("reading what topics still hold")
    survey = await _settled_survey(settings, address, seconds_max if probe else 0.0)
    return Certificate(address, erased.id, datetime.now(UTC), proofs(survey, partitions, probes), survey)


async def _known_in(settings: KafkaSettings, address: Address) -> list[int]:
    """The partitions in which the conversation was found, and the one that Kafka's own partitioner gives it."""
    events = settings.topic_for(address.tenant, topics.CONVERSATION_EVENTS)
    known = (await found_topics(settings, events.__eq__)).get(events)
    if known is None:
        raise Fatal(f"there is no topic {events} on this broker; is HOLDFAST_KAFKA_NAMESPACE right?")
    return sorted((await survey_of(settings, address)).partitions | {home_of(address.key, known.partitions)})


async def survey_of(settings: KafkaSettings, address: Address) -> Survey:
    """
    Every record of the conversation on every topic that may hold one, in all partitions.

    Raises:
        Retryable: the broker stopped answering.

    """
    holdings = []
    for topic, state in sorted((await found_topics(settings, _may_hold)).items()):
        if records := await _records(settings, topic, address):
            holdings.append(Holding(topic, keeping_of(state.config), tuple(records)))
    return Survey(tuple(holdings))


def _may_hold(topic: str) -> bool:
    return topic == topics.OBSERVER_CONVERSATIONS or topics.holds_conversations(topic)


async def _records(settings: KafkaSettings, topic: str, address: Address) -> list[Record]:
    if topic == topics.DEAD_LETTERS:
        # Neither marks nor receipts tell anything of the conversation.
        return [letter.record for letter in (await read_box(settings)).letters if is_of(letter.record, address)]
    return [record async for record in scan(settings, topic) if is_of(record, address)]


async def _until_erased(
    settings: KafkaSettings, address: Address, partitions: Collection[int], begun_ms: int, seconds_max: float
) -> None:
    until = time.monotonic() + seconds_max
    since_ms = begun_ms - CLOCKS_APART_MS
    while True:
        newest: dict[int, Record] = {}
        async for record in scan(
            settings, topics.CONVERSATIONS_STATE, key=address.key, partitions=partitions, since_ms=since_ms
        ):
            newest[record.partition] = record
        heads = {number: head_of(record.value) for number, record in newest.items()}
        left = [n for n in partitions if n not in heads or ((head := heads[n]) is not None and not head.erased_at_ms)]
        if not left:
            return
        if time.monotonic() > until:
            raise Retryable(
                f"the ledger has not erased {address.tenant}:{address.conversation} within {seconds_max:g} s in "
                f"partitions {', '.join(map(str, left))}; the event is published and will be obeyed. Is the "
                "conversations service running, and is HOLDFAST_KAFKA_TENANT_TOPICS the same here and there? Run this "
                "again for the proof"
            )
        await asyncio.sleep(LOOK_SECONDS)


async def _probes(
    settings: KafkaSettings,
    publisher: Publisher,
    address: Address,
    partitions: Collection[int],
    agent: str,
    seconds_max: float,
) -> dict[int, Probe]:
    """By partition, what became of a customer's message that was published there."""
    sent = {f"erase-probe-{uuid4()}": number for number in partitions}
    probes: dict[int, Probe] = {}
    async with TopicReader(settings, [topics.TURNS_CLOSED], start="end") as reader:
        for event_id, number in sent.items():
            message = posted(address, agent, PROBE_TEXT, event_id=event_id)
            await publisher.publish([(address, message)], partition=number)
        until = time.monotonic() + seconds_max
        while time.monotonic() < until:
            for seen in await reader.read():
                probes |= {sent[probe.event_id]: probe for probe in _ended(seen) if probe.event_id in sent}
            if len(probes) == len(sent):
                return probes
    missing = sorted(set(sent.values()) - probes.keys())
    raise Retryable(
        f"the messages that were to be refused had no outcome within {seconds_max:g} s in partitions "
        f"{', '.join(map(str, missing))}; run this again"
    )


def _ended(seen: Seen) -> list[Probe]:
    """How the turn that was *seen* to close ended for each message that it covers."""
    body = seen.event.data
    if not isinstance(body, TurnClosed):
        return []
    return [Probe(event_id, body.turn.id, body.outcome, body.reason) for event_id in body.covers]


async def _bar_letters(settings: KafkaSettings, address: Address, erased_at_ms: int) -> None:
    key, headers = erasure_mark(address, erased_at_ms)
    async with producer(settings) as writing:
        await writing.send_and_wait(settings.namespace + topics.DEAD_LETTERS, None, key=key, headers=list(headers))


async def _settled_survey(settings: KafkaSettings, address: Address, seconds_max: float) -> Survey:
    """What topics hold once the observer, which follows the closed turns, has forgotten the conversation too."""
    until = time.monotonic() + seconds_max
    survey = await survey_of(settings, address)
    while survey.remembering_observers and time.monotonic() < until:
        await asyncio.sleep(LOOK_SECONDS)
        survey = await survey_of(settings, address)
    return survey
