"""
A made-up load of conversations, the same for the same seed: single questions, follow-ups, and bursts of several
messages.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BURST_SHARE = 0.15
"""Share of messages that another of the same burst follows at once: about what chat customers do."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the load: which conversation, which text, and whether the next one of the burst follows at once."""

    conversation: str
    text: str


def messages(texts: Sequence[str], *, count: int, conversations: int, seed: int) -> Iterator[Message]:
    """*count* messages over *conversations* conversations, in the order of their publication."""
    source = random.Random(seed)
    sent = 0
    while sent < count:
        conversation = f"s{seed}-{source.randrange(conversations)}"
        burst = 1
        while source.random() < BURST_SHARE:
            burst += 1
        for _ in range(min(burst, count - sent)):
            yield Message(conversation, source.choice(texts))
        sent += min(burst, count - sent)
