"""
How the rehearsal model drafts: it repeats the guidelines, picks the facts that share words with the customer's
question, and makes one claim of each.

Data sections that it reads: `agent` (`always_write`), the facts' sections ({id, text}), `guidelines`
(`follow`: {guideline, text}; `principles`: texts), `now` (`messages`: {by, text}). Per claim, in
`hallucination_rate` of all cases, it states another number than its fact, or adds something that no fact says, half
each.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from shared.llm.rehearsal.lexicon import numbers, sentences, similarity, terms
from shared.llm.rehearsal.rules import Rule, Situation

CLAIMS_MAX = 3
FACT_SECTIONS: Final = ("facts", "conversation_facts", "documents", "approved_texts")
WEIGHT_OF_GUIDELINES = 0.5
SCORE_MIN = 1.0
SCORE_SHARE_MIN = 0.6
"""Of the best fact's score that another fact must reach to be stated too."""
PARAPHRASED_SHARE = 0.5
LEAD_IN = "In your case, "
INVENTIONS: Final = (
    "and on public holidays for gold members",
    "with a voucher for every new customer",
    "unless a branch manager decides otherwise",
)
NOTHING_FITS = "Could you tell me a little more about what you need?"
ACKNOWLEDGEMENTS: Final = frozenset({"ok", "okay", "k", "fine", "alright"})
# What a guideline's words ask for, and what is then said; none of it states anything.
_PHRASES: Final = (
    ("sorry", "I am sorry for the trouble."),
    ("greet", "Hello, and welcome!"),
    ("welcome", "You are welcome."),
    ("goodbye", "Goodbye, and take care."),
)
_ASK = "Ask the customer for "
_OPENING = "Thank you for your question."


def draft_arq(situation: Situation) -> dict[str, Any]:
    """The answer to `draft_arq_v1`."""
    chosen = _chosen(situation)
    follow = guidelines_in(situation).get("follow", [])
    return {
        "customer_asks": asked_in(situation)[:200],
        "guidelines": [{"guideline": entry["guideline"], "text": entry["text"]} for entry in follow],
        "facts_needed": [fact["id"] for fact in chosen],
        "insights": [],
        **_conclusion(situation, chosen),
    }


def draft_cot(situation: Situation) -> dict[str, Any]:
    """The answer to `draft_cot_v1`."""
    chosen = _chosen(situation)
    told = ", ".join(fact["id"] for fact in chosen) or "no fact"
    return {"reasoning": f"The question is answered by {told}.", **_conclusion(situation, chosen)}


def draft_direct(situation: Situation) -> dict[str, Any]:
    """The answer to `draft_direct_v1`."""
    return _conclusion(situation, _chosen(situation))


