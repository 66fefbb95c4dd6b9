"""
The transcript of a conversation, as far back as a turn may see it.

A message is kept as the JSON of its `Utterance`, the very bytes that go into `turns.opened` and into the changelog:
it is encoded once, when it is posted, and copied from then on.
"""

from typing import NamedTuple

from shared.events.turns import Utterance
from shared.playbook.model import Limits

CHARS_A_TOKEN = 4
NO_SEQUENCE = -1


class Entry(NamedTuple):
    """A message: its place in the platform's numbering (-1 without one), about how many tokens it has, its JSON."""

    sequence: int
    tokens: int
    utterance: bytes


def entry_of(utterance: Utterance, sequence: int | None = None) -> Entry:
    """*utterance* as it is kept."""
    return Entry(
        NO_SEQUENCE if sequence is None else sequence,
        -(-len(utterance.text) // CHARS_A_TOKEN),
        utterance.model_dump_json().encode(),
    )


class Window(NamedTuple):
    """How much of a transcript a turn may see."""

    messages: int
    tokens: int
    size_bytes: int

    @classmethod
    def of(cls, limits: Limits, size_bytes: int) -> "Window":
        """The window of a playbook, of at most *size_bytes*."""
        return cls(limits.window_messages, limits.window_tokens, size_bytes)


class Transcript(NamedTuple):
    """The newest messages, oldest first, how many lie before them, and the sums over them that a window limits."""

    entries: tuple[Entry, ...] = ()
    omitted: int = 0
    tokens: int = 0
    size_bytes: int = 0

    def with_entry(self, entry: Entry, window: Window) -> "Transcript":
        """
        The transcript with *entry* in its place, cut to *window*.

        The place is before the first message with a higher sequence. A straggler from before everything that is kept
        goes to the end: first place would cut it off again, and a turn must see the messages that it answers.
        """
        entries = self.entries
        at = len(entries)
        if entry.sequence != NO_SEQUENCE:
            at = next((i for i, other in enumerate(entries) if other.sequence > entry.sequence), at)
            at = len(entries) if at == 0 and self.omitted else at
        grown = Transcript(
            (*entries[:at], entry, *entries[at:]),
            self.omitted,
            self.tokens + entry.tokens,
            self.size_bytes + len(entry.utterance),
        )
        return grown.within(window)

    def within(self, window: Window) -> "Transcript":
        """The newest messages that fit *window*; the very newest always does."""
        count, tokens, size_bytes = len(self.entries), self.tokens, self.size_bytes
        dropped = 0
        while dropped < count - 1 and (
            count - dropped > window.messages or tokens > window.tokens or size_bytes > window.size_bytes
        ):
            tokens -= self.entries[dropped].tokens
            size_bytes -= len(self.entries[dropped].utterance)
            dropped += 1
        if not dropped:
            return self
        return Transcript(self.entries[dropped:], self.omitted + dropped, tokens, size_bytes)


def transcript_of(entries: tuple[Entry, ...], omitted: int) -> Transcript:
    """*entries* with the sums over them."""
    tokens, size_bytes = sum(entry.tokens for entry in entries), sum(len(entry.utterance) for entry in entries)
    return Transcript(entries, omitted, tokens, size_bytes)


EMPTY = Transcript()
