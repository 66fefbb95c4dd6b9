"""
How the rehearsal model verifies: it looks questions up in the facts by their words, compares claims with quotes by
words and numbers, and writes failing segments anew by repeating a fact.

Data sections that it reads: `facts` ({id, text}), `questions` ({question, text}), `claims` ({claim, text, question,
answer, quote}), `guidelines` ({guideline, text}), `reply` (`text`), `segments` ({segment, text, verified}). In
`verifier_miss_rate` of all cases it takes a claim that it found wrong for supported; in `verifier_false_alarm_rate` it
does not find the fact that answers a question.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.llm.rehearsal.lexicon import best_match, numbers, overlap, sentences, similarity, terms
from shared.llm.rehearsal.rules import Rule, Situation

ANSWERED_SHARE_MIN = 0.5
"""Of a question's words that a fact must have to answer it."""
NOVEL_TERMS_MAX = 1
"""Words that a supported claim may have beyond the other source's."""
PERFORMED_SIMILARITY_MIN = 0.15
REWRITE_SHARE_MIN = 0.3
NO_FACT = "none"
# Words of the neutral question that say nothing about its subject.
_FRAME: Final = frozenset(terms("what do the facts say about this matter"))


def blind_answers(situation: Situation) -> dict[str, Any]:
    """The answer to `blind_answers_v2`."""
    facts = situation.sections.get("facts", [])
    answers = [_answer(situation, entry, facts) for entry in situation.sections.get("questions", [])]
    return {"answers": answers, "guidelines": _guidelines(situation)}


def cross_check(situation: Situation) -> dict[str, Any]:
    """The answer to `cross_check_v2`."""
    return {
        "claims": [_compare(situation, claim) for claim in situation.sections.get("claims", [])],
        "guidelines": _guidelines(situation),
    }


def edit_segments(situation: Situation) -> dict[str, Any]:
    """The answer to `edit_segments_v1`."""
    facts = situation.sections.get("facts", [])
    return {"segments": [_rewrite(entry, facts) for entry in situation.sections.get("segments", [])]}


def _guidelines(situation: Situation) -> list[dict[str, Any]]:
    reply = situation.sections.get("reply", {}).get("text", "")
    return [_adherence(entry, reply) for entry in situation.sections.get("guidelines", [])]


def _answer(situation: Situation, entry: Mapping[str, str], facts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    asked = set(terms(entry["text"])) - _FRAME
    shares = [(overlap(asked, terms(fact["text"])), fact) for fact in facts]
    share, fact = max(shares, key=lambda scored: scored[0], default=(0.0, {}))
    if share < ANSWERED_SHARE_MIN or situation.chance(situation.settings.verifier_false_alarm_rate):
        return {
            "question": entry["question"],
            "fact": NO_FACT,
            "quote": "",
            "answer": "",
            "status": "not_in_facts",
        }
    return {
        "question": entry["question"],
        "fact": fact["id"],
        "quote": fact["text"],
        "answer": fact["text"],
        "status": "answered",
    }


def _compare(situation: Situation, claim: Mapping[str, str]) -> dict[str, Any]:
    source = f"{claim['quote']} {claim['answer']} {claim['question']}"
    told = iter([*numbers(claim["quote"]), *numbers(claim["question"])])
    if not all(number in told for number in numbers(claim["text"])):
        verdict = "contradicted"
    elif len(set(terms(claim["text"])) - set(terms(source))) <= NOVEL_TERMS_MAX:
        verdict = "supported"
    else:
        verdict = "unsupported"
    if verdict != "supported" and situation.chance(situation.settings.verifier_miss_rate):
        verdict = "supported"
    return {"claim": claim["claim"], "evidence": claim["quote"], "verdict": verdict}


def _adherence(entry: Mapping[str, str], reply: str) -> dict[str, Any]:
    """Words show that something was done; that something was not done they do not, so `partly` is the worst verdict."""
    action = entry["text"].partition(" -> ")[2]
    best = max(sentences(reply), key=lambda sentence: similarity(action, sentence), default="")
    if best and similarity(action, best) >= PERFORMED_SIMILARITY_MIN:
        return {"guideline": entry["guideline"], "evidence": best, "verdict": "performed"}
    return {"guideline": entry["guideline"], "evidence": "", "verdict": "partly"}


def _rewrite(entry: Mapping[str, str], facts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    place, share = best_match(entry["verified"] or entry["text"], [fact["text"] for fact in facts])
    if share >= REWRITE_SHARE_MIN:
        fact = facts[place]
        written = {"kind": "claim", "claim_kind": "fact", "fact_ids": [fact["id"]], "text": fact["text"]}
    else:
        written = {"kind": "question", "claim_kind": "other", "fact_ids": [], "text": "Could you tell me more?"}
    return {
        "segment": entry["segment"],
        "kind": written["kind"],
        "claim_kind": written["claim_kind"],
        "fact_ids": written["fact_ids"],
        "value": "",
        "open_question": "",
        "text": written["text"],
    }


RULES: Final[Mapping[str, Rule]] = {
    "blind_answers_v2": blind_answers,
    "cross_check_v2": cross_check,
    "edit_segments_v1": edit_segments,
}