def _conclusion(situation: Situation, chosen: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    phrases = _phrases(situation)
    if not chosen and not phrases and asked_in(situation).strip(" .!").lower() in ACKNOWLEDGEMENTS:
        return {"decision": "stay_silent", "segments": []}
    asked = _questions(situation)
    if chosen and not phrases:
        phrases = [_OPENING]
    segments = [_segment("social", text) for text in phrases]
    segments += [_claim(situation, fact) for fact in chosen]
    segments += [_segment("question", text) for text in asked]
    if not chosen and not asked and (not phrases or phrases == [_PHRASES[0][1]]):
        segments.append(_segment("question", NOTHING_FITS))
    always = situation.sections.get("agent", {}).get("always_write", [])
    segments += [_segment("social", f"{text[:1].upper()}{text[1:]}.") for text in always]
    for entry in guidelines_in(situation).get("follow", []):
        action = action_of(entry["text"])
        max(segments, key=lambda said: similarity(action, said["text"]))["performs"].append(entry["guideline"])
    return {"decision": "reply", "segments": segments}


def _claim(situation: Situation, fact: Mapping[str, str]) -> dict[str, Any]:
    text = _sentence(fact["text"])
    found = numbers(text)
    value = found[0] if found else ""
    if situation.chance(situation.settings.hallucination_rate):
        text, value = _hallucinated(situation, text, value)
    elif found and situation.chance(PARAPHRASED_SHARE):
        text = LEAD_IN + text[:1].lower() + text[1:]
    kind = "number" if value else "fact"
    return _segment("claim", text, claim_kind=kind, fact_ids=[fact["id"]], value=value)


def _hallucinated(situation: Situation, text: str, value: str) -> tuple[str, str]:
    """*text* with another number, or with something that its fact does not say."""
    if value and value in text and situation.chance(0.5):
        whole, _, fraction = value.partition(".")
        other = f"{int(whole) + situation.random.randint(1, 9)}{'.' if fraction else ''}{fraction}"
        return text.replace(value, other, 1), other
    return f"{text.rstrip('.')}, {situation.random.choice(INVENTIONS)}.", value


def _segment(kind: str, text: str, **fields: Any) -> dict[str, Any]:
    return {
        "performs": [],
        "kind": kind,
        "claim_kind": "other",
        "fact_ids": [],
        "value": "",
        "open_question": "",
        "text": text,
    } | fields


def _sentence(text: str) -> str:
    """A fact as a sentence of a reply."""
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _chosen(situation: Situation) -> list[Mapping[str, str]]:
    """The facts that share the most words with the question and the guidelines' actions, best first."""
    asked = set(terms(asked_in(situation)))
    guided = {term for entry in guidelines_in(situation).get("follow", []) for term in terms(action_of(entry["text"]))}
    scored = [(_score(fact["text"], asked, guided), fact) for fact in facts_in(situation)]
    best = max((score for score, _ in scored), default=0.0)
    if best < SCORE_MIN:
        return []
    enough = max(SCORE_MIN, best * SCORE_SHARE_MIN)
    ranked = sorted((entry for entry in scored if entry[0] >= enough), key=lambda entry: -entry[0])
    return [fact for _, fact in ranked[:CLAIMS_MAX]]


def _score(text: str, asked: set[str], guided: Iterable[str]) -> float:
    own = set(terms(text))
    return len(own & asked) + WEIGHT_OF_GUIDELINES * len(own.intersection(guided) - asked)


def _questions(situation: Situation) -> list[str]:
    """What the guidelines say to ask for, asked."""
    actions = [action_of(entry["text"]) for entry in guidelines_in(situation).get("follow", [])]
    wanted = [action.removeprefix(_ASK).split(", which is needed")[0] for action in actions if action.startswith(_ASK)]
    return [f"Could you tell me {text}?" for text in wanted]


def _phrases(situation: Situation) -> list[str]:
    guidelines = guidelines_in(situation)
    asked = [action_of(entry["text"]) for entry in guidelines.get("follow", [])]
    asked += [action_of(text) for text in guidelines.get("principles", [])]
    words = " ".join(asked).lower()
    return [phrase for word, phrase in _PHRASES if word in words]


def action_of(text: str) -> str:
    """What a guideline asks for, without its condition."""
    return text.partition(" -> ")[2] or text


def facts_in(situation: Situation) -> list[Mapping[str, str]]:
    """Everything that the prompt allows to be stated."""
    return [fact for name in FACT_SECTIONS for fact in situation.sections.get(name, [])]


def guidelines_in(situation: Situation) -> Mapping[str, Any]:
    """The guidelines that the prompt shows."""
    found = situation.sections.get("guidelines", {})
    return found if isinstance(found, Mapping) else {}


def asked_in(situation: Situation) -> str:
    """What the customer wrote now."""
    messages = situation.sections.get("now", {}).get("messages", [])
    return " ".join(sentence for message in messages for sentence in sentences(message["text"]))


RULES: Final[Mapping[str, Rule]] = {
    "draft_arq_v1": draft_arq,
    "draft_cot_v1": draft_cot,
    "draft_direct_v1": draft_direct,
}
