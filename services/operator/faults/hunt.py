"""
The hunt for canaries: words that belong to one tenant, looked for wherever they must not be.

Each tenant has two: one that its customers write (post.py), and one that stands in its playbook. Whatever is kept in
memory (playbooks, compiled guidelines, vectors, prepared prompts) can only leave a process in a prompt, a record, a log
line, a metric or a dump, so these are what is searched.
"""

import re
from collections import Counter
from collections.abc import Iterator

from services.operator.adapters.playbooks import publishing
from services.operator.faults.post import TENANTS, canary
from services.operator.faults.records import RawRecord
from services.operator.faults.world import World
from shared.playbook.model import Fact, Playbook


def playbook_canary(tenant: str) -> str:
    """A word that only *tenant*'s playbook holds."""
    return f"playbook-canary-{tenant}-9e41a7"


def words(tenant: str) -> tuple[bytes, ...]:
    """All that is *tenant*'s alone."""
    return canary(tenant).encode(), playbook_canary(tenant).encode()


_OWNERS = {word: tenant for tenant in TENANTS for word in words(tenant)}
_ANY = re.compile(b"|".join(re.escape(word) for word in _OWNERS))


def owners(data: bytes) -> set[str]:
    """The tenants whose words stand in *data*."""
    return {_OWNERS[word] for word in _ANY.findall(data)}


def marked(playbook: Playbook, tenant: str) -> Playbook:
    """*playbook* with *tenant*'s word in what every draft is given: a fact, and the description of who answers."""
    fact = Fact(id="canary", text=f"The desk's reference is {playbook_canary(tenant)}.")
    profile = playbook.profile.model_copy(
        update={"description": f"{playbook.profile.description} Reference {playbook_canary(tenant)}.".strip()}
    )
    return playbook.model_copy(update={"facts": (*playbook.facts, fact), "profile": profile})


class PromptHunt:
    """Looks at every request to the model: one that holds two tenants' words is a leak."""

    def __init__(self) -> None:
        self.prompts = 0
        self.of: Counter[str] = Counter()
        self.mixed = 0

    def __call__(self, body: bytes) -> None:
        """Look at a request's *body*."""
        self.prompts += 1
        found = owners(body)
        self.of.update(found)
        self.mixed += len(found) > 1


class RecordHunt:
    """Looks at records as they lie on the topics, keys and headers included."""

    def __init__(self) -> None:
        self.records = 0
        self.marked: Counter[str] = Counter()
        self.topics: set[str] = set()

    def look(self, record: RawRecord) -> Iterator[str]:
        """What is wrong with *record*: it holds words of a tenant that its key does not name."""
        self.records += 1
        self.topics.add(record.topic)
        owner = record.key.partition(b":")[0].decode(errors="replace")
        headers = b"\0".join(name.encode() + b"=" + (value or b"") for name, value in record.headers)
        found = owners(b"\0".join((record.key, headers, record.value or b"")))
        if owner in found:
            self.marked[record.topic] += 1
        if owner in TENANTS:
            for other in sorted(found - {owner}):
                yield f"I4: a record of {owner} on {record.topic} holds {other}'s canary"


async def plant(world: World) -> None:
    """Look at all prompts from now on, and give each tenant a playbook with its own word in it."""
    world.model.look = PromptHunt()
    async with publishing(world.stack.kafka) as publish:
        for tenant in TENANTS:
            await publish(tenant, marked(world.playbook, tenant))


def prompts_are_of_one_tenant(world: World) -> None:
    """Judge what left for the model; a hunt that saw no tenant's words saw nothing."""
    hunt = world.model.look
    if not isinstance(hunt, PromptHunt):
        world.broken.append("nobody looked at the prompts")
        return
    if hunt.mixed:
        world.broken.append(f"I4: {hunt.mixed} prompts hold words of more than one tenant")
    if silent := [tenant for tenant in TENANTS if not hunt.of[tenant]]:
        world.broken.append(f"no prompt held a word of {', '.join(silent)}: the hunt is blind")
    seen = ", ".join(f"{tenant} {hunt.of[tenant]:,}" for tenant in TENANTS)
    world.figures["prompts"] = f"{hunt.prompts:,} ({seen}, both {hunt.mixed})"
