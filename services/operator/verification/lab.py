"""
Do the measured rates come back as set? The whole pipeline on a rehearsal model that errs at known rates, and the
verifier on a scripted one.

What a rehearsed draft claims is right if and only if it is a fact's own sentence (with or without a lead-in), so the
truth is known without a verifier.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from services.operator.adapters.drive import Pace, playing
from services.operator.adapters.publisher import Publisher
from services.operator.adapters.stack import Broker, StackPlan, running
from services.operator.adapters.watch import Exchange, Watch
from services.operator.domain.dialogues import Dialogue, Line, read_dialogues
from services.operator.hazard.survival import Share
from services.operator.settings import OperatorSettings
from services.operator.verification.drafts import Domain, Label
from services.operator.verification.measures import Rates, measured
from services.operator.verification.result import ClaimResult, Result, Sent
from services.operator.verification.runner import Plan, plays
from services.operator.verification.scripted import Rates as SetRates
from services.operator.verification.scripted import scripted_rules
from services.operator.verification.session import verify
from shared.events.claims import Correction, Judge
from shared.events.turns import ClaimVerdict, Draft
from shared.llm.rehearsal.rules_draft import LEAD_IN
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.playbook.loading import load
from shared.playbook.model import Variant
from shared.text.plain import folded

SAMPLES = Path(str(files("services.operator"))) / "samples"
TENANT = "lab"
ROUNDING = 1e-9
ASKED_REASONS = frozenset({"words_stand_in_quote"})
"""Verdicts of code on an answer of the model: it was asked, and could have raised a false alarm."""
FILLERS = ("Could you tell me more?",)
"""What the rehearsal model writes in the place of a segment for which it finds no fact."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A measured rate, and the rate that was set; it agrees where its 95 % interval holds the set one."""

    name: str
    set: float
    measured: Share | None

    @property
    def agrees(self) -> bool:
        """Whether what was set lies within the interval; where nothing was at risk there is nothing to disagree."""
        if self.measured is None:
            return True
        return self.measured.low - ROUNDING <= self.set <= self.measured.high + ROUNDING


@dataclass(frozen=True, slots=True)
class Trial:
    """
    One setting of the rates. `unexplained` are wrong claims that left though no answer of the model let them pass.
    """

    name: str
    rates: Rates
    expected: tuple[Expected, ...]
    unexplained: int

    @property
    def holds(self) -> bool:
        """Whether every rate agrees, and nothing left that the model was not set to miss."""
        return not self.unexplained and all(one.agrees for one in self.expected)


async def rehearsed(
    settings: OperatorSettings, *, hallucination: float, miss: float, false_alarm: float, turns: int, broker: Broker
) -> Trial:
    """
    The whole pipeline in mode `correct`, *turns* messages, on a rehearsal model that errs so.

    A wrong claim that the model is set to miss may still fall to one of its false alarms: r = 1 - miss·(1 - alarm).
    """
    plan = StackPlan(
        folder=Path(settings.operator.folder) / "lab",
        tenant=TENANT,
        playbook=load(SAMPLES / "bank.yaml").playbook,
        broker=broker,
        rehearsal={
            "hallucination_rate": hallucination,
            "verifier_miss_rate": miss,
            "verifier_false_alarm_rate": false_alarm,
        },
        environ={"HOLDFAST_TELEMETRY_LOG_LEVEL": "warning"},
        ready_seconds_max=settings.operator.ready_seconds_max,
    )
    async with (
        running(plan, settings.kafka) as stack,
        Publisher(stack.kafka) as publisher,
        Watch(stack.kafka, tenant=TENANT) as watch,
        playing(_dialogues(turns), tenant=TENANT, agent="bank", pace=Pace(), publisher=publisher, watch=watch) as task,
    ):
        while not task.done():
            await asyncio.wait({task}, timeout=1.0)
            stack.check()
            watch.check()
        task.result()
        results = [result for exchange in watch.exchanges.values() if (result := rehearsal_result(exchange))]
    rates = measured(results)
    expected = (
        Expected("E", hallucination, rates.errors),
        Expected("r where the model was asked", 1 - miss * (1 - false_alarm), rates.model_catches),
        Expected("f where the model was asked", false_alarm, rates.model_alarms),
    )
    name = f"rehearsal: hallucination {hallucination:.0%}, miss {miss:.0%}, false alarm {false_alarm:.0%}"
    return Trial(name, rates, expected, _unexplained(results))


