"""
Faults in what the platform publishes, and changes while the load runs.
"""

import asyncio
import hashlib
import signal
from collections import Counter, defaultdict
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from services.operator.adapters.fleet import Member
from services.operator.adapters.playbooks import publishing
from services.operator.adapters.reader import partitions_of
from services.operator.adapters.watch import Exchange
from services.operator.domain.timing import breakdown
from services.operator.faults import post
from services.operator.faults.hunt import plant, prompts_are_of_one_tenant
from services.operator.faults.records import raw_records
from services.operator.faults.world import Row, World
from shared.broker.clients import KafkaSettings, consumer
from shared.events import topics
from shared.events.turns import Outcome
from shared.playbook.finding import PlaybookError
from shared.playbook.model import Guideline

CHANGE_SECONDS = 4.0
REWIND_SECONDS_MAX = 30.0
REPLAY_SECONDS_MAX = 60.0
SLOW_SECONDS = 1.5
"""As a hosted model takes."""
PLACES = {"HOLDFAST_LLM_IN_FLIGHT_MAX": "24", "HOLDFAST_LLM_IN_FLIGHT_MIN": "24"}
"""With two processes a stage and `SLOW_SECONDS` an answer: 32 calls a second, less than the loud tenant asks for."""
BUDGET = {
    "HOLDFAST_CONVERSATIONS_PARTITIONS": "8",
    "HOLDFAST_CONVERSATIONS_TENANT_TURNS_PER_MINUTE": "720",
    "HOLDFAST_CONVERSATIONS_TENANT_TURNS_BURST": "24",
}
"""Of each tenant 12 turns a second: the quiet one asks for fewer, and both together leave the model places."""
LATENCY_GROWTH_MAX = 0.2
WARM_UP = 0.05
MEASURED_RATE_MAX = 50.0
"""At 100 messages a second two cores are what is waited for: calls took 8 % longer, with places free (measured)."""
PARTS_TOLD = 3
MODEL_STAGES = {
    "matcher": (topics.TURNS_OPENED,),
    "reasoner": (topics.TURNS_OPENED, topics.TURNS_MATCHED),
    "verifier": (topics.TURNS_OPENED, topics.TURNS_DRAFTED),
}


async def dead_letters_are_whole(world: World) -> None:
    """Every record that had to be refused lies in `dead.letters`, key and value byte for byte, headers kept."""
    letters: defaultdict[tuple[bytes, str], list[dict[str, bytes | None]]] = defaultdict(list)
    async for letter in raw_records(world.stack.kafka, (topics.DEAD_LETTERS,)):
        letters[letter.key, _digest(letter.value)].append(dict(letter.headers))
    refused = [one for one in world.sent if not one.expected]
    for one in refused:
        # Several where a conversation's values are alike, as two that are missing.
        found = letters.get((one.key, _digest(one.value)), [])
        if not found:
            world.broken.append(f"a refused record of {one.key!r} is not among the dead letters")
        elif not any(dict(one.headers).items() <= headers.items() for headers in found):
            world.broken.append(f"the dead letter of {one.key!r} lost headers")
    world.figures["dead letters"] = f"{sum(map(len, letters.values())):,} of {len(refused):,} refused"


async def canaries_stay_at_home(world: World) -> None:
    """No tenant's words in the other's prompts; the records, logs and metrics are judged in every row."""
    prompts_are_of_one_tenant(world)
    await dead_letters_are_whole(world)


async def slow_model(world: World) -> None:
    """Every answer takes so long that what the loud tenant asks for is more than the model's places bear."""
    world.model.wait_seconds = SLOW_SECONDS


