"""
YAML's events → plain data, with the place of every part of it.

A playbook holds what JSON holds: mappings with texts as keys, lists, texts, numbers, truth values and null. What
YAML has beyond that (tags, dates, sets, an alias within its own anchor) is refused where it stands. A document costs
what it is once its aliases are written out, so it is counted that way; its aliases themselves share one value.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode

from shared.events.base import INTEGER_MAX
from shared.text.visible import shown

DEPTH_MAX: Final = 32
"""Of lists and mappings within each other; the deepest part of a playbook lies at eight."""
PARTS_MAX: Final = 500_000
"""Of a document with its aliases written out; 10,000 guidelines of ordinary size have about 100,000."""
CHARS_MAX: Final = 16 * 1_048_576
"""Of all texts of a document with its aliases written out."""
SHOWN_CHARS_MAX: Final = 40
_TAG: Final = "tag:yaml.org,2002:"
_TEXT: Final = frozenset({"str", "timestamp", "value", "merge"})
"""Kinds of a scalar without quotes that stays the text that it is; a date among them, as JSON has none."""


class Place(NamedTuple):
    """Where something begins in a file, both from 1."""

    line: int
    column: int


BEGIN: Final = Place(1, 1)


class Refused(Exception):
    """A document that is not taken: `rule` as in a finding, with the place, the reason and the remedy."""

    def __init__(self, place: Place, rule: str, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.place = place
        self.rule = rule
        self.remedy = remedy


@dataclass(slots=True)
class Tree:
    """Where a part stands, and where what is in it stands."""

    place: Place
    inner: dict[str | int, "Tree"] = field(default_factory=dict)


@dataclass(slots=True)
class _Part:
    """A value with its places, and what it counts: itself and all that is in it."""

    value: Any
    tree: Tree
    parts: int = 1
    chars: int = 0


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet; `key` and `at` are those of the value that comes next."""

    part: _Part
    anchor: str | None
    key: str | None = None
    at: Place = BEGIN
    merging: bool = False
    merged: list[_Part] = field(default_factory=list)