async def scripted(
    settings: OperatorSettings, domains: Sequence[Domain], *, miss: float, false_alarm: float, seed: int, broker: Broker
) -> Trial:
    """The verifier alone on the labelled drafts, with a model that knows the labels and is wrong so."""
    found: list[Result] = []
    plan = Plan("lab", (Variant.TWO_STEP,))
    rules = scripted_rules(domains, SetRates(miss, false_alarm, seed))
    async with RehearsalServer(RehearsalSettings(), rules=rules) as server:
        await verify(settings, plays(domains, plan, {}), plan, found.append, broker=broker, model_url=server.url)
    rates = measured(found)
    expected = (
        Expected("r where the model decided", 1 - miss, rates.model_catches),
        Expected("f where the model decided", false_alarm, rates.model_alarms),
    )
    name = f"scripted: miss {miss:.0%}, false alarm {false_alarm:.0%}"
    return Trial(name, rates, expected, _unexplained(found))


def rehearsal_result(exchange: Exchange) -> Result | None:
    """What verification made of the rehearsed draft behind *exchange*; None where there was no draft to verify."""
    closed = exchange.closed
    if closed.draft is None or closed.verification is None:
        return None
    left = exchange.response is not None and not closed.fallback
    reply = exchange.response.text if exchange.response is not None and left else ""
    facts = frozenset(_bare(fact.text) for fact in closed.draft.facts)
    verdicts = closed.verification.claims
    mended = _is_mended(closed.draft, verdicts, reply, facts)
    spent = closed.verification.spent
    return Result(
        fingerprint=closed.turn.id,
        repeat=1,
        variant=Variant.TWO_STEP,
        domain=closed.turn.agent,
        draft=closed.turn.epoch,
        claims=tuple(_claim(claim, facts, left=left, mended=mended) for claim in verdicts),
        left=left,
        reason=closed.reason,
        calls=spent.calls,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        model=spent.model,
        reply=reply,
    )


def _claim(claim: ClaimVerdict, facts: frozenset[str], *, left: bool, mended: bool) -> ClaimResult:
    wrong = _bare(claim.text) not in facts
    sent: Sent = "withheld"
    if left and claim.correction is Correction.DROPPED:
        sent = "dropped"
    elif left:
        kept = claim.correction is Correction.NONE
        sent = "wrong" if (wrong if kept else not mended) else "right"
    return ClaimResult(
        label=Label.INVENTED_POLICY if wrong else Label.SUPPORTED,
        wrong=wrong,
        verdict=claim.draft_verdict,
        judge=Judge.MODEL if claim.reason in ASKED_REASONS else claim.judge,
        reason=claim.reason,
        correction=claim.correction,
        sent=sent,
    )


def _is_mended(draft: Draft, verdicts: Sequence[ClaimVerdict], reply: str, facts: frozenset[str]) -> bool:
    """Whether all that verification wrote into *reply* are facts, or ask instead of stating."""
    changed = {claim.text for claim in verdicts if claim.correction is not Correction.NONE}
    for segment in draft.segments:
        if segment.text not in changed:
            reply = reply.replace(segment.text, "\n", 1)
    for filler in FILLERS:
        reply = reply.replace(filler, "\n")
    written = _bare(" ".join(reply.split()))
    for fact in sorted(facts, key=len, reverse=True):
        written = written.replace(_bare(LEAD_IN) + " " + fact, "").replace(fact, "")
    return not written.strip(" .,")


def _bare(text: str) -> str:
    return folded(text.removeprefix(LEAD_IN)).strip(" .,")


def _unexplained(results: Sequence[Result]) -> int:
    """Wrong claims that left and were not passed by the model."""
    return sum(
        claim.sent == "wrong" and not (claim.by_model and not claim.flagged)
        for result in results
        for claim in result.claims
    )


def _dialogues(turns: int) -> list[Dialogue]:
    """*turns* conversations of one message, each worded a little differently."""
    rows = (SAMPLES / "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [line.text for dialogue in read_dialogues(rows) for line in dialogue.lines]
    return [
        Dialogue(f"l-{number}", (), (Line(f"{texts[number % len(texts)]} ({number})", 0.0),)) for number in range(turns)
    ]
