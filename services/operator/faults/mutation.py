"""
What a hostile sender makes of a valid document: one that is changed in its structure, in its bytes, or spliced.

All is drawn from a given generator, so that the same seed makes the same bytes. Most changes are small and keep a
value's type: a document that the first reader throws away tests nothing behind that reader.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from services.operator.faults import nasty

GENTLE_SHARE = 0.7
"""Of the changes to a document's structure, those that keep the type of the value that they change."""
STRUCTURE_SHARE = 0.8
"""Of the changes to a document that is JSON, those that leave it one."""
CHANGES_MAX = 3
TRIES_MAX = 5
"""Some changes change nothing, as an empty list that is turned round."""
NODES_MAX = 5_000
DEPTHS = (12, 31, 33, 70, 198, 500, 2_000, 20_000)
LENGTHS = (33, 300, 2_000)
TEXT_CHARS_MAX = 200_000
_RAW = "\ue000raw{}\ue000"

Place = tuple[Any, Any]
"""A list or mapping, and the index or key of a value in it."""


def mutated(document: bytes, source: Random, others: Sequence[bytes] = ()) -> bytes:
    """*document* after one to three changes, of which some take a part of one of *others*."""
    for _ in range(TRIES_MAX):
        if (changed := _mutated(document, source, others)) != document:
            break
    return changed


def _mutated(document: bytes, source: Random, others: Sequence[bytes]) -> bytes:
    if source.random() < STRUCTURE_SHARE and (changed := _structure(document, source, others)) is not None:
        return changed
    for _ in range(source.randint(1, CHANGES_MAX)):
        document = source.choice(_BYTE_CHANGES)(document, source, others)
    return document


def mutated_text(text: str, source: Random) -> str:
    """*text* with a nasty one in its place, within it, or beside it."""
    nasty_one = source.choice(nasty.TEXTS)
    at = source.randint(0, len(text))
    return source.choice((nasty_one, text[:at] + nasty_one + text[at:], nasty_one + text, text[:at], text * 2))[
        :TEXT_CHARS_MAX
    ]


Headers = tuple[tuple[str, bytes | None], ...]


def mutated_headers(headers: Headers, source: Random) -> Headers:
    """*headers* with one added, dropped, doubled, emptied or changed."""
    kept = list(headers)
    at = source.randrange(len(kept)) if kept else 0
    change = source.randrange(8) if kept else 0
    foreign = source.choice(nasty.HEADER_NAMES[-8:]), source.choice(nasty.HEADER_VALUES)
    if change <= 2:  # noqa: PLR2004  the most frequent: a header that is no attribute of an event
        kept.insert(at, foreign)
    elif change == 3:  # noqa: PLR2004
        kept.append((source.choice(nasty.HEADER_NAMES), source.choice(nasty.HEADER_VALUES)))
    elif change == 4:  # noqa: PLR2004
        del kept[at]
    elif change == 5:  # noqa: PLR2004
        kept += [foreign] * source.choice((1, 5, 300))
    else:
        name, value = kept[at]
        kept[at] = name, _bytes_changed(value or b"", source)
    return tuple(kept)


def _bytes_changed(value: bytes, source: Random) -> bytes | None:
    text = mutated_text(value.decode(errors="replace"), source)
    return source.choice((text.encode("utf-8", "surrogatepass"), source.choice(nasty.HEADER_VALUES)))


# -- structure -------------------------------------------------------------------------------------------------------


class _Dump:
    """Writes a document in which placeholders stand for what `json` cannot write."""

    def __init__(self) -> None:
        self._raw: list[str] = []

    def raw(self, text: str) -> str:
        """A placeholder for *text*, which is written as it is."""
        self._raw.append(text)
        return _RAW.format(len(self._raw) - 1)

    def bytes(self, document: Any) -> bytes:
        """The document."""
        text = json.dumps(document, ensure_ascii=True)
        for number, raw in enumerate(self._raw):
            text = text.replace(json.dumps(_RAW.format(number)), raw)
            # Within a document that stands in a text.
            text = text.replace(json.dumps(json.dumps(_RAW.format(number)))[1:-1], json.dumps(raw)[1:-1])
        return text.encode()


def _structure(document: bytes, source: Random, others: Sequence[bytes]) -> bytes | None:
    try:
        held = [json.loads(document)]
    except (ValueError, RecursionError):
        return None
    dump = _Dump()
    for _ in range(source.randint(1, CHANGES_MAX)):
        places = list(_places(held))
        _change(source.choice(places), source, others, dump)
    return dump.bytes(held[0])


def _places(root: Any) -> Iterator[Place]:
    pending: list[Any] = [root]
    count = 0
    while pending and count < NODES_MAX:
        container = pending.pop()
        for key in container if isinstance(container, dict) else range(len(container)):
            count += 1
            yield container, key
            if isinstance(container[key], dict | list):
                pending.append(container[key])


def _change(place: Place, source: Random, others: Sequence[bytes], dump: _Dump) -> None:
    container, key = place
    value = container[key]
    if isinstance(value, str) and value[:1] in "{[" and (inner := _inner(value, source, others, dump)) is not None:
        container[key] = inner
    elif source.random() < GENTLE_SHARE:
        container[key] = _gentle(value, source, others, dump)
    else:
        source.choice(_WILD)(place, source, others, dump)


