"""The observer's counts are those of a recount of the topics, whatever befalls its processes."""

import asyncio
import random
import signal
from collections import Counter
from datetime import UTC, datetime

import httpx
import pytest
from aiokafka import TopicPartition

from services.observer.domain.buckets import position_label
from services.operator.adapters.fleet import Fleet
from shared.broker.clients import KafkaSettings, consumer, producer
from shared.broker.local import free_port_base
from shared.broker.topics import TopicsSettings, create_topics
from shared.events.claims import ClaimJudged, ClaimKind, Correction, Judge, ReasoningMode, Verdict
from shared.events.codec import decode, encode
from shared.events.envelope import Address, Envelope
from shared.events.topics import CLAIMS_JUDGED, TOPICS, TURNS_CLOSED
from shared.events.turns import Outcome, Turn, TurnClosed

PARTITIONS = 4
CONVERSATIONS = 40
READY_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05
VERDICTS = (Verdict.SUPPORTED, Verdict.SUPPORTED, Verdict.SUPPORTED, Verdict.CONTRADICTED, Verdict.UNCHECKED)

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


def claim(rng, turn_id, position, arm):
    draft = rng.choice(VERDICTS)
    mended = draft is Verdict.CONTRADICTED and rng.random() < 0.7
    return ClaimJudged(
        turn_id=turn_id,
        epoch=1,
        agent="bank",
        position=position,
        claims=20,
        kind=ClaimKind.FACT,
        draft_verdict=draft,
        final_verdict=Verdict.SUPPORTED if mended else draft,
        correction=Correction.EDITED if mended else Correction.NONE,
        judge=Judge.CODE,
        mode=ReasoningMode.ARQ,
        arm=arm,
        corrects=True,
        playbook_version="v1",
        model="m",
    )


def closed(address, number, arm, now):
    turn = Turn(
        id=f"{address.conversation}-{number}",
        tenant=address.tenant,
        conversation=address.conversation,
        epoch=number,
        agent="bank",
        playbook_version="v1",
        opened_at=now,
        deadline=now,
        arm=arm,
    )
    return TurnClosed(turn=turn, outcome=Outcome.ANSWERED, covers=("m",), response_sha256="aa", closed_at=now)


class Ledger:
    """Writes closed turns and their claims in transactions, every fourth one aborted and made again."""

    def __init__(self, settings, seed):
        self.settings = settings
        self.rng = random.Random(seed)
        self.sender = producer(settings, transactional_id=f"{settings.namespace}ledger")
        self.turns = 0

    async def write(self, turns):
        for _ in range(turns):
            self.turns += 1
            number = self.turns
            address = Address("acme", f"c{number % CONVERSATIONS}")
            records = [*self._records(address, number)]
            if number % 4 == 0:
                await self.sender.begin_transaction()
                await self._send(address, number, records)
                await self.sender.abort_transaction()
            async with self.sender.transaction():
                await self._send(address, number, records)

    def _records(self, address, number):
        now = datetime.now(UTC)
        arm = ("", "a", "b/c")[number % 3]
        bodies = [(TURNS_CLOSED, "turn.closed", closed(address, number, arm, now))]
        bodies += [
            (CLAIMS_JUDGED, "claim.judged", claim(self.rng, f"t{number}", position, arm))
            for position in range(1, self.rng.choice((2, 3, 20)) + 1)
        ]
        for index, (topic, kind, body) in enumerate(bodies):
            event = Envelope(
                id=f"{number}-{index}",
                source="/tenants/acme/conversations",
                type=kind,
                time=now,
                subject=address.conversation,
                data=body,
            )
            yield topic, *encode(event)

    async def _send(self, address, number, records):
        for topic, headers, value in records:
            await self.sender.send(
                f"{self.settings.namespace}{topic}",
                value,
                key=address.key,
                headers=list(headers),
                partition=number % CONVERSATIONS % PARTITIONS,
            )


