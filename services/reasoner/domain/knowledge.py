"""
What a reply may assert: the playbook's facts and the conversation's variables, numbered; the customer's statements
are not facts.

All facts are offered when they are few, and then stand in the part of the prompt that never changes. Of many, those are
chosen whose words the turn uses, the rarer the word the more it counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.reasoner.domain.ranking import all_fit, index, ranked, within
from shared.events.turns import FactRecord
from shared.playbook.model import Fact, Playbook, Term
from shared.text.english import mostly_english
from shared.text.terms import terms

FACTS_ALL_MAX = 40
FACTS_CHOSEN_MAX = 20
FACTS_CHARS_MAX = 6_000
TERMS_ALL_MAX = 12
TERMS_CHOSEN_MAX = 8
TERMS_CHARS_MAX = 2_000
VARIABLES_MAX = 20
VARIABLES_CHARS_MAX = 2_000

LANGUAGE_TEXTS_MAX = 500

PLAYBOOK = "playbook"
VARIABLE = "variable"
RETRIEVER = "retriever:"
"""Of a document that a retriever found; its id follows."""


class Knowledge:
    """The facts and the glossary of one playbook version, indexed by word; made once a version."""

    def __init__(self, playbook: Playbook) -> None:
        self.facts = tuple(sorted(playbook.facts, key=lambda fact: fact.id))
        self.terms = tuple(sorted(playbook.glossary, key=lambda term: term.term))
        self.all_facts = all_fit([fact.text for fact in self.facts], FACTS_ALL_MAX, FACTS_CHARS_MAX)
        self.all_terms = all_fit([_wording(term) for term in self.terms], TERMS_ALL_MAX, TERMS_CHARS_MAX)
        self.english = mostly_english(_language_shown(playbook))
        """Whether words in Latin letters are English ones."""
        self._facts_by_word = index([fact.text for fact in self.facts], english=self.english)
        names = [" ".join((term.term, *term.synonyms)) for term in self.terms]
        self._terms_by_word = index(names, english=self.english)

    def relevant_facts(self, words: Iterable[str]) -> tuple[Fact, ...]:
        """The facts to offer, by id: all when few, else those that share the weightiest *words* (terms)."""
        if self.all_facts:
            return self.facts
        order = ranked(self._facts_by_word, words, len(self.facts))
        chosen = within(order, [fact.text for fact in self.facts], FACTS_CHOSEN_MAX, FACTS_CHARS_MAX)
        return tuple(self.facts[place] for place in sorted(chosen))

    def relevant_terms(self, words: Iterable[str]) -> tuple[Term, ...]:
        """The glossary's terms to explain: all when few, else those that *words* (terms) mention."""
        if self.all_terms:
            return self.terms
        order = ranked(self._terms_by_word, words, len(self.terms))
        chosen = within(order, [_wording(term) for term in self.terms], TERMS_CHOSEN_MAX, TERMS_CHARS_MAX)
        return tuple(self.terms[place] for place in sorted(chosen))


@dataclass(frozen=True, slots=True)
class Offered:
    """The facts of one turn, in the order of their numbers: `F1` is the first."""

    records: tuple[FactRecord, ...]

    def by_number(self) -> dict[str, FactRecord]:
        """`F1` … → the fact."""
        return {f"F{place}": record for place, record in enumerate(self.records, start=1)}


def offered(knowledge: Knowledge, variables: Mapping[str, str], words: Sequence[str]) -> Offered:
    """
    The facts of a turn whose messages and guidelines consist of *words* (terms): the playbook's first, then the
    variables.
    """
    facts = tuple(FactRecord(id=fact.id, text=fact.text, source=PLAYBOOK) for fact in knowledge.relevant_facts(words))
    return Offered((*facts, *_of_variables(variables, words, english=knowledge.english)))


def turn_words(texts: Iterable[str], *, english: bool = True) -> list[str]:
    """The different terms of *texts*, in order of first appearance; *english* as in `shared.text.terms`."""
    return list(dict.fromkeys(word for text in texts for word in terms(text, english=english)))


def _of_variables(variables: Mapping[str, str], words: Sequence[str], *, english: bool) -> tuple[FactRecord, ...]:
    names = sorted(variables)
    texts = [f"{name}: {variables[name]}" for name in names]
    if all_fit(texts, VARIABLES_MAX, VARIABLES_CHARS_MAX):
        chosen: Iterable[int] = range(len(names))
    else:
        order = ranked(index(texts, english=english), words, len(texts))
        order += [place for place in range(len(texts)) if place not in set(order)]
        chosen = sorted(within(order, texts, VARIABLES_MAX, VARIABLES_CHARS_MAX))
    return tuple(FactRecord(id=f"variable.{names[place]}", text=texts[place], source=VARIABLE) for place in chosen)


def _language_shown(playbook: Playbook) -> list[str]:
    """Texts that show in which language *playbook* is written."""
    texts = [guideline.condition for guideline in playbook.guidelines[:LANGUAGE_TEXTS_MAX]]
    return [*texts, *(fact.text for fact in playbook.facts[:LANGUAGE_TEXTS_MAX])]


def _wording(term: Term) -> str:
    return f"{term.term} {term.meaning} {' '.join(term.synonyms)}"
