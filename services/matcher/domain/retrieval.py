"""
Which guidelines to ask about when there are too many for one question: tuned for recall, because what is not asked
about cannot apply. Similarity decides only that; whether a condition holds is the model's to say.

BM25 over stems (Robertson and Zaragoza 2009; library bm25s), then whatever the found ones need to be decided rightly.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import bm25s
import numpy as np
import numpy.typing as npt

from services.matcher.domain.candidates import Candidate, Kind
from services.matcher.domain.relationships import Graph
from shared.arq.wording import content_words
from shared.events.turns import TurnOpened
from shared.playbook.references import Reference, ReferenceKind

ALL_MAX = 40
"""Up to so many candidates all are asked about."""
RETRIEVED_MAX = 24
ASKED_MAX = 48
"""With what is always asked about, and what relationships pull in."""
UNSPOKEN_MAX = 8
"""Of each kind whose conditions the customer's words do not name: what the agent is about to do, general principles."""
UNSPOKEN: Final = (Kind.INTENTION, Kind.PRINCIPLE)
ALWAYS_MAX = 12
"""Pinned ones, and those that replies lately performed."""
CONTEXT_MESSAGES = 8
CONTEXT_WEIGHT = 0.5
"""Of the messages before the new ones, and the variables: a matter is often named once and then spoken of as `it`."""

Numbers = npt.NDArray[Any]


class Retriever:
    """The candidates of a playbook version, indexed by the words of their conditions; made once a version."""

    def __init__(self, candidates: Sequence[Candidate], graph: Graph, pinned: Iterable[str]) -> None:
        self._candidates = candidates
        self._places = {candidate.id: place for place, candidate in enumerate(candidates)}
        self._graph = graph
        self._pinned = tuple(name for name in pinned if name in self._places)
        self._choices = _choices(candidates)
        self._all = np.arange(len(candidates))
        self._unspoken = [
            np.array([place for place, item in enumerate(candidates) if item.kind is kind], dtype=int)
            for kind in UNSPOKEN
        ]
        self._index = bm25s.BM25()
        # An index needs one word at least; no text has this one.
        words = [content_words(f"{item.condition} {item.note}") or ["\0"] for item in candidates]
        self._index.index(words, show_progress=False)

    def candidates(self, opened: TurnOpened) -> tuple[Candidate, ...]:
        """What to ask about in the turn, in the order of the playbook; at most `ASKED_MAX`."""
        recent = sorted(
            (name for name in opened.applied if name in self._places), key=lambda name: -opened.applied[name].epoch
        )
        always = (*self._pinned, *recent)[:ALWAYS_MAX]
        scores = self._scores_of(opened)
        chosen: dict[str, None] = {}
        pending = deque((*always, *self._best(scores, self._all, RETRIEVED_MAX, above=0)))
        unspoken = deque(name for places in self._unspoken for name in self._best(scores, places, UNSPOKEN_MAX))
        while (pending or unspoken) and len(chosen) < ASKED_MAX:
            name = (pending or unspoken).popleft()
            if name not in chosen:
                chosen[name] = None
                pending.extend(other for other in self._pulled_in(name) if other not in chosen)
        return tuple(self._candidates[place] for place in sorted(self._places[name] for name in chosen))

    def _best(self, scores: Numbers, places: Numbers, count: int, *, above: float = -1) -> list[str]:
        """The ids of the *count* best of *places*; equals in the order of the playbook."""
        order = places[np.argsort(-scores[places], kind="stable")[:count]]
        return [self._candidates[place].id for place in order if scores[place] > above]

    def _scores_of(self, opened: TurnOpened) -> Numbers:
        covered = frozenset(opened.covers)
        new = [item.text for item in opened.transcript if item.id in covered]
        before = [item.text for item in opened.transcript if item.id not in covered][-CONTEXT_MESSAGES:]
        return self._scores(new) + CONTEXT_WEIGHT * self._scores([*before, *_told(opened.variables)])

    def _scores(self, texts: Iterable[str]) -> Numbers:
        words = list(dict.fromkeys(word for text in texts for word in content_words(text)))
        if not words:
            return np.zeros(len(self._candidates), dtype=np.float32)
        scores: Numbers = self._index.get_scores(words)
        return scores

    def _pulled_in(self, name: str) -> Iterable[str]:
        """
        What has to be known for *name* to be decided: what it depends on, what outranks it, the choice it is part of.
        """
        needs, rivals = self._graph.needs.get(name), self._graph.rivals.get(name)
        targets = [target for need in (needs.all() if needs else ()) for target in need.targets]
        if rivals:
            targets += [Reference(ReferenceKind.GUIDELINE, rival) for rival in sorted(rivals.guidelines)]
            targets += rivals.others
        named = [other for target in targets for other in self._members(target)]
        return [other for other in (*named, *self._choices.get(name, ())) if other in self._places]

    def _members(self, target: Reference) -> Iterable[str]:
        match target.kind:
            case ReferenceKind.GUIDELINE | ReferenceKind.JOURNEY:
                return (str(target),)
            case _:
                return self._graph.members.get(target.name, ())


def _choices(candidates: Iterable[Candidate]) -> dict[str, tuple[str, ...]]:
    """For each head of a choice its options, and for each option the heads."""
    found: dict[str, dict[str, None]] = {}
    for candidate in candidates:
        if candidate.kind is Kind.CHOICE:
            for option in candidate.options:
                found.setdefault(candidate.id, {})[option] = None
                found.setdefault(option, {})[candidate.id] = None
    return {name: tuple(others) for name, others in found.items()}


def _told(variables: Mapping[str, str]) -> list[str]:
    return [f"{name} {value}" for name, value in sorted(variables.items())]
