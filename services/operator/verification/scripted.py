"""
A verifier model that knows the labels and is wrong at known rates: it proves that the rates come back as measured, and
says nothing about any model.

It answers a question by the fact that the question belongs to, and a question that no fact of the domain owns (that
behind an invention) truthfully with `not_in_facts`. It compares claims by their labels. A wrong claim is missed, and a
right one alarmed about, by a hash of its text and the seed: the same claims in every variant, in every call.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.operator.verification.drafts import Domain, Draft, Label, Said
from shared.llm.rehearsal.rules import Rule, Situation

NO_FACT = "none"
_WORDS = {
    Label.CONTRADICTED_NUMBER: "contradicted",
    Label.WRONG_ENTITY: "contradicted",
    Label.UNSUPPORTED_PROMISE: "unsupported",
    Label.INVENTED_POLICY: "unsupported",
}
_SHARES = 1 << 32


@dataclass(frozen=True, slots=True)
class Rates:
    """How often the scripted verifier is wrong: of the wrong claims put to it and of the right ones."""

    miss: float = 0.0
    false_alarm: float = 0.0
    seed: int = 0


def missed(said: Said, rates: Rates) -> bool:
    """Whether the scripted verifier takes the wrong claim *said* for right, wherever it is asked about it."""
    return _share("miss", said.text, rates.seed) < rates.miss


def alarmed(said: Said, rates: Rates) -> bool:
    """Whether the scripted verifier takes the right claim *said* for wrong, where it compares claims."""
    return _share("alarm", said.text, rates.seed) < rates.false_alarm


def scripted_rules(domains: Sequence[Domain], rates: Rates) -> dict[str, Rule]:
    """Rules for the rehearsal model's server, by the labels of *domains*."""
    script = _Script(domains, rates)
    return {
        "blind_answers_v2": script.answers,
        "cross_check_v2": script.comparisons,
        "edit_segments_v1": script.edits,
    }


class _Script:
    def __init__(self, domains: Sequence[Domain], rates: Rates) -> None:
        self._rates = rates
        self._claims: dict[str, Said] = {}
        self._shown: list[tuple[Draft, list[tuple[str, str]]]] = []
        self._facts_of: dict[str, set[str]] = {}
        self._inventions: dict[str, Said] = {}
        for domain in domains:
            self._read(domain)

    def _read(self, domain: Domain) -> None:
        for fact in domain.facts.values():
            self._facts_of.setdefault(fact.question, set()).add(fact.text)
        for draft in domain.drafts:
            texts = [(said.text, _question(said, domain)) for said in draft.says]
            self._shown.append((draft, texts))
            for said in draft.says:
                if said.label is not None:
                    self._claims[said.text] = said
                if said.asked:
                    self._inventions[said.asked] = said
                    self._facts_of.setdefault(said.asked, set()).update(domain.facts[name].text for name in said.by)

    def answers(self, situation: Situation) -> dict[str, Any]:
        """The answer to `blind_answers_v2`."""
        facts = situation.sections.get("facts", [])
        answers = [self._answer(entry, facts) for entry in situation.sections.get("questions", [])]
        return {"answers": answers, "guidelines": self._guidelines(situation)}

    def comparisons(self, situation: Situation) -> dict[str, Any]:
        """The answer to `cross_check_v2`."""
        claims = [
            {"claim": entry["claim"], "evidence": entry["quote"], "verdict": self._verdict(entry["text"])}
            for entry in situation.sections.get("claims", [])
        ]
        return {"claims": claims, "guidelines": self._guidelines(situation)}

    @staticmethod
    def edits(situation: Situation) -> dict[str, Any]:
        """The answer to `edit_segments_v1`: what was verified, word for word, or else the likeliest fact."""
        facts = situation.sections["facts"]
        return {"segments": [_edited(entry, facts) for entry in situation.sections["segments"]]}

    def _answer(self, entry: Mapping[str, str], facts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        known = self._facts_of.get(entry["text"], set())
        invention = self._inventions.get(entry["text"])
        fact = next((fact for fact in facts if fact["text"] in known), None)
        if fact is None and not known:
            # Code asks in its own words where a question gives its answer away.
            fact = max(facts, key=lambda one: _overlap(entry["text"], one["text"]), default=None)
        if fact is None or (invention is not None and invention.is_wrong and not missed(invention, self._rates)):
            nothing = {"fact": NO_FACT, "quote": "", "answer": "", "status": "not_in_facts"}
            return {"question": entry["question"], **nothing}
        found = {"fact": fact["id"], "quote": fact["text"], "answer": fact["text"], "status": "answered"}
        return {"question": entry["question"], **found}

    def _verdict(self, text: str) -> str:
        said = self._claims.get(text)
        if said is None:
            return "supported"  # what an edit wrote is a fact's own words
        if said.is_wrong and said.label is not None:
            return "supported" if missed(said, self._rates) else _WORDS[said.label]
        return "unsupported" if alarmed(said, self._rates) else "supported"

    def _guidelines(self, situation: Situation) -> list[dict[str, Any]]:
        """Performed, unless the draft that the reply shows most of omits it."""
        asked = situation.sections.get("guidelines", [])
        reply = situation.sections.get("reply", {}).get("text", "")
        draft, _ = max(self._shown, key=lambda one: _shown_in(reply, one[1]))
        word, evidence = ("not_performed", "") if draft.omits else ("performed", reply)
        return [{"guideline": entry["guideline"], "evidence": evidence, "verdict": word} for entry in asked]


def _question(said: Said, domain: Domain) -> str:
    """The open question behind *said*; of a segment that states nothing, its text."""
    return said.asked or (domain.facts[said.by[0]].question if said.by else said.text)


def _shown_in(reply: str, texts: Sequence[tuple[str, str]]) -> float:
    """How much of *texts* the reply shows, each by itself or masked by its question: their share, then their number."""
    shown = sum(text in reply or question in reply for text, question in texts)
    return shown / len(texts) + shown / 1_000


def _edited(entry: Mapping[str, str], facts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    fact = max(facts, key=lambda one: _overlap(entry["verified"] or entry["text"], one["text"]))
    return {
        "segment": entry["segment"],
        "kind": "claim",
        "claim_kind": "fact",
        "fact_ids": [fact["id"]],
        "value": "",
        "open_question": "",
        "text": fact["text"],
    }


def _overlap(text: str, other: str) -> int:
    return len(set(text.lower().split()) & set(other.lower().split()))


def _share(use: str, text: str, seed: int) -> float:
    digest = hashlib.sha256(f"{use}\x1f{seed}\x1f{text}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / _SHARES