class Composer:
    """Takes the events of one document; `root` is what it holds, None before its first part has ended."""

    def __init__(self, yaml: YAML) -> None:
        self._yaml = yaml
        self._open: list[_Open] = []
        self._anchors: dict[str, _Part] = {}
        self._documents = 0
        self._parts = 0
        self._chars = 0
        self.root: _Part | None = None

    def take(self, events: Iterable[Event]) -> None:
        """
        Take *events* in.

        Raises:
            Refused: the document is not taken.

        """
        for event in events:
            match event:
                case DocumentStartEvent():
                    self._document(event)
                case AliasEvent():
                    self._alias(event)
                case ScalarEvent():
                    self._scalar(event)
                case SequenceStartEvent() | MappingStartEvent():
                    self._begin(event)
                case SequenceEndEvent() | MappingEndEvent():
                    self._end()
                case _:
                    pass  # the stream's and the document's ends say nothing more

    def _document(self, event: Event) -> None:
        self._documents += 1
        if self._documents > 1:
            raise Refused(_at(event), "bad_yaml", "a second document begins here", "write one playbook into one file")

    def _alias(self, event: AliasEvent) -> None:
        part = self._anchors.get(event.anchor)
        if part is None and any(held.anchor == event.anchor for held in self._open):
            reason = f"the alias `*{event.anchor}` stands inside what its anchor `&{event.anchor}` names"
            raise Refused(_at(event), "bad_yaml", reason, "write out what is meant there")
        if part is None:
            reason = f"no anchor `&{event.anchor}` comes before the alias `*{event.anchor}`"
            raise Refused(_at(event), "bad_yaml", reason, "put a text that begins with `*` in quotes")
        self._count(event, part.parts, part.chars)
        self._add(event, _Part(part.value, Tree(_at(event), part.tree.inner), part.parts, part.chars))

    def _scalar(self, event: ScalarEvent) -> None:
        self._count(event, 1, len(event.value))
        kind = self._kind(event)
        above = self._open[-1] if self._open else None
        if above is not None and isinstance(above.part.value, dict) and above.key is None and not above.merging:
            self._key(above, event, kind)
            return
        part = _Part(self._value(event, kind), Tree(_at(event)), chars=len(event.value))
        if event.anchor:
            self._anchors[event.anchor] = part
        self._add(event, part)

    def _kind(self, event: ScalarEvent) -> str:
        """`str`, `int` and the like: as the tag says, else as the text reads."""
        if event.ctag is None or str(event.ctag) == "!":
            tag = str(self._yaml.resolver.resolve(ScalarNode, event.value, event.implicit))
            kind = tag.removeprefix(_TAG)
            return kind if kind in {"null", "bool", "int", "float", "merge"} else "str"
        tag = str(event.ctag)
        kind = tag.removeprefix(_TAG)
        if kind not in {"null", "bool", "int", "float", "str"}:
            _refuse_tag(event, tag)
        return kind

    def _key(self, above: _Open, event: ScalarEvent, kind: str) -> None:
        if kind == "merge":
            above.merging = True
            return
        if kind != "str":
            reason = f"the key `{_shown(event.value)}` is no text"
            raise Refused(_at(event), "bad_yaml", reason, "put it in quotes if it is meant as a key")
        key = _text(event)
        if (before := above.part.tree.inner.get(key)) is not None:
            reason = f"the key `{_shown(key)}` stands twice in one mapping, first in line {before.place.line}"
            raise Refused(_at(event), "bad_yaml", reason, "remove one of them")
        above.key, above.at = key, _at(event)

    def _value(self, event: ScalarEvent, kind: str) -> Any:
        if kind in _TEXT:
            return _text(event)
        if kind == "null":
            return None
        node = ScalarNode(None, event.value, event.start_mark, event.end_mark)
        try:
            value = getattr(self._yaml.constructor, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError, IndexError):  # `!!int x`, or more digits than Python converts
            reason = f"`{_shown(event.value)}` is no {kind} that can be read"
            raise Refused(_at(event), "bad_number", reason, "correct it, or put it in quotes as a text") from None
        if isinstance(value, int) and abs(value) > INTEGER_MAX:
            reason = f"the integer `{_shown(event.value)}` is beyond ±{INTEGER_MAX}, which not every reader keeps exact"
            raise Refused(_at(event), "bad_number", reason, "put it in quotes as a text, or write a smaller one")
        return value

    def _begin(self, event: SequenceStartEvent | MappingStartEvent) -> None:
        empty: Any = {} if isinstance(event, MappingStartEvent) else []
        if event.ctag is not None and str(event.ctag) not in {"!", _TAG + ("map" if empty == {} else "seq")}:
            _refuse_tag(event, str(event.ctag))
        if len(self._open) == DEPTH_MAX:
            reason = f"lists and mappings lie more than {DEPTH_MAX} deep within each other here"
            raise Refused(_at(event), "too_deep", reason, "write them less deeply; no part of a playbook lies so deep")
        self._count(event, 1, 0)
        # What has been counted so far is taken off again at the end: the rest is what this part counts.
        part = _Part(empty, Tree(_at(event)), parts=self._parts - 1, chars=self._chars)
        self._open.append(_Open(part, event.anchor))

    def _end(self) -> None:
        ended = self._open.pop()
        part = ended.part
        for merged in ended.merged:
            for key, value in merged.value.items():
                if key not in part.value:
                    part.value[key] = value
                    part.tree.inner[key] = merged.tree.inner[key]
        part.parts, part.chars = self._parts - part.parts, self._chars - part.chars
        if ended.anchor:
            self._anchors[ended.anchor] = part
        self._add(None, part)

    def _add(self, event: Event | None, part: _Part) -> None:
        if not self._open:
            self.root = part
            return
        above = self._open[-1]
        if isinstance(above.part.value, list):
            above.part.tree.inner[len(above.part.value)] = part.tree
            above.part.value.append(part.value)
        elif above.merging:
            above.merged += _merged(part)
            above.merging = False
        elif above.key is None:
            place = _at(event) if event else part.tree.place
            raise Refused(place, "bad_yaml", "a key is no text", "write `key: value`, the key in quotes if need be")
        else:
            above.part.value[above.key] = part.value
            above.part.tree.inner[above.key] = Tree(above.at, part.tree.inner)
            above.key = None

    def _count(self, event: Event, parts: int, chars: int) -> None:
        self._parts += parts
        self._chars += chars
        if self._parts > PARTS_MAX or self._chars > CHARS_MAX:
            reason = f"the document has more than {PARTS_MAX:,} parts or {CHARS_MAX:,} characters"
            remedy = "write fewer, or split the agent's work between several agents"
            raise Refused(_at(event), "too_large", f"{reason} with its aliases written out", remedy)


def _merged(part: _Part) -> list[_Part]:
    """Reads what `<<:` merges: a mapping, or a list of mappings. Where several have a key, the first counts."""
    if isinstance(part.value, dict):
        return [part]
    if isinstance(part.value, list) and all(isinstance(item, dict) for item in part.value):
        return [_Part(item, part.tree.inner[index]) for index, item in enumerate(part.value)]
    raise Refused(part.tree.place, "bad_yaml", "`<<` takes in what is no mapping", "name an anchor of a mapping")


def _text(event: ScalarEvent) -> str:
    """The text of *event*; two escapes that are the halves of one character, as JSON writes it, are that character."""
    text: str = event.value
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        reason = "an escape such as `\\ud83d` is half a character, and the other half is missing"
        raise Refused(_at(event), "bad_encoding", reason, "write the character itself") from None


def _refuse_tag(event: NodeEvent, tag: str) -> None:
    shown = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
    reason = f"a playbook holds no `{_shown(shown)}`"
    raise Refused(_at(event), "bad_yaml", reason, "drop the tag; put a text that begins with `!` in quotes")


def _shown(text: str) -> str:
    return shown(text if len(text) <= SHOWN_CHARS_MAX else f"{text[: SHOWN_CHARS_MAX - 1]}…")


def _at(event: Event) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)