def _inner(text: str, source: Random, others: Sequence[bytes], dump: _Dump) -> str | None:
    """A document within a text, changed inside."""
    try:
        held = [json.loads(text)]
    except (ValueError, RecursionError):
        return None
    _change(source.choice(list(_places(held))), source, others, dump)
    return json.dumps(held[0])


def _gentle(value: Any, source: Random, others: Sequence[bytes], dump: _Dump) -> Any:
    """Another value of the same JSON type."""
    match value:
        case bool():
            return not value
        case str():
            return mutated_text(value, source)
        case int() | float():
            return source.choice((value + 1, -value, 0, 1, dump.raw(source.choice(nasty.NUMBERS))))
        case list():
            return _list_changed(value, source)
        case dict():
            return _dict_changed(value, source, others)
    return value


def _list_changed(value: list[Any], source: Random) -> list[Any]:
    if not value:
        return value
    at = source.randrange(len(value))
    return source.choice(
        (
            value[:at] + value[at + 1 :],
            [*value, value[at]],
            value[::-1],
            value[at : at + 1] * source.choice(LENGTHS),
            [],
        )
    )


def _dict_changed(value: dict[str, Any], source: Random, others: Sequence[bytes]) -> dict[str, Any]:
    draw = source.random()
    if draw < 0.5:  # noqa: PLR2004
        return value | {source.choice(nasty.TEXTS): source.choice(list(value.values()) or [None])}
    if draw < 0.7 and value:  # noqa: PLR2004
        gone = source.choice(list(value))
        return {name: held for name, held in value.items() if name != gone}
    return value | _part_of(others, source)


def _part_of(others: Sequence[bytes], source: Random) -> dict[str, Any]:
    """A field of another document."""
    if not others:
        return {}
    try:
        other = json.loads(source.choice(others))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(other, dict) or not other:
        return {}
    name = source.choice(list(other))
    return {name: other[name]}


Wild = Callable[[Place, Random, Sequence[bytes], _Dump], None]


def _another_type(place: Place, source: Random, _others: Sequence[bytes], dump: _Dump) -> None:
    container, key = place
    container[key] = dump.raw(source.choice((*nasty.DOCUMENTS, *nasty.NUMBERS)))


def _nested(place: Place, source: Random, _others: Sequence[bytes], dump: _Dump) -> None:
    container, key = place
    depth = source.choice(DEPTHS)
    opening, closing = source.choice((("[", "]"), ('{"a":', "}")))
    container[key] = dump.raw(opening * depth + "1" + closing * depth)


def _wrapped(place: Place, source: Random, _others: Sequence[bytes], _dump: _Dump) -> None:
    container, key = place
    container[key] = source.choice(([container[key]], {"value": container[key]}, json.dumps(container[key])))


def _gone(place: Place, _source: Random, _others: Sequence[bytes], _dump: _Dump) -> None:
    container, key = place
    if isinstance(container, dict):
        del container[key]
    else:
        container[key] = None


def _many(place: Place, source: Random, _others: Sequence[bytes], dump: _Dump) -> None:
    container, key = place
    count = source.choice(LENGTHS)
    names = ",".join(f'"k{number}":{number}' for number in range(count))
    container[key] = dump.raw(source.choice((f"{{{names}}}", "[" + ",".join(["0"] * count) + "]")))


def _doubled_key(place: Place, source: Random, _others: Sequence[bytes], dump: _Dump) -> None:
    container, key = place
    if isinstance(container, dict):
        container[key] = dump.raw(f"0, {json.dumps(key)}: {json.dumps(source.choice(nasty.TEXTS))}")


_WILD: tuple[Wild, ...] = (_another_type, _nested, _wrapped, _gone, _many, _doubled_key)


# -- bytes -----------------------------------------------------------------------------------------------------------

ByteChange = Callable[[bytes, Random, Sequence[bytes]], bytes]


def _flip(document: bytes, source: Random, _others: Sequence[bytes]) -> bytes:
    if not document:
        return document
    at = source.randrange(len(document))
    return document[:at] + bytes([document[at] ^ (1 << source.randrange(8))]) + document[at + 1 :]


def _insert(document: bytes, source: Random, _others: Sequence[bytes]) -> bytes:
    at = source.randint(0, len(document))
    return document[:at] + source.choice(nasty.BYTES) + document[at:]


def _insert_text(document: bytes, source: Random, _others: Sequence[bytes]) -> bytes:
    at = source.randint(0, len(document))
    return document[:at] + source.choice(nasty.TEXTS).encode("utf-8", "surrogatepass") + document[at:]


def _cut(document: bytes, source: Random, _others: Sequence[bytes]) -> bytes:
    first, last = sorted((source.randint(0, len(document)), source.randint(0, len(document))))
    return document[:first] + document[last:] if source.random() < 0.5 else document[first:last]  # noqa: PLR2004


def _repeat(document: bytes, source: Random, _others: Sequence[bytes]) -> bytes:
    first = source.randint(0, len(document))
    part = document[first : first + source.randint(1, 40)]
    return document[:first] + part * source.choice((2, 10, 200)) + document[first:]


def _splice(document: bytes, source: Random, others: Sequence[bytes]) -> bytes:
    other = source.choice(others) if others else document
    return document[: source.randint(0, len(document))] + other[source.randint(0, len(other)) :]


_BYTE_CHANGES: tuple[ByteChange, ...] = (_flip, _insert, _insert_text, _cut, _repeat, _splice)
