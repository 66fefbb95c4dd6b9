"""
The transcript of a conversation, as far back as a turn may see it.

A message is kept as the JSON of its `Utterance`, the very bytes that go into `turns.opened` and into the changelog:
it is encoded once, when it is posted, and copied from then on.
"""

from dataclasses import dataclass
from typing import NamedTuple

from shared.events.turns import Utterance
from shared.playbook.model import Limits

CHARS_A_TOKEN = 4
_NO_SEQUENCE = -1


class Entry(NamedTuple):
    """A message: its place in the platform's numbering (-1 without one), about how many tokens it has, its JSON."""

    sequence: int
    tokens: int
    utterance: bytes

    def encode(self) -> bytes:
        """One line, without a line break: JSON escapes control characters."""
        return b"%d\t%d\t%b" % self

    @classmethod
    def decode(cls, line: bytes) -> "Entry":
        """
        The inverse of `encode`.

        Raises:
            ValueError: *line* is no entry.

        """
        sequence, tokens, utterance = line.split(b"\t", 2)
        return cls(int(sequence), int(tokens), utterance)


def entry_of(utterance: Utterance, sequence: int | None = None) -> Entry:
    """*utterance* as it is kept."""
    return Entry(
        _NO_SEQUENCE if sequence is None else sequence,
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


@dataclass(frozen=True, slots=True)
class Transcript:
    """The newest messages, oldest first, and how many lie before them."""

    entries: tuple[Entry, ...] = ()
    omitted: int = 0

    def with_entry(self, entry: Entry, window: Window) -> "Transcript":
        """
        The transcript with *entry* in its place, cut to *window*.

        The place is before the first message with a higher sequence. A straggler from before everything that is kept
        goes to the end: first place would cut it off again, and a turn must see the messages that it answers.
        """
        at = len(self.entries)
        if entry.sequence != _NO_SEQUENCE:
            at = next((i for i, other in enumerate(self.entries) if other.sequence > entry.sequence), at)
        if at == 0 and self.omitted:
            at = len(self.entries)
        return Transcript((*self.entries[:at], entry, *self.entries[at:]), self.omitted).within(window)

    def within(self, window: Window) -> "Transcript":
        """The newest messages that fit *window*; the very newest always does."""
        kept, tokens, size = 0, 0, 0
        for entry in reversed(self.entries):
            tokens += entry.tokens
            size += len(entry.utterance)
            if kept and (kept >= window.messages or tokens > window.tokens or size > window.size_bytes):
                break
            kept += 1
        dropped = len(self.entries) - kept
        return Transcript(self.entries[dropped:], self.omitted + dropped) if dropped else self
