"""
What verification made of one labelled draft.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from services.operator.evaluation.kept import Kept
from services.operator.verification.drafts import Domain, Draft, Label, Said
from shared.events.claims import Correction, Judge, Verdict
from shared.events.turns import ClaimVerdict, FinishResult, TurnFinished
from shared.playbook.model import Criticality, Variant

FLAGGED = frozenset({Verdict.CONTRADICTED, Verdict.PARTIAL, Verdict.UNSUPPORTED})
NOT_PERFORMED = "guideline_not_performed"
BY_MODEL_REASONS = frozenset({"not_in_facts"})
"""Verdicts that code passes on what a model answered: the model decided them."""

Sent = Literal["right", "wrong", "dropped", "withheld"]


class ClaimResult(BaseModel):
    """
    One labelled claim. `by_model` says that a model's answer decided its verdict; `sent` is what left in its place.
    """

    model_config = ConfigDict(frozen=True)

    label: Label
    wrong: bool
    verdict: Verdict
    judge: Judge
    reason: str
    correction: Correction
    sent: Sent

    @property
    def flagged(self) -> bool:
        """Whether verification took the draft's claim for wrong."""
        return self.verdict in FLAGGED

    @property
    def by_model(self) -> bool:
        """Whether a model's answer decided."""
        return self.judge in {Judge.MODEL, Judge.VOTE} or self.reason in BY_MODEL_REASONS


class Result(Kept):
    """
    One draft verified once. `failure` says why there is no verdict at all: the model gave no usable answer in time.
    `at_stake` says that a guideline of high criticality was to be performed, `omitted` that it was not.
    """

    variant: Variant
    domain: str
    draft: int
    claims: tuple[ClaimResult, ...] = ()
    at_stake: bool = False
    omitted: bool = False
    left: bool = False
    reason: str = ""
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    seconds: float = 0.0
    reply: str = ""
    failure: str = ""

    @property
    def is_final(self) -> bool:
        """Whether there is a verdict, so that it need not be asked for again."""
        return not self.failure

    @property
    def is_all_right(self) -> bool:
        """Whether the draft has no wrong claim and omits nothing."""
        return not self.omitted and not any(claim.wrong for claim in self.claims)


def judged(domain: Domain, draft: Draft, finished: TurnFinished) -> dict[str, object]:
    """The fields of a `Result` that tell what *finished* made of *draft*."""
    verification = finished.verification
    if verification is None or finished.reason.startswith(("model_", "verify_")):
        return {"failure": finished.reason or str(finished.result)}
    by_text = {claim.text: claim for claim in verification.claims}
    left = finished.result is FinishResult.VERIFIED
    changed = _changed(draft.says, by_text, finished.text) if left else ""
    claims = tuple(
        _claim(said, by_text[said.text], changed, domain, left=left)
        for said in draft.says
        if said.label is not None and said.text in by_text
    )
    high = {guideline.id for guideline in domain.guidelines if guideline.criticality is Criticality.HIGH}
    return {
        "claims": claims,
        "at_stake": bool(high & {*draft.follows}),
        "omitted": bool(draft.omits),
        "left": left,
        "reason": finished.reason,
        "calls": verification.spent.calls,
        "input_tokens": verification.spent.input_tokens,
        "output_tokens": verification.spent.output_tokens,
        "model": verification.spent.model,
        "reply": finished.text,
    }


def _claim(said: Said, claim: ClaimVerdict, changed: str, domain: Domain, *, left: bool) -> ClaimResult:
    if said.label is None:
        raise ValueError(f"{said.text!r} is no claim")
    return ClaimResult(
        label=said.label,
        wrong=said.is_wrong,
        verdict=claim.draft_verdict,
        judge=claim.judge,
        reason=claim.reason,
        correction=claim.correction,
        sent=_sent(said, claim, changed, domain) if left else "withheld",
    )


def _sent(said: Said, claim: ClaimVerdict, changed: str, domain: Domain) -> Sent:
    if claim.correction is Correction.NONE:
        return "wrong" if said.is_wrong else "right"
    if claim.correction is Correction.DROPPED:
        return "dropped"
    still = said.is_wrong and said.wrong.casefold() in changed.casefold()
    known = {number for fact in domain.facts.values() for number in _numbers(fact.text)}
    return "wrong" if still or not known.issuperset(_numbers(changed)) else "right"


def _changed(says: Sequence[Said], by_text: dict[str, ClaimVerdict], reply: str) -> str:
    """What of *reply* was written by verification: all but the segments that it kept, which stay byte for byte."""
    for said in says:
        claim = by_text.get(said.text)
        if claim is None or claim.correction is Correction.NONE:
            reply = reply.replace(said.text, "\n", 1)
    return reply


def _numbers(text: str) -> list[str]:
    """Words of *text* with a digit, without what may be written one way or another."""
    plain = "".join(char for char in text if char.isalnum() or char in ".:-" or char.isspace())
    return [word.strip(".:-").casefold() for word in plain.split() if any(char.isdigit() for char in word)]


def by_variant(results: Iterable[Result]) -> dict[Variant, list[Result]]:
    """*results* in the order of the variants, those without a verdict left out."""
    known = [result for result in results if result.is_final]
    found = {variant: [result for result in known if result.variant is variant] for variant in Variant}
    return {variant: own for variant, own in found.items() if own}
