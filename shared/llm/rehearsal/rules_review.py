"""
How the rehearsal model reviews guidelines: by the words that give a kind away, and by the polarity of two actions.

Data sections that it reads: `guidelines` ({id, when, do}), `pairs` ({pair, first, second}, each {when, do}).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from shared.llm.rehearsal.rules import Rule, Situation
from shared.text.english import content_set, negations

RESTATED_WORDS_MAX = 10
SHARE_NEEDED = 0.5

_INTENTION: Final = re.compile(
    r"^(?:when |if )?(?:you|the agent|the assistant)\b(?! are likely to encounter)", re.IGNORECASE
)
_LASTING: Final = re.compile(
    r"\b(?:tone|language|politely|formal\w*|friendly|polite|concise|brief|simple|clear|emoji\w*|always|never|throughout|"
    r"style|jargon|patient\w*|empath\w*|address them)\b",
    re.IGNORECASE,
)
_ASKING: Final = re.compile(
    r"\b(?:ask (?:them|the (?:customer|user)|for|whether|which|what|how|if)|request|have them|step.by.step|"
    r"let them choose|confirm with)\b",
    re.IGNORECASE,
)


def classify(situation: Situation) -> dict[str, Any]:
    """The answer to `classify_guidelines_v1`."""
    return {"guidelines": [_classified(one) for one in situation.sections["guidelines"]]}


def compare(situation: Situation) -> dict[str, Any]:
    """The answer to `compare_guidelines_v1`: contradictory where alike conditions ask the same and its negation."""
    return {"pairs": [_compared(one) for one in situation.sections["pairs"]]}


def _classified(guideline: Mapping[str, Any]) -> dict[str, Any]:
    when, do = guideline["when"], guideline["do"]
    found = {
        "agent_intention": _quote(_INTENTION, when),
        "continuous": _quote(_LASTING, do),
        "customer_dependent": _quote(_ASKING, do),
    }
    return {
        "guideline": guideline["id"],
        "condition": _restated(when),
        "agent_is_about_to": found["agent_intention"],
        "action": _restated(do),
        "goes_on_for_ever": found["continuous"],
        "customer_has_to_give": found["customer_dependent"],
        "verdict": [kind for kind in ("continuous", "customer_dependent", "agent_intention") if found[kind]],
    }


def _compared(pair: Mapping[str, Any]) -> dict[str, Any]:
    first, second = pair["first"], pair["second"]
    together = _share(first["when"], second["when"]) >= SHARE_NEEDED
    turned = (negations(first["do"]) > 0) != (negations(second["do"]) > 0)
    opposite = together and turned and _share(first["do"], second["do"]) >= SHARE_NEEDED
    return {
        "pair": pair["pair"],
        "both_apply_when": _restated(first["when"]) if together else "",
        "first_asks": _restated(first["do"]),
        "second_asks": _restated(second["do"]),
        "evidence": "one asks for what the other rules out" if opposite else "",
        "verdict": "contradict" if opposite else "compatible" if together else "never_together",
    }


def _share(one: str, other: str) -> float:
    first, second = content_set(one), content_set(other)
    smaller = min(len(first), len(second))
    return len(first & second) / smaller if smaller else 0.0


def _quote(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[0] if found else ""


def _restated(text: str) -> str:
    return " ".join(text.split()[:RESTATED_WORDS_MAX])


RULES: Final[Mapping[str, Rule]] = {"classify_guidelines_v1": classify, "compare_guidelines_v1": compare}
