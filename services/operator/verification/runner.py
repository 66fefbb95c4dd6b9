"""
Verifying labelled drafts: `turn.drafted` for a running verifier, and the `turn.finished` that comes back.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.operator.adapters.playbooks import publishing
from services.operator.evaluation.desk import Desk, open_desk
from services.operator.verification.drafts import Domain, Draft, Said
from services.operator.verification.result import Result, judged
from shared.broker.clients import KafkaSettings
from shared.events.claims import ReasoningMode
from shared.events.conversation import Author
from shared.events.envelope import Address, derived_id
from shared.events.turns import (
    Draft as DraftRecord,
)
from shared.events.turns import (
    FactRecord,
    Matching,
    Segment,
    Turn,
    TurnDrafted,
    TurnFinished,
    TurnOpened,
    Utterance,
)
from shared.playbook.model import Playbook, Variant
from shared.playbook.topic import Published

TENANT = "verification"
NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class Play:
    """One draft to be verified in *variant* for the *repeat*-th time; *number* is its place in the domain."""

    domain: Domain
    number: int
    variant: Variant
    repeat: int
    fingerprint: str

    @property
    def draft(self) -> Draft:
        """What is verified."""
        return self.domain.drafts[self.number]

    @property
    def agent(self) -> str:
        """Whose playbook it is verified by."""
        return f"{self.domain.domain}-{self.variant.value.replace('_', '-')}"

    @property
    def turn(self) -> str:
        """The turn's id, the same whenever it is verified again, so that recorded answers are found by it."""
        return derived_id("verification", self.fingerprint, self.repeat)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to verify, and how: *turn_seconds_max* from a turn's opening to its deadline, *open_max* at once."""

    model: str
    variants: tuple[Variant, ...] = (Variant.TWO_STEP,)
    repeats: int = 1
    open_max: int = 16
    turn_seconds_max: float = 60.0


def plays(domains: Iterable[Domain], plan: Plan, done: Mapping[tuple[str, int], Result]) -> list[Play]:
    """Every draft in every variant and repeat, but for what *done* holds a final result of."""
    found = []
    for domain in domains:
        for number, draft in enumerate(domain.drafts):
            for variant in plan.variants:
                fingerprint = _fingerprint(domain, draft, variant, plan.model)
                for repeat in range(1, plan.repeats + 1):
                    earlier = done.get((fingerprint, repeat))
                    if earlier is None or not earlier.is_final:
                        found.append(Play(domain, number, variant, repeat, fingerprint))
    return found


async def run(kafka: KafkaSettings, todo: Sequence[Play], plan: Plan, keep: Callable[[Result], None]) -> None:
    """
    Verify *todo* by the verifier that listens at *kafka*, and hand each result to *keep* when it is there.

    Raises:
        Fatal: a topic is missing, or a playbook could not be published.

    """
    places = asyncio.Semaphore(plan.open_max)
    async with publishing(kafka) as publish, open_desk(kafka, TENANT) as desk:
        versions: dict[str, asyncio.Task[Published]] = {}

        async def one(play: Play) -> None:
            async with places:
                if play.agent not in versions:
                    versions[play.agent] = group.create_task(_published(publish, play))
                keep(await _verified(desk, play, (await versions[play.agent]).version, plan.turn_seconds_max))

        try:
            async with asyncio.TaskGroup() as group:
                for play in todo:
                    group.create_task(one(play))
        except ExceptionGroup as found:
            raise found.exceptions[0] from None  # the others are its consequence, or the same


def drafted(play: Play, address: Address, version: str, now: datetime, seconds_max: float) -> TurnDrafted:
    """The record that a reasoner would have made of *play*'s draft."""
    asks = Utterance(id=f"{play.turn}-m", author=Author.CUSTOMER, text=play.draft.asks, at=now)
    turn = Turn(
        id=play.turn,
        tenant=address.tenant,
        conversation=address.conversation,
        epoch=1,
        agent=play.agent,
        playbook_version=version,
        opened_at=now,
        deadline=now + timedelta(seconds=seconds_max),
    )
    facts = [FactRecord(id=name, text=fact.text, source="playbook") for name, fact in play.domain.facts.items()]
    return TurnDrafted(
        opened=TurnOpened(turn=turn, covers=(asks.id,), transcript=(asks,)),
        matching=Matching(active=play.draft.follows),
        draft=DraftRecord(
            mode=ReasoningMode.ARQ,
            segments=tuple(_segment(said, play.domain) for said in play.draft.says),
            facts=tuple(facts),
        ),
    )


def _segment(said: Said, domain: Domain) -> Segment:
    question = said.asked or (domain.facts[said.by[0]].question if said.by else "")
    return Segment.model_validate(
        {
            "kind": said.kind,
            "text": said.text,
            "fact_ids": said.by,
            "open_question": question,
            "guideline_ids": said.does,
        }
    )


async def _published(publish: Callable[[str, Playbook], Awaitable[Published]], play: Play) -> Published:
    return await publish(TENANT, play.domain.playbook(play.agent, play.variant))


def _fingerprint(domain: Domain, draft: Draft, variant: Variant, model: str) -> str:
    """What a result belongs to: the draft's content and its domain's, the variant, and the model."""
    ground = domain.model_dump(mode="json", exclude={"drafts"})
    content = json.dumps([ground, draft.model_dump(mode="json"), variant, model], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:24]


async def _verified(desk: Desk, play: Play, version: str, seconds_max: float) -> Result:
    """The result of *play*; a failure where no verdict came in time."""
    begun = time.monotonic()
    address = Address(TENANT, f"{play.fingerprint}-{play.repeat}")
    outcome = await desk.outcome(drafted(play, address, version, datetime.now(UTC), seconds_max), seconds_max)
    found = judged(play.domain, play.draft, outcome) if isinstance(outcome, TurnFinished) else {"failure": NO_ANSWER}
    return Result.model_validate(
        {
            "fingerprint": play.fingerprint,
            "repeat": play.repeat,
            "variant": play.variant,
            "domain": play.domain.domain,
            "draft": play.number + 1,
            "seconds": round(time.monotonic() - begun, 3),
            **found,
        }
    )
