"""
Conditions that no message names, however true they are: retrieval by words or meaning cannot find them.

A condition names a matter (a card, a refund) or it does not: `the customer asks a question`, `you are about to say no`,
`the customer is upset`, `always`. Whether one of the second sort holds shows in how something is said, or in what the
agent does next, so similarity to the messages says nothing about it, and such guidelines are always asked about.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from shared.text.english import content_set, stem
from shared.text.words import words

COMMON_SHARE = 0.2
"""A word in more than this share of a playbook's conditions tells none of them apart."""
COMMON_MIN = 5
"""In fewer conditions than this, no word is common."""

# The conversation itself, who takes part in it and how they feel: what can be said of any conversation about anything.
_CONVERSATION = """
    again agent always answer anger angry annoyed annoyance anxious any anything apologize apologise ask assistant
    assistance attitude begin beginning bot bye chat client complain complaint confirm confused confusion continue
    conversation customer dialogue disappointed discuss emotion emotional end ending engage enquire enquiry every
    everything express expression face feel feeling fine frustrate frustrated frustration good goodbye greet greeting
    happen happy hear hello help hi human impatient inquire inquiry insult interact interaction issue know language
    likely listen message mention mood need never new notice offend person polite positive problem provide query
    question refer regard reply request respond response rude sad satisfied say seem sentiment show something someone
    speak start state stress stressed talk tell thank thanks thing tone topic try understand unhappy unsure upset urgent
    use user visitor voice want welcome wish word worried worry write
"""
CONVERSATION: Final = frozenset(map(stem, _CONVERSATION.split()))
_AGENT: Final = (("you",), ("your",), ("the", "agent"), ("agent",), ("the", "assistant"), ("assistant",))
"""How a condition begins whose subject is the agent."""


def unspoken(conditions: Sequence[str]) -> list[int]:
    """The places of those of *conditions* that name no matter, or speak of what the agent does."""
    common = _common(conditions)
    return [
        place
        for place, condition in enumerate(conditions)
        if _names_nothing(condition, common) or _is_agents(condition)
    ]


def _names_nothing(condition: str, common: frozenset[str]) -> bool:
    return content_set(condition) <= (CONVERSATION | common)


def _is_agents(condition: str) -> bool:
    begun = words(condition)
    return any(begun[: len(subject)] == subject for subject in _AGENT)


def _common(conditions: Sequence[str]) -> frozenset[str]:
    counts = Counter(word for condition in conditions for word in content_set(condition))
    least = max(COMMON_MIN, COMMON_SHARE * len(conditions))
    return frozenset(word for word, count in counts.items() if count > least)
