"""
The gate: what code alone can say of a draft, in time linear in its length.

A claim passes only if every number, date, identifier, link and proper name in it stands in a fact that it cites.
Passing is not being right: a claim counts as supported by code only where it repeats whole sentences of one cited
fact; what passes otherwise is left open (`unchecked`) for the blind check. What the gate refuses stays refused,
whatever a model says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.verifier.domain.commitments import commits, deeds
from services.verifier.domain.courtesies import is_courtesy
from services.verifier.domain.names import foreign_names
from services.verifier.domain.values import TEXTS_KEPT_MAX, Value, standing_forms, stands, values_in
from shared.arq.wording import contains_phrase
from shared.events.claims import ClaimKind, Verdict
from shared.events.turns import FactRecord, Restated, Segment, SegmentKind
from shared.playbook.model import Guideline, Playbook
from shared.text.english import content_set, content_words, negations, reads_english
from shared.text.plain import squeezed
from shared.text.visible import cleaned, hidden
from shared.text.words import words

SOCIAL_WORDS_MAX = 12
"""Words of content beyond the customer's own that a greeting or regret may have before it counts as a statement."""
TOOL_PREFIX = "tool:"
_SENTENCE_ENDS: Final = ".;!?"
# Marks that end a sentence without a space: of China and Japan, India, Pakistan, Arabia, Myanmar, Cambodia, Ethiopia.
_STOPS: Final = frozenset("\u3002\uff0e\uff61\uff01\uff1f\uff1b\u0964\u0965\u06d4\u061f\u104b\u17d4\u1362")
_QUESTION_MARKS: Final = frozenset("?\u061f\u055e\u1367")


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What the gate says of a claim: `supported`, `contradicted`, `unsupported`, or `unchecked` (not for code to decide).

    `reason` is a bounded word. `restored` is the claim's text with the fact's own value put in, where that is the
    remedy.
    """

    verdict: Verdict
    reason: str
    restored: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a reply may draw on: the facts by id, the names that need no fact, and what the customer wrote."""

    facts: Mapping[str, FactRecord]
    names: frozenset[str]
    customer: str
    forbidden: tuple[str, ...] = ()


def asserts(segment: Segment, ground: Ground) -> bool:
    """
    Whether *segment* states something that needs a fact, whatever kind it says it is of: a reply cannot slip a
    claim past the checks by calling it a greeting or a question. What code cannot read may state anything.
    """
    return _states(segment, ground) or not (reads_english(segment.text) or is_courtesy(segment.text))


def _states(segment: Segment, ground: Ground) -> bool:
    if segment.kind not in {SegmentKind.SOCIAL, SegmentKind.QUESTION}:
        return True
    if segment.kind is SegmentKind.QUESTION and not _QUESTION_MARKS.intersection(squeezed(segment.text)):
        return True
    if commits(segment.text) or any(contains_phrase(segment.text, phrase) for phrase in ground.forbidden):
        return True
    stated = values_in(segment.text)
    if stated:
        known = standing_forms(ground.customer).union(*(standing_forms(fact.text) for fact in ground.facts.values()))
        if any(not stands(value, known) for value in stated):
            return True
    said = set(content_words(segment.text)) - set(content_words(ground.customer))
    return segment.kind is SegmentKind.SOCIAL and len(said) > SOCIAL_WORDS_MAX


def judge(segment: Segment, ground: Ground) -> Finding:
    """What code says of a segment that asserts something."""
    if not _states(segment, ground):
        return Finding(Verdict.UNCHECKED, "language")
    cited = [ground.facts[fact_id] for fact_id in segment.fact_ids if fact_id in ground.facts]
    if refusal := _refusal(segment, cited, ground):
        return Finding(Verdict.UNSUPPORTED, refusal)
    texts = [fact.text for fact in cited]
    if any(repeats(segment.text, text) for text in texts):
        return Finding(Verdict.SUPPORTED, "repeats_fact")
    if wrong := wrong_values(segment.text, texts):
        return _of_values(segment, wrong, texts)
    if foreign_names(segment.text, texts, ground.names):
        return Finding(Verdict.UNSUPPORTED, "foreign_name")
    return Finding(Verdict.UNCHECKED, "wording")


def _refusal(segment: Segment, cited: Sequence[FactRecord], ground: Ground) -> str:
    """Why the facts that a claim cites cannot support it, whatever it says; empty where they may."""
    if len(cited) < len(segment.fact_ids):
        return "unknown_fact"
    if not cited:
        return "no_fact"
    if any(contains_phrase(segment.text, phrase) for phrase in ground.forbidden):
        return "forbidden_phrase"
    if _is_action(segment, cited) and not any(fact.source.startswith(TOOL_PREFIX) for fact in cited):
        return "" if any(repeats(segment.text, fact.text) for fact in cited) else "no_tool_event"
    return ""


def wrong_values(text: str, facts: Iterable[str]) -> list[Value]:
    """The values of *text* that stand in none of *facts*."""
    known: frozenset[str] = frozenset().union(*(standing_forms(fact) for fact in facts))
    return [value for value in values_in(text) if not stands(value, known)]