async def recount(settings):
    """(arm, position) → [judged, failed, corrected]; outcomes by arm; conversations' turns; last offsets."""
    hazard, outcomes, offsets, turns = {}, Counter(), {}, Counter()
    reader = consumer(settings, group=None)
    await reader.start()
    for topic in (CLAIMS_JUDGED, TURNS_CLOSED):
        parts = [TopicPartition(f"{settings.namespace}{topic}", n) for n in range(PARTITIONS)]
        reader.assign(parts)
        await reader.seek_to_beginning(*parts)
        ends = await reader.end_offsets(parts)
        while any([await reader.position(part) < ends[part] for part in parts]):
            for part, records in (await reader.getmany(timeout_ms=200)).items():
                for record in records:
                    offsets.setdefault(topic, {})[str(part.partition)] = record.offset
                    body = decode(TOPICS[topic].types, record.key, record.headers, record.value).data
                    if topic == TURNS_CLOSED:
                        outcomes[body.turn.arm] += 1
                        turns[body.turn.conversation] += 1
                        continue
                    row = hazard.setdefault((body.arm, position_label(body.position)), [0, 0, 0])
                    failed = body.draft_verdict is Verdict.CONTRADICTED
                    row[0] += body.draft_verdict is not Verdict.UNCHECKED
                    row[1] += failed
                    row[2] += failed and body.final_verdict is Verdict.SUPPORTED
    await reader.stop()
    return hazard, outcomes, turns, offsets


class Observers:
    """Observer processes under test."""

    def __init__(self, settings, folder):
        environ = {
            "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "HOLDFAST_KAFKA_NAMESPACE": settings.namespace,
            "HOLDFAST_KAFKA_SESSION_TIMEOUT_SECONDS": "1.5",
            "HOLDFAST_KAFKA_HEARTBEAT_INTERVAL_SECONDS": "0.3",
            "HOLDFAST_OBSERVER_REFRESH_SECONDS": "0.1",
            "HOLDFAST_OBSERVER_COMMIT_INTERVAL_SECONDS": "0.2",
        }
        self.fleet = Fleet(folder, environ)

    async def start(self, name):
        return await self.fleet.start(name, "services.observer", HOLDFAST_OBSERVER_WEB_PORT=str(free_port_base()))

    async def get(self, member, path):
        url = f"http://127.0.0.1:{member.environ['HOLDFAST_OBSERVER_WEB_PORT']}{path}"
        async with httpx.AsyncClient(timeout=2.0) as client:
            try:
                return await client.get(url)
            except httpx.HTTPError:
                return httpx.Response(503)

    async def metrics(self, member):
        async with httpx.AsyncClient(timeout=5.0) as client:
            url = f"http://127.0.0.1:{member.environ['HOLDFAST_TELEMETRY_PORT']}/metrics"
            return (await client.get(url)).text

    async def offsets(self):
        """What all living members together say to have counted, partitions held by exactly one."""
        found, seen = {CLAIMS_JUDGED: {}, TURNS_CLOSED: {}}, []
        for member in self.fleet.members.values():
            if member.alive:
                answer = await self.get(member, "/hazard")
                if answer.status_code != 200:
                    return None
                body = answer.json()
                seen += body["partitions"]
                for topic, by_partition in body["offsets"].items():
                    found[topic] |= by_partition
        return found if sorted(seen) == list(range(PARTITIONS)) else None

    async def caught_up(self, offsets):
        """Wait until the views cover *offsets*."""
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                while await self.offsets() != offsets:
                    for member in self.fleet.fallen():
                        assert member.process.returncode == -signal.SIGKILL, member.log_tail(40)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            tails = "\n".join(member.log_tail() for member in self.fleet.members.values())
            pytest.fail(f"have {await self.offsets()}, want {offsets}\n{tails}")

    async def counts(self):
        """(arm, position) → [judged, failed, corrected] and turns by arm, summed over the members."""
        hazard, outcomes = {}, Counter()
        for member in self.fleet.members.values():
            if not member.alive:
                continue
            body = (await self.get(member, "/hazard")).json()
            for arm, total in body["windows"]["1d"].items():
                for position, row in total["positions"].items():
                    have = hazard.setdefault((arm, position), [0, 0, 0])
                    for index, name in enumerate(("at_risk", "failed", "corrected")):
                        have[index] += row[name]
            body = (await self.get(member, "/outcomes")).json()
            outcomes.update({arm: total["turns"] for arm, total in body["windows"]["1d"].items()})
        return hazard, outcomes


