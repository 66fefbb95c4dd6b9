"""
Documents for a turn: which retrievers are asked, what for, and what their answers let a reply assert.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import JsonValue

from services.reasoner.domain.knowledge import RETRIEVER
from services.reasoner.domain.reading import value_of
from shared.errors import HoldfastError
from shared.events.conversation import Author
from shared.events.turns import FactRecord, Matching, Utterance
from shared.playbook.knowledge import Retriever
from shared.playbook.model import Playbook

QUERY_CHARS_MAX: Final = 1_000
DOCUMENTS_MAX: Final = 20
"""Of a turn, from all its retrievers together."""
DOCUMENTS_CHARS_MAX: Final = 12_000
ORIGIN_CHARS_MAX: Final = 300


class Unreadable(HoldfastError):
    """A retriever's answer is not what `shared.playbook.knowledge.Retriever` describes."""


def asked(playbook: Playbook, matching: Matching) -> tuple[Retriever, ...]:
    """The retrievers that are asked while *matching* says what applies."""
    active = frozenset(matching.active)
    return tuple(r for r in playbook.retrievers if not r.guidelines or not active.isdisjoint(r.guidelines))


def query_of(messages: Sequence[Utterance]) -> str:
    """What the customer asks, the newest words kept; empty where there are none."""
    texts = [said.text.strip() for said in messages if said.author is Author.CUSTOMER]
    return "\n".join(text for text in texts if text)[-QUERY_CHARS_MAX:]


def read(content: bytes) -> JsonValue:
    """
    A retriever's answer.

    Raises:
        Unreadable: it is no JSON, or none that can be kept.

    """
    try:
        return value_of(content)
    except ValueError as error:
        raise Unreadable(f"no JSON that can be kept: {error}") from None


def documents(retriever: Retriever, answer: JsonValue, fetched_at: datetime) -> tuple[FactRecord, ...]:
    """
    The documents in a retriever's answer, best first as it sent them, each once.

    Raises:
        Unreadable: the answer is not of that form.

    """
    listed = answer.get("documents") if isinstance(answer, dict) else answer
    if not isinstance(listed, list):
        raise Unreadable("neither a list nor an object with a list `documents`")
    texts: dict[str, str] = {}
    for place, entry in enumerate(listed[: retriever.top_k], start=1):
        text, origin = _document(entry, place)
        if text:
            texts.setdefault(text[: retriever.document_chars_max], origin)
    return tuple(
        FactRecord(
            id=f"retriever.{retriever.id}.{number}",
            text=text,
            source=f"{RETRIEVER}{retriever.id}",
            origin=origin,
            fetched_at=fetched_at,
        )
        for number, (text, origin) in enumerate(texts.items(), start=1)
    )


def within_bounds(found: Iterable[FactRecord]) -> tuple[FactRecord, ...]:
    """The first of *found* that fit into a prompt."""
    kept: list[FactRecord] = []
    room = DOCUMENTS_CHARS_MAX
    for record in found:
        if len(kept) < DOCUMENTS_MAX and len(record.text) <= room:
            kept.append(record)
            room -= len(record.text)
    return tuple(kept)


def _document(entry: Any, place: int) -> tuple[str, str]:
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise Unreadable(f"document {place} is no object with a `text`")
    origin = entry.get("source", "")
    return entry["text"].strip(), origin[:ORIGIN_CHARS_MAX] if isinstance(origin, str) else ""
