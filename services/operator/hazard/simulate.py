"""
Answers from known processes, so that the report can be held to the truth.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from services.operator.hazard.answers import ABSENT, CORRECTIONS, RIGHT, WRONG, Answers, Booleans, Integers
from services.operator.hazard.firstfailure import Floats
from services.operator.hazard.records import AuditLabel, RecordedClaim
from shared.events.claims import ClaimKind, Correction, Judge, ReasoningMode, Verdict
from shared.events.envelope import derived_id

CLAIMS_MAX = 40
CLAIMS_MEAN = 7.0
_LENGTH_SHAPE = 3.0
ANSWERS_A_CONVERSATION_MAX = 4
HAZARD_MAX = 0.9
TENANT = "lab"


@dataclass(frozen=True, slots=True)
class Process:
    """
    How answers err, and what a verifier sees and does.

    Claim k of an answer is wrong with chance 1-(1-E)^(k^β-(k-1)^β), E being `error` in easy answers and `hard_error` in
    `hard_share` of them, multiplied by 1 + `after_error` for every earlier error of the answer. With `mending` > 0 an
    answer that erred makes no further error until, at each later claim with that chance, it takes all of them back.

    The verifier flags wrong claims with chance `catch_rate` (r) and right ones with `false_alarm_rate` (f). Where it
    corrects, a flagged claim that was wrong is right afterwards with chance `repair_rate` (rho), and one that was right
    is wrong afterwards with `damage_rate` (d). Half of the conversations are corrected if `two_arms`.
    """

    name: str
    error: float
    beta: float = 1.0
    hard_share: float = 0.0
    hard_error: float = 0.0
    after_error: float = 0.0
    mending: float = 0.0
    catch_rate: float = 1.0
    false_alarm_rate: float = 0.0
    repair_rate: float = 1.0
    damage_rate: float = 0.0
    two_arms: bool = False

    @property
    def flagged_share(self) -> float:
        """Of claims, where the error share is `error`."""
        return self.error * self.catch_rate + (1 - self.error) * self.false_alarm_rate

    @property
    def residual(self) -> float:
        """E' = E·(1-r·rho) + (1-E)·f·d: wrong claims after correction, where the error share is `error`."""
        left = self.error * (1 - self.catch_rate * self.repair_rate)
        return left + (1 - self.error) * self.false_alarm_rate * self.damage_rate


PROCESSES: dict[str, Process] = {
    process.name: process
    for process in (
        Process("constant", error=0.03),
        # 8 % at the first claim, 3 % a claim on average.
        Process("falling", error=0.08, beta=0.6),
        Process("rising", error=0.03, after_error=2.0),
        Process("mixed", error=0.01, hard_share=0.25, hard_error=0.12),
        Process(
            "correcting",
            error=0.05,
            catch_rate=0.8,
            false_alarm_rate=0.03,
            repair_rate=0.9,
            damage_rate=0.1,
            two_arms=True,
        ),
        Process("recovering", error=0.05, mending=0.4, two_arms=True),
    )
}


@dataclass(frozen=True, slots=True)
class Simulated:
    """Answers (A) of up to K claims: what is true, flagged and sent (A×K), and the conversation and arm of each."""

    process: Process
    wrong: Booleans
    flagged: Booleans
    sent_wrong: Booleans
    claims: Integers
    conversation: Integers
    corrected: Booleans

    @property
    def inside(self) -> Booleans:
        """Which of the K places hold a claim."""
        return np.asarray(np.arange(1, self.wrong.shape[1] + 1) <= self.claims[:, None])


def simulate(process: Process, answers: int, rng: np.random.Generator) -> Simulated:
    """*answers* answers of *process*."""
    claims = _lengths(answers, rng)
    conversation = _conversations(answers, rng)
    corrected = (rng.random(int(conversation[-1]) + 1) < 0.5)[conversation] & process.two_arms  # noqa: PLR2004  (half)
    width = int(claims.max())
    inside = np.arange(1, width + 1) <= claims[:, None]
    wrong, taken_back = _errors(process, claims, width, rng)
    flag_chance = np.where(wrong, process.catch_rate, process.false_alarm_rate)
    flagged = (rng.random(wrong.shape) < flag_chance) & inside
    after = np.where(
        wrong, rng.random(wrong.shape) >= process.repair_rate, rng.random(wrong.shape) < process.damage_rate
    )
    mended = wrong & ~taken_back if process.mending else np.where(flagged, after, wrong)
    sent_wrong = np.where(corrected[:, None], mended, wrong) & inside
    return Simulated(process, wrong & inside, flagged, sent_wrong, claims, conversation, corrected)


