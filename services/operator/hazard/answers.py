"""
Claim records → answers: per turn the ordered claims, each right, wrong or not judged, as drafted and as sent.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from services.operator.hazard.records import RecordedClaim
from shared.events.claims import Correction, Verdict

Integers = NDArray[np.int64]
Marks = NDArray[np.int8]
Booleans = NDArray[np.bool_]

RIGHT, WRONG, UNKNOWN, ABSENT = 0, 1, -1, -2
"""What is known of a claim: `UNKNOWN` was not judged or has no record; `ABSENT` lies beyond the answer's end."""

POSITIONS_MAX = 500
"""Answers with more claims are left out and counted: the width of every array."""

_MARKS = {
    Verdict.SUPPORTED: RIGHT,
    Verdict.CONTRADICTED: WRONG,
    Verdict.PARTIAL: WRONG,
    Verdict.UNSUPPORTED: WRONG,
    Verdict.UNCHECKED: UNKNOWN,
    Verdict.OTHER: UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Records that did not count, by reason."""

    repeated: int = 0
    """the same event again"""
    conflicting: int = 0
    """another event about a claim that already has one"""
    beyond_end: int = 0
    """positions beyond the number of claims that the answer is said to have"""
    too_long: int = 0
    """of answers with more than POSITIONS_MAX claims"""
    unjudged: int = 0
    """claims without a verdict, or whose record is missing"""


@dataclass(frozen=True, slots=True)
class Answers:
    """
    Answers in arrays. A is the number of answers, K the longest answer's number of claims.

    `draft` and `sent` are A×K of RIGHT, WRONG, UNKNOWN, ABSENT; `correction` is A×K of indices into CORRECTIONS (-1
    unknown). `claims` is how many claims each answer has; `cluster` numbers the conversations, which are what is
    independent; `arm` indexes `arms`. A claim that was dropped is RIGHT in `sent`: nothing wrong was said.
    """

    draft: Marks
    sent: Marks
    correction: Marks
    claims: Integers
    cluster: Integers
    arm: Integers
    arms: tuple[str, ...]
    corrects: tuple[bool, ...]
    """of each arm: whether failures are mended"""
    turns: tuple[str, ...]
    """`turn_id` of each answer"""
    left_out: LeftOut = field(default=LeftOut())

    def __len__(self) -> int:
        return len(self.claims)

    @property
    def conversations(self) -> int:
        """How many different conversations there are."""
        return int(np.unique(self.cluster).size)

    def where(self, chosen: Booleans) -> "Answers":
        """The answers that *chosen* (A booleans) selects; clusters are numbered anew, arms keep their numbers."""
        width = int(self.claims[chosen].max(initial=0))
        _, cluster = np.unique(self.cluster[chosen], return_inverse=True)
        return replace(
            self,
            draft=self.draft[chosen, :width],
            sent=self.sent[chosen, :width],
            correction=self.correction[chosen, :width],
            claims=self.claims[chosen],
            cluster=cluster.astype(np.int64),
            arm=self.arm[chosen],
            turns=tuple(turn for turn, keep in zip(self.turns, chosen, strict=True) if keep),
        )

    def of_arm(self, name: str) -> "Answers":
        """The answers of the arm *name*."""
        return self.where(self.arm == self.arms.index(name))


CORRECTIONS: tuple[Correction, ...] = tuple(Correction)


def assemble(records: Iterable[RecordedClaim]) -> Answers:
    """
    The answers that *records* are about, in the order of their names: a topic's partitions are read in any order, and
    the same claims must give the same resamples.

    The first record of a claim counts. A claim without a record or a verdict is UNKNOWN, never right.
    """
    kept, left_out = _sorted_out(records)
    turns = sorted(kept)
    firsts = [next(iter(kept[turn].values())) for turn in turns]
    arms = _arms(firsts)
    names = list(arms.values())
    width = max((first.claims for first in firsts), default=0)
    claims = np.array([first.claims for first in firsts], dtype=np.int64)
    marks = np.where(np.arange(1, width + 1) <= claims[:, None], UNKNOWN, ABSENT).astype(np.int8)
    draft, sent, correction = marks.copy(), marks.copy(), np.full_like(marks, -1)
    for row, turn in enumerate(turns):
        for position, record in kept[turn].items():
            draft[row, position - 1], sent[row, position - 1] = _marked(record)
            correction[row, position - 1] = CORRECTIONS.index(record.correction)
    conversations: dict[tuple[str, str], int] = {}
    cluster = [conversations.setdefault((one.tenant, one.conversation), len(conversations)) for one in firsts]
    return Answers(
        draft=draft,
        sent=sent,
        correction=correction,
        claims=claims,
        cluster=np.array(cluster, dtype=np.int64),
        arm=np.array([names.index(arms[_kind(first)]) for first in firsts], dtype=np.int64),
        arms=tuple(names),
        corrects=tuple(corrects for _, _, corrects in arms),
        turns=tuple(first.turn_id for first in firsts),
        left_out=replace(left_out, unjudged=int((draft == UNKNOWN).sum())),
    )


def _sorted_out(
    records: Iterable[RecordedClaim],
) -> tuple[dict[tuple[str, str, str], dict[int, RecordedClaim]], LeftOut]:
    kept: dict[tuple[str, str, str], dict[int, RecordedClaim]] = {}
    seen: set[tuple[str, str]] = set()
    counts: defaultdict[str, int] = defaultdict(int)
    for record in records:
        if (record.tenant, record.id) in seen:
            counts["repeated"] += 1
            continue
        seen.add((record.tenant, record.id))
        if record.claims > POSITIONS_MAX:
            counts["too_long"] += 1
            continue
        turn = (record.tenant, record.conversation, record.turn_id)
        known = kept.get(turn, {})
        claims = next(iter(known.values())).claims if known else record.claims
        if record.position > claims:
            counts["beyond_end"] += 1
        elif record.position in known:
            counts["conflicting"] += 1
        else:
            kept.setdefault(turn, {})[record.position] = record
    return kept, LeftOut(**counts)


def _marked(record: RecordedClaim) -> tuple[int, int]:
    draft = _MARKS[record.draft_verdict]
    sent = RIGHT if record.correction is Correction.DROPPED else _MARKS[record.final_verdict]
    return draft, sent if record.corrects else draft


Kind = tuple[str, str, bool]


def _kind(record: RecordedClaim) -> Kind:
    return record.arm, record.mode.value, record.corrects


def _arms(firsts: Sequence[RecordedClaim]) -> dict[Kind, str]:
    """Kinds of answers → the arm's name; an arm that mixes modes is split, so that no figure mixes them."""
    kinds = sorted({_kind(first) for first in firsts})
    kinds_of: defaultdict[str, list[Kind]] = defaultdict(list)
    for kind in kinds:
        kinds_of[kind[0]].append(kind)
    return {
        kind: kind[0]
        if kind[0] and len(kinds_of[kind[0]]) == 1
        else f"{kind[0]} {kind[1]}, {'corrected' if kind[2] else 'recorded only'}".strip()
        for kind in kinds
    }
