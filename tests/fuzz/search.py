"""
The search: entries drawn from a seed, let in by walks, until one breaks something; and a smaller one that does so too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random

from tests.fuzz.door import Door
from tests.fuzz.entry import Entry, hostile
from tests.fuzz.watchman import Finding, Passed, walk

VALID_SHARE = 0.15
"""Of the entries of a walk of several, those that stay valid: hostile ones are to meet a world that goes on."""
SHRINKS_MAX = 300
SLOW_SHRINKS_MAX = 12


@dataclass(slots=True)
class Found:
    """A finding, the walk's number, and the smallest entries that were seen to bring it about."""

    number: int
    finding: Finding
    entries: list[Entry]


@dataclass(slots=True)
class Search:
    """
    The walks of *door* by *seed* that have been made. The same kind of fault is told once.
    """

    door: Door
    seed: int
    number: int = 0
    passed: Passed = field(default_factory=Passed)
    kinds: set[str] = field(default_factory=set)

    async def walk(self) -> Found | None:
        """Make the next walk; what it found that none found before."""
        number, self.number = self.number, self.number + 1
        entries = list(self.entries(number))
        broken = await walk(self.door, entries, self.passed)
        if broken is None or broken[1].kind in self.kinds:
            return None
        index, finding = broken
        self.kinds.add(finding.kind)
        smallest = await shrunk(self.door, entries[: index + 1], finding)
        return Found(number, finding, smallest)

    def entries(self, number: int) -> Iterator[Entry]:
        """The entries of walk *number*: those of a smaller seed do not hang on those of a greater one."""
        source = Random(f"{self.seed} {self.door.name} {number}")
        by_kind = _by_kind(self.door)
        for _ in range(self.door.together):
            valid = source.choice(by_kind[source.choice(list(by_kind))])
            stays = self.door.together > 1 and source.random() < VALID_SHARE
            yield valid if stays else hostile(valid, source, by_kind[valid.kind])


@lru_cache(maxsize=16)
def _by_kind(door: Door) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for sample in door.samples():
        found.setdefault(sample.kind, []).append(sample)
    return found


async def shrunk(door: Door, entries: Sequence[Entry], finding: Finding) -> list[Entry]:
    """Fewer and shorter entries than *entries* that bring *finding* about, as far as few tries lead."""
    smallest = list(entries)
    tries = SLOW_SHRINKS_MAX if finding.kind in {"slow", "stuck"} else SHRINKS_MAX
    again = True
    while again and tries:
        again = False
        for candidate in _smaller(smallest):
            tries -= 1
            broken = await walk(door, candidate, Passed())
            if broken is not None and broken[1].kind == finding.kind:
                smallest, again = candidate[: broken[0] + 1], True
                break
            if not tries:
                break
    return smallest


def _smaller(entries: list[Entry]) -> Iterator[list[Entry]]:
    for index in range(len(entries) - 1):
        yield entries[:index] + entries[index + 1 :]
    last = entries[-1]
    for part in _shorter(last.body or b""):
        yield [*entries[:-1], replace(last, body=part)]
    for index in range(len(last.headers)):
        yield [*entries[:-1], replace(last, headers=last.headers[:index] + last.headers[index + 1 :])]


def _shorter(body: bytes) -> Iterator[bytes]:
    step = len(body) // 2
    while step:
        for at in range(0, len(body), step):
            yield body[:at] + body[at + step :]
        step //= 2