@pytest.fixture
async def ledger(broker_settings):
    await create_topics(broker_settings, TopicsSettings(partitions=PARTITIONS))
    ledger = Ledger(broker_settings, seed=6)
    await ledger.sender.start()
    yield ledger
    await ledger.sender.stop()


@pytest.fixture
async def observers(broker_settings, tmp_path):
    observers = Observers(broker_settings, tmp_path)
    yield observers
    for member in observers.fleet.members.values():
        member.send(signal.SIGKILL)
        await member.wait()


async def test_the_views_are_a_recount_of_what_was_committed(ledger, observers, broker_settings: KafkaSettings):
    """Aborted records do not count; the views, the projection and /metrics agree with an independent reader."""
    await ledger.write(60)
    member = await observers.start("observer")
    hazard, outcomes, turns, offsets = await recount(broker_settings)

    await observers.caught_up(offsets)

    assert await observers.counts() == (hazard, outcomes)
    for conversation, count in turns.items():
        state = (await observers.get(member, f"/conversations/acme/{conversation}")).json()
        assert state["outcomes"] == {"answered": count}
        assert state["last_turn"]["id"].startswith(f"{conversation}-")
    assert (await observers.get(member, "/conversations/acme/unknown")).status_code == 404
    assert (await observers.get(member, "/conversations/No%20Tenant/c1")).status_code == 400
    text = await observers.metrics(member)
    at_risk, failed, corrected = hazard["a", "17+"]
    labels = '{arm="a",position="17+",window="1d"}'
    assert f"holdfast_claim_hazard_at_risk{labels} {at_risk:.1f}" in text
    assert f"holdfast_claim_hazard_failed{labels} {failed:.1f}" in text
    assert f"holdfast_claim_hazard_corrected{labels} {corrected:.1f}" in text
    member.send(signal.SIGTERM)
    assert await member.wait() == 0


async def test_kills_do_not_change_the_counts(ledger, observers, broker_settings: KafkaSettings, request):
    """SIGKILL again and again while records arrive and are counted; what was counted is counted once."""
    kills = 20 if "kafka" in request.node.name else 6
    rng = random.Random(20)
    member = await observers.start("observer")
    for _ in range(kills):
        await ledger.write(15)
        await read_something(observers, member, rng)
        member.send(signal.SIGKILL)
        await member.wait()
        await member.start()
    await ledger.write(5)
    hazard, outcomes, turns, offsets = await recount(broker_settings)

    await observers.caught_up(offsets)

    assert await observers.counts() == (hazard, outcomes)
    for conversation, count in turns.items():
        assert (await observers.get(member, f"/conversations/acme/{conversation}")).json()["outcomes"] == {
            "answered": count
        }


async def test_rebalances_do_not_change_the_counts(ledger, observers, broker_settings: KafkaSettings):
    """Members join, leave and die; each partition is counted by whoever has it, from what the former one left."""
    await observers.start("one")
    await ledger.write(20)
    two = await observers.start("two")
    await ledger.write(20)
    await settled(observers, broker_settings)
    two.send(signal.SIGKILL)
    await two.wait()
    await ledger.write(20)
    await settled(observers, broker_settings)
    await two.start()
    await ledger.write(20)
    await settled(observers, broker_settings)
    observers.fleet.members["one"].send(signal.SIGTERM)
    assert await observers.fleet.members["one"].wait() == 0
    observers.fleet.members.pop("one")
    await ledger.write(20)
    await settled(observers, broker_settings)


async def settled(observers, settings):
    hazard, outcomes, _, offsets = await recount(settings)
    await observers.caught_up(offsets)
    assert await observers.counts() == (hazard, outcomes)


async def read_something(observers, member, rng):
    """Let the member come to a random point of its work: restored at the least, caught up at the most."""
    async with asyncio.timeout(READY_SECONDS_MAX):
        # The members are processes: only asking tells.
        while (await observers.get(member, "/hazard")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
    await asyncio.sleep(rng.random() * 0.6)
