"""
Dead letters as an operator reads them, and what may be driven again.

A stage appends its reasons to the headers that the record came with (shared/stage/dead_letters.py), so the original's
headers are those before the last such block, byte for byte. What was driven again is remembered on `dead.letters`
itself: a receipt, written in the transaction that drives the record, so that neither a crash nor a second attempt
drives it twice. An erasure leaves a mark there too: letters of the conversation that are older are never driven again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from shared.errors import Invalid
from shared.events.codec import Headers
from shared.events.envelope import Address
from shared.events.topics import (
    DAY_MS,
    RECEIVED_FROM_TENANTS,
    TURNS_DRAFTED,
    TURNS_FINISHED,
    TURNS_MATCHED,
    TURNS_OPENED,
    shared_topic,
)
from shared.stage.base import Record
from shared.stage.quarantine import REASON

ERASURE_MEMORY_MS = 7 * DAY_MS
"""
How long the ledger is sure to know that a conversation was erased (`conversations_erasure_retention_seconds` is no
less than the topics' retention).
"""
DRIVEN_AGAIN = "x-holdfast-redriven"
"""On a record that was driven again, and alone on its receipt: the letter's `partition:offset`."""
ERASED = "x-holdfast-erased"
"""Alone on a mark: when the conversation of the mark's key was erased, unix milliseconds."""
INPUTS = frozenset({*RECEIVED_FROM_TENANTS, TURNS_OPENED, TURNS_MATCHED, TURNS_DRAFTED, TURNS_FINISHED})
"""What stages read and people may write again; `turns.verified` is the verifier's alone."""

_CONNECT = "__connect.errors."
_OURS = "x-holdfast-"
_BLOCK_BEGINS = f"{_CONNECT}topic"


def address_of(key: bytes | None) -> Address | None:
    """The conversation that *key* names; None where it names none."""
    try:
        return Address.from_key(key)
    except Invalid:
        return None


@dataclass(frozen=True)
class Letter:
    """A dead letter: where it lies, and what its headers say. `driven_ms` is when it was driven again; 0 is never."""

    record: Record
    driven_ms: int = 0

    @property
    def name(self) -> str:
        """How an operator names it: `partition:offset` on `dead.letters`."""
        return f"{self.record.partition}:{self.record.offset}"

    @cached_property
    def why(self) -> dict[str, str]:
        """The headers that the stage appended."""
        return {name: (value or b"").decode(errors="replace") for name, value in self.record.headers[self._begins :]}

    @cached_property
    def original_headers(self) -> Headers:
        """The headers that the record came with."""
        return self.record.headers[: self._begins]

    @cached_property
    def _begins(self) -> int:
        names = [name for name, _ in self.record.headers]
        return len(names) - 1 - names[::-1].index(_BLOCK_BEGINS) if _BLOCK_BEGINS in names else len(names)

    @property
    def topic(self) -> str:
        """Where the record came from, without the namespace."""
        return self.why.get(_BLOCK_BEGINS, "")

    @property
    def partition(self) -> int:
        """In which partition it was; -1 where the headers do not say."""
        return _number(self.why.get(f"{_CONNECT}partition", ""))

    @property
    def offset(self) -> int:
        """At which offset it was; -1 where the headers do not say."""
        return _number(self.why.get(f"{_CONNECT}offset", ""))

    @property
    def reason(self) -> str:
        """The bounded word for what was wrong."""
        return self.why.get(f"{_OURS}reason", "")

    @property
    def stage(self) -> str:
        """Which stage gave it up."""
        return self.why.get(f"{_OURS}stage", "")

    @property
    def message(self) -> str:
        """What was wrong, in words."""
        return self.why.get(f"{_CONNECT}exception.message", "")

    @property
    def lost_value_bytes(self) -> int:
        """The size of a value that was too large to be kept here; 0 where it is here."""
        return max(0, _number(self.why.get(f"{_OURS}value-bytes", "0")))

    @property
    def address(self) -> Address | None:
        """The conversation that the key names; None where it names none."""
        return address_of(self.record.key)

    @property
    def tenant(self) -> str:
        """Whose it is; empty where nobody can tell."""
        return self.address.tenant if self.address else ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; what is empty lets all through. Times are unix milliseconds, of the letter."""

    tenant: str = ""
    topic: str = ""
    reason: str = ""
    stage: str = ""
    conversation: str = ""
    since_ms: int = 0
    until_ms: int = 0
    names: frozenset[str] = frozenset()
    driven: bool | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether *letter* is meant."""
        address = letter.address
        asked = (
            (self.tenant, letter.tenant),
            (self.topic, letter.topic),
            (self.reason, letter.reason),
            (self.stage, letter.stage),
            (self.conversation, address.conversation if address else ""),
        )
        return (
            all(wanted in {"", found} for wanted, found in asked)
            and self.since_ms <= letter.record.timestamp_ms
            and (not self.until_ms or letter.record.timestamp_ms < self.until_ms)
            and (not self.names or letter.name in self.names)
            and self.driven in {None, bool(letter.driven_ms)}
        )


@dataclass(slots=True)
class Box:
    """What `dead.letters` holds: letters and, by a letter's name, receipts; by key, marks of erasures."""

    letters: list[Letter] = field(default_factory=list)
    driven_ms: dict[str, int] = field(default_factory=dict)
    erased_ms: dict[bytes, int] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """Note one more record."""
        names = [name for name, _ in record.headers]
        # A sender may put any header on what it sends; a letter of that has the stage's block after it.
        if names == [DRIVEN_AGAIN]:
            self.driven_ms[(record.headers[0][1] or b"").decode(errors="replace")] = record.timestamp_ms
        elif names == [ERASED] and record.key is not None:
            self.erased_ms[record.key] = record.timestamp_ms
        else:
            self.letters.append(Letter(record))

    def found(self, wanted: Filter) -> list[Letter]:
        """The letters that *wanted* takes, oldest first, each with whether it was driven again."""
        known = [Letter(letter.record, self.driven_ms.get(letter.name, 0)) for letter in self.letters]
        return sorted(
            (letter for letter in known if wanted.takes(letter)),
            key=lambda letter: (letter.record.timestamp_ms, letter.record.partition, letter.record.offset),
        )


def refusal(letter: Letter, *, erased: Mapping[bytes, int], quarantined: Collection[bytes], now_ms: int) -> str:
    """
    Why *letter* is not to be driven again, in words; empty where it may be.

    *erased* says when the conversation of a key was erased, of those that were; *quarantined* are the keys of those in
    quarantine.
    """
    if letter.driven_ms:
        return "was driven again already"
    if shared_topic(letter.topic) not in INPUTS or letter.partition < 0:
        return f"its headers name no topic and partition that may be written again ({letter.topic or 'none'})"
    if letter.reason == REASON and letter.record.key in quarantined:
        return "its conversation is in quarantine: `holdfast quarantine release` hands it on in its turn"
    if letter.lost_value_bytes:
        return (
            f"its value of {letter.lost_value_bytes:,} bytes did not fit; the original is on {letter.topic}, partition "
            f"{letter.partition}, offset {letter.offset}, while that is kept"
        )
    return _forgotten(letter, erased, now_ms) if letter.address is not None else ""


def _forgotten(letter: Letter, erased: Mapping[bytes, int], now_ms: int) -> str:
    if (letter.record.key or b"") in erased:
        return "its conversation was erased"
    if now_ms - letter.record.timestamp_ms > ERASURE_MEMORY_MS:
        return f"it is older than {ERASURE_MEMORY_MS // DAY_MS} days: nobody knows whether its conversation was erased"
    return ""


def again(letter: Letter) -> tuple[bytes | None, bytes | None, Headers]:
    """The record (key, value, headers) as it came, with the mark that it was driven again."""
    headers = (*letter.original_headers, (DRIVEN_AGAIN, letter.name.encode()))
    return letter.record.key, letter.record.value, headers


def receipt(letter: Letter) -> tuple[bytes, Headers]:
    """The key and the headers of the receipt for *letter*; it has no value."""
    return letter.record.key or b"", ((DRIVEN_AGAIN, letter.name.encode()),)


def erasure_mark(address: Address, erased_at_ms: int) -> tuple[bytes, Headers]:
    """The key and the headers of the mark that forbids letters of *address* to be driven again; it has no value."""
    return address.key, ((ERASED, str(erased_at_ms).encode()),)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1
