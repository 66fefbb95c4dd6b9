"""
Quarantine: a key at whose state, record or timer the ledger fails is set apart, and the others of its task go on.

Its state stays as it is, byte for byte, in the changelog; a header beside it, the *mark*, says why and since when.
From then on its records go to `dead.letters`, numbered in the order in which they came, and no timer of it rings. The
mark is written in the transactions that write these letters, so that it holds for whoever owns the task next.

An operator releases it, on a topic that only operators write: a `conversation.released` record opens the release, and
the letters follow, each in a record that names its place and number (`handed_on`). Those are applied in their order;
what comes meanwhile on the inputs is held as before. The quarantine ends with the record that has the last number
given out: nothing that came later has overtaken it. One that fails again closes the release.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from shared.errors import Invalid
from shared.events import codec
from shared.events.codec import Headers
from shared.events.envelope import derived_id
from shared.events.release import RELEASED, ConversationReleased
from shared.stage.base import Output, Record

MARK_HEADER = "quarantine"
"""The changelog header with the mark of a key in quarantine, JSON. Such a record has no due time."""

HELD_HEADER = "x-holdfast-quarantine"
"""On a letter, and on the record that hands it on: `{id of the quarantine}:{number}`."""

FROM_HEADER = "x-holdfast-from"
"""On a record that hands a letter on: `{topic}:{partition}:{offset}` of the record that was held."""

REASON = "quarantined"
MARK_BYTES_MAX = 400
"""Of a mark, so that a state that fits a record fits it with one; `where` and the names of errors are cut for it."""

_WHERE_CHARS_MAX = 110
_ERROR_CHARS_MAX = 40


@dataclass(frozen=True, slots=True)
class Quarantine:
    """
    Why a key is set apart, and how far its release is.

    `where` names the input at which the ledger failed at `since_ms` (unix milliseconds), `error` the kind of failure.
    Of `held` records, numbered from 1, those up to `released` have been applied since; `releasing` says that more may
    be. `due_ms` is when the key wanted to be woken. `stateless`: nothing was known of the key, and the value beside the
    mark stands for that. `refused` says why the last release was not begun.
    """

    id: str
    since_ms: int
    where: str
    error: str
    held: int = 0
    released: int = 0
    releasing: bool = False
    due_ms: int | None = None
    stateless: bool = False
    refused: str = ""

    @classmethod
    def of(cls, key: bytes, where: str, error: str, *, now_ms: int, due_ms: int | None) -> "Quarantine":
        """The mark of *key*, whose input at *where* the ledger failed at *now_ms*."""
        name = derived_id("quarantine", key.hex(), where, now_ms)
        return cls(name, now_ms, where[:_WHERE_CHARS_MAX], error[:_ERROR_CHARS_MAX], due_ms=due_ms)

    def failed_again(self, where: str, error: str) -> "Quarantine":
        """The mark once a release has met a failure in its turn."""
        return replace(self, where=where[:_WHERE_CHARS_MAX], error=error[:_ERROR_CHARS_MAX], releasing=False)

    def stays(self, why: str) -> "Quarantine":
        """The mark once a release was refused."""
        return replace(self, releasing=False, refused=why[:_ERROR_CHARS_MAX])

    def opened(self, through: int) -> "Quarantine":
        """The mark once a release has begun, or goes on behind the record *through*."""
        released = max(self.released, min(through, self.held))
        return replace(self, releasing=True, refused="", released=released)

    @property
    def is_over(self) -> bool:
        """Whether nothing is held any more."""
        return self.releasing and self.released >= self.held

    def headers(self, *, stateless: bool) -> Headers:
        """The mark as it stands beside the state, or beside what stands for none."""
        return ((MARK_HEADER, _MARKS.dump_json(replace(self, stateless=stateless), exclude_defaults=True)),)


_MARKS = TypeAdapter(Quarantine)


class Held(NamedTuple):
    """A record that was held, handed on: its number in the quarantine of that id."""

    quarantine: str
    number: int
    record: Record


def mark_of(key: bytes, headers: Headers) -> Quarantine | None:
    """
    The mark among a changelog record's *headers*.

    One that cannot be read is a mark all the same: it was written of a key that is set apart.
    """
    text = next((value for name, value in headers if name == MARK_HEADER), None)
    if text is None:
        return None
    try:
        return _MARKS.validate_json(text)
    except ValidationError:
        return Quarantine.of(key, "its mark in the changelog", "Unreadable", now_ms=0, due_ms=None)


def held(letter: Output, mark: Quarantine, number: int) -> Output:
    """Adds to *letter* the quarantine that holds its record, and the record's *number* in it."""
    return replace(letter, headers=(*letter.headers, (HELD_HEADER, f"{mark.id}:{number}".encode())))


def why_held(mark: Quarantine) -> Invalid:
    """What the letter of a record that is held says."""
    return Invalid(
        REASON,
        f"the conversation is in quarantine since the ledger failed at {mark.where} with {mark.error}; "
        "`holdfast quarantine release` hands its records on",
    )


def handed_on(record: Record, quarantine: str, number: int) -> Headers:
    """The headers under which *record*, once held as *number* of *quarantine*, is handed on by a release."""
    place = f"{record.topic}:{record.partition}:{record.offset}"
    return (*record.headers, (FROM_HEADER, place.encode()), (HELD_HEADER, f"{quarantine}:{number}".encode()))


def release_of(record: Record) -> Held | ConversationReleased | None:
    """
    What *record*, of the operators' topic, says about a quarantine; None where it is about something else.

    Raises:
        Invalid: it cannot be read (shared/events/codec.py names the reasons; `bad_headers`).

    """
    names = [name for name, _ in record.headers[-2:]]
    if names == [FROM_HEADER, HELD_HEADER]:
        return _held(record)
    if _type_of(record.headers) != RELEASED:
        return None
    return codec.decode({RELEASED: ConversationReleased}, record.key, record.headers, record.value).data


def _type_of(headers: Collection[tuple[str, bytes | None]]) -> str:
    types = [value for name, value in headers if name.lower() == "ce_type"]
    return (types[-1] or b"").decode(errors="replace") if types else ""


def _held(record: Record) -> Held:
    *headers, (_, place), (_, number) = record.headers
    try:
        topic, partition, offset = (place or b"").decode().rsplit(":", 2)
        quarantine, _, count = (number or b"").decode().partition(":")
        original = replace(
            record, topic=topic, partition=int(partition), offset=int(offset), headers=tuple(headers), fresh=False
        )
        return Held(quarantine, int(count), original)
    except (ValueError, AttributeError):
        raise Invalid(
            "bad_headers", f"{FROM_HEADER} is topic:partition:offset and {HELD_HEADER} is id:number; they are not"
        ) from None