async def latency_of_the_others(world: World) -> None:
    """
    What the tenant that sends little waits for its answers, before and after the other becomes loud; by as much as
    `LATENCY_GROWTH_MAX` the 99th percentile may grow.

    The first `WARM_UP` of its messages are left out: processes are cold then, and slower than they will be.
    """
    loud, quiet = post.TENANTS
    of = {
        tenant: [e for e in world.watch.exchanges.values() if e.closed.turn.tenant == tenant]
        for tenant in (loud, quiet)
    }
    noisy_ms = min((exchange.posted_ms for exchange in of[loud]), default=0)
    asked = sorted(of[quiet], key=lambda exchange: exchange.posted_ms)
    asked = asked[int(WARM_UP * len(asked)) :]
    if bad := [exchange for exchange in asked if exchange.closed.outcome is not Outcome.ANSWERED]:
        world.broken.append(f"{len(bad)} questions of the quiet tenant had no answer, as {bad[0].closed.reason}")
    alone = [exchange for exchange in asked if exchange.posted_ms < noisy_ms]
    beside = [exchange for exchange in asked if exchange.posted_ms >= noisy_ms]
    before, after = percentile(waited(alone), 0.99), percentile(waited(beside), 0.99)
    if after > before * (1 + LATENCY_GROWTH_MAX):
        world.broken.append(f"the quiet tenant's p99 grew from {before} to {after} ms beside the loud one")
    outcomes = Counter(f"{exchange.closed.outcome}" for exchange in of[loud])
    world.figures |= {
        "quiet tenant alone": waits(waited(alone)),
        "beside the loud one": f"{waits(waited(beside))}, p99 {after / max(before, 1) - 1:+.0%}",
        "which waits more": _grown(alone, beside),
        "the loud one's turns": ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.items())),
    }


def waited(exchanges: Sequence[Exchange]) -> list[int]:
    """How long each was waited for, milliseconds."""
    return [exchange.closed_ms - exchange.posted_ms for exchange in exchanges]


def _grown(alone: Sequence[Exchange], beside: Sequence[Exchange]) -> str:
    """The parts of the way that took longest more, by the median."""
    before = breakdown(exchange.hops() for exchange in alone)
    after = breakdown(exchange.hops() for exchange in beside)
    more = {part: spread.p50_ms - before[part].p50_ms for part, spread in after.items() if part in before}
    most = sorted(more, key=more.__getitem__, reverse=True)[:PARTS_TOLD]
    return ", ".join(f"{part} {before[part].p50_ms:g} → {after[part].p50_ms:g} ms" for part in most)


def waits(values: Sequence[int]) -> str:
    """What *values* (milliseconds) come to, in words."""
    return f"p50 {percentile(values, 0.5)} ms, p99 {percentile(values, 0.99)} ms of {len(values):,}"


async def change_playbooks(world: World) -> None:
    """A new version every few seconds, and between them one that no check lets pass."""
    published: set[str] = set()
    number = refused = 0
    playbook = world.playbook
    async with publishing(world.stack.kafka) as publish:
        while await world.wait(CHANGE_SECONDS):
            number += 1
            profile = playbook.profile.model_copy(update={"description": f"Edition {number}."})
            for tenant in post.TENANTS:
                done = await publish(tenant, playbook.model_copy(update={"profile": profile}))
                published.add(done.version)
            twice = Guideline(id="twice", condition="it is asked", action="answer")
            try:
                await publish(post.TENANTS[0], playbook.model_copy(update={"guidelines": (twice, twice)}))
            except PlaybookError:
                refused += 1
    if refused != number:
        world.broken.append(f"{number - refused} faulty playbooks were taken")
    world.figures["versions published"] = str(len(published))


async def versions_are_named(world: World) -> None:
    """Turns name the version that they were decided by, and more than one was in force."""
    named = {exchange.closed.turn.playbook_version for exchange in world.watch.exchanges.values()}
    if "" in named:
        world.broken.append("a turn names no playbook version")
    world.figures["versions used"] = str(len(named))


