"""
Whether a text says that something was done or will be done for the customer: "I have refunded", "has been cancelled".

Such a statement needs the event of a tool behind it, whatever kind its segment claims to be of. English only: what
does not read as English (see `language`) goes to the model, whatever its segment claims to be. A scan with a short look
back, no pattern.
"""

from dataclasses import dataclass
from typing import Final

from shared.text.english import stem
from shared.text.words import words

LOOK_BACK_WORDS = 4
_PERFORMED = """
    refunded reimbursed credited charged paid transferred waived cancelled canceled booked reserved ordered scheduled
    rescheduled sent issued shipped submitted approved granted guaranteed confirmed processed registered enrolled
    updated changed blocked unblocked unlocked locked activated deactivated reset deleted removed closed opened
    raised lowered extended escalated reported filed notified replaced
"""
_PROMISED = "refund reimburse send pay block unblock transfer cancel waive credit book order issue approve grant"
_DEEDS: Final = frozenset(stem(word) for word in (_PERFORMED + _PROMISED).split())
_DOERS: Final = frozenset({"i", "we", "i've", "we've", "i'll", "we'll", "i'm", "we're"})
_DONE: Final = frozenset({"been"})
_MOMENTARY: Final = frozenset({"will", "have", "has", "been", "are", "just", "now"})
_HYPOTHETICAL: Final = frozenset(
    {"can", "could", "cannot", "can't", "may", "might", "would", "help", "how", "if", "when", "to", "once", "until"}
)


@dataclass(frozen=True, slots=True)
class Deed:
    """
    Something that the business says it did or will do. `habitual` is what it does as a rule ("we refund within 5
    days"), which a fact may say as well.
    """

    stem: str
    habitual: bool


def deeds(text: str) -> list[Deed]:
    """What *text* states that the business did, does or will do."""
    said = words(text)
    found = []
    for place, word in enumerate(said):
        if stem(word) in _DEEDS:
            before = said[max(0, place - LOOK_BACK_WORDS) : place]
            if (_DOERS | _DONE).intersection(before) and _HYPOTHETICAL.isdisjoint(before):
                habitual = not word.endswith("ed") and "we" in before and _MOMENTARY.isdisjoint(before)
                found.append(Deed(stem(word), habitual))
    return found


def commits(text: str) -> bool:
    """Whether *text* states that the business did, or will do, something."""
    return bool(deeds(text))