def repeats(text: str, fact: str) -> bool:
    """
    Whether *text* says what whole sentences of *fact* say, in their words and order; function words do not count,
    but those that turn a meaning round do. Half a sentence is no repetition: what is left out may be the condition.
    """
    said = content_words(text)
    sentences = _sentences(fact)
    if not said or hidden(text) or negations(text) > negations(fact):
        return False
    if not reads_english(text) and _lined(words(text)) not in _lined(words(fact)):
        return False
    sought = _lined(said)
    parts, turned, ends, end = [], [0], {0: 0}, 0
    for number, sentence in enumerate(sentences, start=1):
        parts.append("".join(f"{word}\n" for word in content_words(sentence)))
        turned.append(turned[-1] + negations(sentence))
        end += len(parts[-1])
        ends[end] = number
    whole = "\n" + "".join(parts)
    # Only what begins and ends where sentences do is compared.
    repeated = any(
        (last := ends.get(start + len(sought) - 1)) is not None
        and whole.startswith(sought, start)
        and turned[last] - turned[first] == negations(text)
        for start, first in ends.items()
    )
    # Signs and units are no words: -5 is not 5, and 5 € not 5 %.
    return repeated and not wrong_values(text, (fact, *sentences))


def _lined(said: Iterable[str]) -> str:
    """Words one a line, so that a run of words is a part of the text."""
    return "".join(["\n", *(f"{word}\n" for word in said)])


def replaced(text: str, value: Value, literal: str) -> str:
    """*text* with *literal* in the place of *value*."""
    return text[: value.start] + literal + text[value.end :]


def source_value(wrong: Value, text: str, sources: Sequence[str]) -> str:
    """
    The one value of *wrong*'s kind in *sources* that *text* does not state already, as it is written there; empty
    where there is none or a choice.
    """
    own: frozenset[str] = frozenset().union(*(value.forms for value in values_in(text) if value != wrong))
    found = {
        value.forms: source[value.start : value.end]
        for source in map(cleaned, sources)
        for value in values_in(source)
        if value.kind is wrong.kind and value.forms.isdisjoint(own)
    }
    return next(iter(found.values())) if len(found) == 1 else ""


def reply_complaints(
    text: str, restated: Sequence[Restated], guidelines: Mapping[str, Guideline], playbook: Playbook
) -> tuple[str, ...]:
    """What is wrong with a reply as a whole, each as `rule: what`, without any of its text."""
    found = []
    if len(text) > playbook.limits.reply_chars:
        found.append(f"length: {len(text)} characters, more than {playbook.limits.reply_chars}")
    found += [
        f"forbidden_phrase: number {number}"
        for number, phrase in enumerate(playbook.phrases.forbidden, start=1)
        if contains_phrase(text, phrase)
    ]
    found += [
        f"required_phrase: number {number} is missing"
        for number, phrase in enumerate(playbook.phrases.required, start=1)
        if not contains_phrase(text, phrase)
    ]
    found += [
        f"restated: {said.guideline_id} is not repeated word for word"
        for said in restated
        if not _repeated(said, guidelines)
    ]
    return tuple(found)


def _of_values(segment: Segment, wrong: Sequence[Value], texts: Sequence[str]) -> Finding:
    kinds = {value.kind for text in texts for value in values_in(text)}
    if not any(value.kind in kinds for value in wrong):
        return Finding(Verdict.UNSUPPORTED, "foreign_value")
    restored = ""
    if len(wrong) == 1 and (literal := source_value(wrong[0], segment.text, texts)):
        restored = replaced(segment.text, wrong[0], literal)
    return Finding(Verdict.CONTRADICTED, "other_value", restored)


def _is_action(segment: Segment, cited: Sequence[FactRecord]) -> bool:
    """Whether the claim says that something was or will be done, other than what a cited fact says is the rule."""
    if segment.kind is SegmentKind.ACTION or segment.claim_kind is ClaimKind.ACTION:
        return True
    ruled: frozenset[str] = frozenset().union(*(content_set(fact.text) for fact in cited))
    return any(not (deed.habitual and deed.stem in ruled) for deed in deeds(segment.text))


def _repeated(said: Restated, guidelines: Mapping[str, Guideline]) -> bool:
    guideline = guidelines.get(said.guideline_id)
    if guideline is None:
        return False
    text = squeezed(said.text)
    return squeezed(guideline.condition).rstrip(".") in text and squeezed(guideline.action) in text


@lru_cache(maxsize=TEXTS_KEPT_MAX)
def _sentences(text: str) -> tuple[str, ...]:
    """*text* cut after each mark that ends a sentence and, where words are spaced, stands before a space or the end."""
    cut, start = [], 0
    for place, char in enumerate(text):
        ends = char in _SENTENCE_ENDS and (place + 1 == len(text) or text[place + 1].isspace())
        if ends or char in _STOPS:
            cut.append(text[start:place])
            start = place + 1
    cut.append(text[start:])
    return tuple(sentence for sentence in cut if sentence.strip())