async def replay_everything(world: World) -> None:
    """The model stages read their topics from the beginning again; nothing new may leave."""
    before = world.watch.auditor.report()
    members = world.stack.services.members
    stages = [member for member in members.values() if member.module.rpartition(".")[2] in MODEL_STAGES]
    await asyncio.gather(*(_stopped(member) for member in stages))
    reached = await _progress(world.stack.kafka)
    for group, names in MODEL_STAGES.items():
        await _rewind(world.stack.kafka, group, names)
    await asyncio.gather(*(member.start() for member in stages))
    await _caught_up(world, reached)
    after = world.watch.auditor.report()
    if (after.responses, after.turns, after.claims) != (before.responses, before.turns, before.claims):
        world.broken.append("a replay of the stages' topics made something new leave")
    world.figures["turns replayed"] = f"{before.turns:,}"


async def _stopped(member: Member) -> None:
    member.send(signal.SIGTERM)
    await member.wait()


async def _rewind(settings: KafkaSettings, group: str, names: Sequence[str]) -> None:
    """Set the group's progress back, as soon as its static members, which leave by silence, are forgotten."""
    until = asyncio.get_running_loop().time() + REWIND_SECONDS_MAX
    async with consumer(settings, group=f"{settings.namespace}{group}", group_instance_id=None) as client:
        positions = await partitions_of(client, [settings.namespace + name for name in names])
        client.assign(positions)
        while True:
            try:
                await client.commit(dict.fromkeys(positions, 0))
            except CommitFailedError:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(1.0)
            else:
                return


Progress = dict[tuple[str, TopicPartition], int]


async def _progress(settings: KafkaSettings) -> Progress:
    """How far each group of the model stages has come, by position."""
    found: Progress = {}
    for group, names in MODEL_STAGES.items():
        async with consumer(settings, group=f"{settings.namespace}{group}", group_instance_id=None) as client:
            positions = await partitions_of(client, [settings.namespace + name for name in names])
            client.assign(positions)
            for position in positions:
                found[group, position] = await client.committed(position) or 0
    return found


async def _caught_up(world: World, reached: Progress) -> None:
    """Until every group is again where it was."""
    until = asyncio.get_running_loop().time() + REPLAY_SECONDS_MAX
    while asyncio.get_running_loop().time() < until:
        now = await _progress(world.stack.kafka)
        if all(now[position] >= offset for position, offset in reached.items()):
            return
        await asyncio.sleep(1.0)
    world.broken.append(f"the replay was not through within {REPLAY_SECONDS_MAX:g} s")


def _digest(value: bytes | None) -> str:
    return "null" if value is None else hashlib.sha256(value).hexdigest()


def percentile(values: Sequence[int], share: float) -> int:
    """The value below which *share* of them lie; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0


ROWS = (
    Row("poison", "records that cannot be read, six kinds", load=post.poisoned, judge=dead_letters_are_whole),
    Row("duplicates", "10 % twice, 1 % again with another text", load=post.duplicates, judge=dead_letters_are_whole),
    Row("reordered", "5 % in the wrong order, 5 % missing", load=post.reordered),
    Row("bursts", "three messages at once, always", load=post.bursts),
    Row("oversized", "messages of 70 to 900 KB", load=post.oversized),
    Row("hot-key", "half of all in one conversation", load=post.hot_key),
    Row(
        "hot-tenant",
        "one tenant sends ten times as much, more than the model bears",
        slow_model,
        load=post.hot_tenant,
        judge=latency_of_the_others,
        environ=BUDGET | PLACES,
        rate_max=MEASURED_RATE_MAX,
    ),
    Row(
        "canaries",
        "each tenant's own words, hunted in prompts, records, logs and metrics",
        plant,
        load=post.poisoned,
        judge=canaries_stay_at_home,
        volumes=5,
    ),
    Row("playbook-change", "a new version every 4 s, and a faulty one", change_playbooks, judge=versions_are_named),
    Row("replay", "the stages' groups set back to the beginning", judge=replay_everything, exact=False),
)
