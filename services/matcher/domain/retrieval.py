"""
Which guidelines to ask about when there are too many for one question: tuned for recall, because what is not asked
about cannot apply. Similarity decides only that; whether a condition holds is the model's to say.

BM25 over the terms of a text, which are stems in English (Robertson and Zaragoza 2009; library bm25s), fused with the
similarity of meanings where embeddings are at hand, then what no message names, and whatever the found ones need to be
decided rightly.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bm25s
import numpy as np
import numpy.typing as npt

from services.matcher.domain.candidates import Candidate, Kind
from services.matcher.domain.relationships import Graph
from services.matcher.domain.unspoken import unspoken
from shared.arq.wording import contains_phrase
from shared.events.turns import TurnOpened
from shared.playbook.model import Term
from shared.playbook.references import Reference, ReferenceKind
from shared.text.english import mostly_english
from shared.text.terms import terms

ALL_MAX = 40
"""Up to so many candidates all are asked about."""
ASKED_MAX = 48
"""With what is always asked about, and what relationships pull in."""
ALWAYS_MAX = 12
"""Pinned ones, and those that replies lately performed."""
CONTEXT_MESSAGES = 8
CONTEXT_WEIGHT = 0.5
"""Of the messages before the new ones, and the variables: a matter is often named once and then spoken of as `it`."""
FUSION_CONSTANT = 60
"""Of reciprocal rank fusion: a rank counts 1 / (60 + rank) (Cormack, Clarke and Buettcher, SIGIR 2009)."""
LANGUAGE_TEXTS_MAX = 500
"""Conditions that show in which language a playbook is written."""
UNSPOKEN_KINDS = (Kind.INTENTION, Kind.PRINCIPLE)

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many are `retrieved` by similarity, and how many asked about although no message names them (`unspoken`)."""

    retrieved: int = 24
    unspoken: int = 16


DEFAULT = Limits()


class Retriever:
    """
    The candidates of a playbook version, indexed by the words of their conditions; made once a version.

    *limits* say how many are found; *glossary* which words mean the same.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        graph: Graph,
        pinned: Iterable[str],
        glossary: Sequence[Term] = (),
        limits: Limits = DEFAULT,
    ) -> None:
        self._candidates = candidates
        self._places = {candidate.id: place for place, candidate in enumerate(candidates)}
        self._graph = graph
        self._pinned = tuple(name for name in pinned if name in self._places)
        self._glossary = glossary
        self._limits = limits
        self._choices = _choices(candidates)
        self._all = np.arange(len(candidates))
        generic = unspoken([item.condition for item in candidates])
        declared = [place for place, item in enumerate(candidates) if item.kind in UNSPOKEN_KINDS]
        # Declared ones first: their authors know.
        always = {self._places[name] for name in self._pinned}
        unnamed = [place for place in dict.fromkeys([*declared, *generic]) if place not in always]
        self._unspoken = np.array(unnamed, dtype=int)
        self._index = bm25s.BM25()
        # An index needs one word at least; no text has this one.
        self._english = mostly_english(self.texts[:LANGUAGE_TEXTS_MAX])
        words = [terms(text, english=self._english) or ["\0"] for text in self.texts]
        self._index.index(words, show_progress=False)

    @property
    def texts(self) -> list[str]:
        """What stands for each candidate, in their order: also what is embedded."""
        return [f"{item.condition} {item.note}".strip() for item in self._candidates]

    def candidates(self, opened: TurnOpened, similarity: Numbers | None = None) -> tuple[Candidate, ...]:
        """
        What to ask about in the turn, in the order of the playbook; at most `ASKED_MAX`. *similarity* is that of the
        turn's meaning to each of `texts`.
        """
        recent = sorted(
            (name for name in opened.applied if name in self._places), key=lambda name: -opened.applied[name].epoch
        )
        always = (*self._pinned, *recent)[:ALWAYS_MAX]
        scores = self.scores(opened, similarity)
        chosen: dict[str, None] = {}
        pending = deque((*always, *self._best(scores, self._all, self._limits.retrieved, above=0)))
        unnamed = deque(self._best(scores, self._unspoken, self._limits.unspoken))
        while (pending or unnamed) and len(chosen) < ASKED_MAX:
            name = (pending or unnamed).popleft()
            if name not in chosen:
                chosen[name] = None
                pending.extend(other for other in self._pulled_in(name) if other not in chosen)
        return tuple(self._candidates[place] for place in sorted(self._places[name] for name in chosen))

    def always(self, opened: TurnOpened, similarity: Numbers | None = None) -> frozenset[str]:
        """The ids of those asked about whatever is said; for measurement."""
        unnamed = self._best(self.scores(opened, similarity), self._unspoken, self._limits.unspoken)
        return frozenset((*self._pinned[:ALWAYS_MAX], *opened.applied, *unnamed))

    def scores(self, opened: TurnOpened, similarity: Numbers | None = None) -> Numbers:
        """How near each candidate is to the turn; 0 where it shares no word with it and no *similarity* is given."""
        covered = frozenset(opened.covers)
        new = [item.text for item in opened.transcript if item.id in covered]
        before = [item.text for item in opened.transcript if item.id not in covered][-CONTEXT_MESSAGES:]
        scores = self._scores(new) + CONTEXT_WEIGHT * self._scores([*before, *_told(opened.variables)])
        return scores if similarity is None else fused(scores, similarity)

    def _best(self, scores: Numbers, places: Numbers, count: int, *, above: float = -1) -> list[str]:
        """The ids of the *count* best of *places*; equals in the order of the playbook."""
        held = scores[places]
        if above >= 0:
            places = places[held > above]
            held = scores[places]
        order = places[np.argsort(-held, kind="stable")[:count]]
        return [self._candidates[place].id for place in order]

    def _scores(self, texts: Sequence[str]) -> Numbers:
        spoken = [*texts, *self._synonyms(texts)]
        words = list(dict.fromkeys(word for text in spoken for word in terms(text, english=self._english)))
        if not words:
            return np.zeros(len(self._candidates), dtype=np.float32)
        scores: Numbers = self._index.get_scores(words)
        return scores

    def _synonyms(self, texts: Sequence[str]) -> Iterable[str]:
        """The other names of what *texts* speak of by one of its names."""
        text = "\n".join(texts)
        for term in self._glossary:
            names = (term.term, *term.synonyms)
            if term.synonyms and any(contains_phrase(text, name) for name in names):
                yield from names

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


def fused(scores: Numbers, similarity: Numbers) -> Numbers:
    """
    The reciprocal ranks of both, added up: ranks, because the two scales have nothing to do with each other. What
    shares no word (score 0) has no rank by words.
    """
    found: Numbers = 1 / (FUSION_CONSTANT + _ranks(similarity))
    return found + np.where(scores > 0, 1 / (FUSION_CONSTANT + _ranks(scores)), 0)


def _ranks(scores: Numbers) -> Numbers:
    ranks = np.empty(len(scores), dtype=np.float64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks


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