def to_answers(simulated: Simulated) -> Answers:
    """What `assemble(to_records(…))` gives, without the records."""
    inside = simulated.inside
    draft = np.where(inside, np.where(simulated.flagged, WRONG, RIGHT), ABSENT).astype(np.int8)
    sees_wrong = _seen_as_sent(simulated)
    sent = np.where(inside & sees_wrong, WRONG, np.where(inside, RIGHT, ABSENT)).astype(np.int8)
    mends = simulated.flagged & simulated.corrected[:, None] & ~sees_wrong
    way = np.where(mends, CORRECTIONS.index(Correction.EDITED), CORRECTIONS.index(Correction.NONE))
    names = sorted({_arm_of(simulated, bool(corrected)) for corrected in np.unique(simulated.corrected)})
    of_answer = [names.index(_arm_of(simulated, bool(corrected))) for corrected in simulated.corrected]
    return Answers(
        draft=draft,
        sent=np.where(simulated.corrected[:, None], sent, draft).astype(np.int8),
        correction=np.where(inside, way, -1).astype(np.int8),
        claims=simulated.claims,
        cluster=simulated.conversation,
        arm=np.array(of_answer, dtype=np.int64),
        arms=tuple(names),
        corrects=tuple(name == "corrected" for name in names),
        turns=tuple(_turn(simulated, row) for row in range(len(simulated.claims))),
    )


def to_records(simulated: Simulated) -> Iterator[RecordedClaim]:
    """As `claim.judged` records."""
    sees_wrong = _seen_as_sent(simulated)
    for row, count in enumerate(simulated.claims):
        turn, corrects = _turn(simulated, row), bool(simulated.corrected[row])
        for place in range(count):
            flagged, still = bool(simulated.flagged[row, place]), bool(sees_wrong[row, place])
            draft = Verdict.UNSUPPORTED if flagged else Verdict.SUPPORTED
            yield RecordedClaim(
                id=derived_id(turn, place + 1),
                tenant=TENANT,
                conversation=f"{simulated.process.name}-{simulated.conversation[row]:07}",
                turn_id=turn,
                epoch=1,
                agent="simulated",
                position=place + 1,
                claims=int(count),
                kind=ClaimKind.FACT,
                draft_verdict=draft,
                final_verdict=(Verdict.UNSUPPORTED if still else Verdict.SUPPORTED) if corrects else draft,
                correction=Correction.EDITED if corrects and flagged and not still else Correction.NONE,
                judge=Judge.MODEL,
                mode=ReasoningMode.ARQ,
                arm=_arm_of(simulated, corrects),
                corrects=corrects,
                playbook_version="simulated",
                model="simulated",
            )


def to_labels(simulated: Simulated, rng: np.random.Generator, *, share: float) -> Iterator[AuditLabel]:
    """The truth about a random *share* of the answers, and about as large a share of the other flagged claims."""
    drawn = rng.random(len(simulated.claims)) < share
    picked = rng.random(simulated.flagged.shape) < share
    for row in range(len(simulated.claims)):
        for place in range(simulated.claims[row]):
            if drawn[row] or (simulated.flagged[row, place] and picked[row, place]):
                yield AuditLabel(
                    turn_id=_turn(simulated, row),
                    position=place + 1,
                    draft_wrong=bool(simulated.wrong[row, place]),
                    final_wrong=bool(simulated.sent_wrong[row, place]),
                    sample="random" if drawn[row] else "flagged",
                )


def _lengths(answers: int, rng: np.random.Generator) -> Integers:
    mean = rng.gamma(_LENGTH_SHAPE, (CLAIMS_MEAN - 1) / _LENGTH_SHAPE, size=answers)
    return np.asarray(np.minimum(1 + rng.poisson(mean), CLAIMS_MAX), dtype=np.int64)


def _conversations(answers: int, rng: np.random.Generator) -> Integers:
    sizes = rng.integers(1, ANSWERS_A_CONVERSATION_MAX + 1, size=answers)
    return np.asarray(np.repeat(np.arange(answers), sizes)[:answers], dtype=np.int64)


def _errors(process: Process, claims: Integers, width: int, rng: np.random.Generator) -> tuple[Booleans, Booleans]:
    """Which claims are wrong as drafted, and which of them are taken back before the answer's end."""
    answers = len(claims)
    k = np.arange(1, width + 1, dtype=np.float64)
    increment = k**process.beta - (k - 1) ** process.beta
    hard = rng.random(answers) < process.hard_share
    log_right: Floats = np.log1p(-np.where(hard, process.hard_error, process.error))
    wrong = np.zeros((answers, width), dtype=bool)
    taken_back = np.zeros_like(wrong)
    for place in range(width):
        inside = claims > place
        standing = wrong[:, :place] & ~taken_back[:, :place]
        hazard = -np.expm1(log_right * increment[place]) * (1 + process.after_error * wrong[:, :place].sum(axis=1))
        if process.mending:
            erring = standing.any(axis=1)
            mends = erring & inside & (rng.random(answers) < process.mending)
            taken_back[mends, :place] |= wrong[mends, :place]
            hazard = np.where(erring, 0.0, hazard)
        wrong[:, place] = inside & (rng.random(answers) < np.minimum(hazard, HAZARD_MAX))
    return wrong, taken_back


def _seen_as_sent(simulated: Simulated) -> Booleans:
    """What the verifier still finds wrong in what was sent: nothing that it corrected, except where mending is late."""
    if simulated.process.mending:
        return simulated.sent_wrong
    return simulated.flagged & ~simulated.corrected[:, None]


def _arm_of(simulated: Simulated, corrects: bool) -> str:
    return "corrected" if corrects else "recorded only" if simulated.process.two_arms else simulated.process.name


def _turn(simulated: Simulated, row: int) -> str:
    return f"{simulated.process.name}-{row:07}"
