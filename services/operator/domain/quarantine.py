"""
Conversations in quarantine, as an operator reads them from `conversations.state` and `dead.letters`.

The ledger numbers what it holds of a conversation (shared/stage/quarantine.py); letters are handed on in the order of
these numbers, which is that in which the records came.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from services.operator.domain.letters import Letter
from shared.errors import Fatal
from shared.events.codec import Headers, encode, source_of
from shared.events.envelope import Address, Envelope
from shared.events.release import RELEASED, ConversationReleased
from shared.stage.base import Record
from shared.stage.quarantine import HELD_HEADER, Quarantine, handed_on, mark_of


@dataclass(frozen=True, slots=True)
class SetApart:
    """A conversation in quarantine: its mark, where on `conversations.state` that lies, and how large its state is."""

    key: bytes
    mark: Quarantine
    partition: int
    offset: int
    state_bytes: int


def set_apart(states: Iterable[Record]) -> dict[bytes, SetApart]:
    """By key, the conversations that the records of the changelog say are in quarantine, the oldest first."""
    found: dict[bytes, SetApart] = {}
    for record in states:
        if record.key is None:
            continue
        found.pop(record.key, None)
        mark = None if record.value is None else mark_of(record.key, record.headers)
        if mark is not None:
            size_bytes = 0 if mark.stateless else len(record.value or b"")
            found[record.key] = SetApart(record.key, mark, record.partition, record.offset, size_bytes)
    return dict(sorted(found.items(), key=lambda item: item[1].mark.since_ms))


def held_of(letters: Iterable[Letter], apart: SetApart) -> dict[int, Letter]:
    """
    By number and in that order, the letters of *apart* that are still to be handed on.

    Raises:
        Fatal: two letters claim one number; the ledger writes none twice.

    """
    found: dict[int, Letter] = {}
    for letter in letters:
        quarantine, _, number = letter.why.get(HELD_HEADER, "").partition(":")
        if letter.record.key != apart.key or quarantine != apart.mark.id or letter.driven_ms or not number.isdecimal():
            continue
        if int(number) in found:
            raise Fatal(
                f"letters {found[int(number)].name} and {letter.name} both say that they are record {number}; "
                "one was not written by the ledger. See who may write dead.letters (SECURITY.md)"
            )
        if int(number) > apart.mark.released:
            found[int(number)] = letter
    return dict(sorted(found.items()))


def lost_of(held: dict[int, Letter], apart: SetApart) -> list[int]:
    """The numbers of the records that are held and whose letters are gone, or hold no value."""
    due = range(apart.mark.released + 1, apart.mark.held + 1)
    return [number for number in due if number not in held or held[number].lost_value_bytes]


def handing_on(letter: Letter, number: int, apart: SetApart) -> Headers:
    """The headers of the record that hands *letter* on."""
    record = letter.record
    original = Record(
        letter.topic, letter.partition, letter.offset, 0, record.key, record.value, letter.original_headers
    )
    return handed_on(original, apart.mark.id, number)


def release(
    apart: SetApart, now_ms: int, *, through: int = 0, discard_state: bool = False, by: str = "", reason: str = ""
) -> tuple[Headers, bytes]:
    """The record that releases *apart*: headers and value."""
    address = Address.from_key(apart.key)
    return encode(
        Envelope(
            id=str(uuid4()),
            source=source_of(address.tenant),
            type=RELEASED,
            time=datetime.fromtimestamp(now_ms / 1_000, UTC),
            subject=address.conversation,
            data=ConversationReleased(
                quarantine=apart.mark.id, through=through, discard_state=discard_state, by=by, reason=reason
            ),
        )
    )
