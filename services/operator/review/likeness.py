"""
Guidelines that say the same twice, and guidelines that seem to say the opposite where both may apply: by their words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.operator.review.pairs import jaccard, similar_pairs
from shared.playbook.finding import Basis, Finding, Severity
from shared.playbook.model import Guideline, Playbook
from shared.text.english import NEGATIONS, content_words, stem
from shared.text.words import words

SAME = 0.8
"""Jaccard of the words from which two texts are nearly the same."""
OVERLAPPING = 0.5
"""The same of two conditions that may hold together."""
SAME_SUBJECT = 0.5
"""The same of two actions that are about one thing."""
FOUND_MAX = 500
"""Findings of one kind: nobody reads more, and a playbook of copies has millions."""
_FRAME: Final = frozenset(map(stem, ("customer", "customers", "user", "client", "asks", "wants", "says", "mentions")))
_NEGATING: Final = frozenset(map(stem, (*NEGATIONS, "refuse", "avoid", "stop", "refrain")))
_POLARITY: Final = _NEGATING | {stem("always")}
_OPPOSITES: Final = (
    ("always", "never"),
    ("accept", "reject"),
    ("accept", "refuse"),
    ("accept", "decline"),
    ("offer", "refuse"),
    ("allow", "forbid"),
    ("allow", "deny"),
    ("approve", "reject"),
    ("approve", "deny"),
    ("approve", "decline"),
    ("include", "omit"),
    ("include", "exclude"),
    ("before", "after"),
    ("increase", "decrease"),
    ("open", "close"),
    ("enable", "disable"),
    ("formal", "informal"),
    ("formally", "informally"),
    ("short", "detailed"),
    ("briefly", "detail"),
    ("confirm", "deny"),
    ("share", "withhold"),
)
_ANTONYMS: Final = tuple(frozenset(map(stem, pair)) for pair in _OPPOSITES)


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A guideline as these rules see it: its place in the playbook and the words of its texts that carry meaning.
    """

    index: int
    guideline: Guideline
    condition: frozenset[str]
    action: frozenset[str]

    @property
    def exact(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What two guidelines have in common that are copies."""
        return words(self.guideline.condition), words(self.guideline.action)


def readings(playbook: Playbook) -> list[Reading]:
    """The enabled guidelines of *playbook*, read."""
    return [
        Reading(index, one, frozenset(content_words(one.condition)) - _FRAME, frozenset(content_words(one.action)))
        for index, one in enumerate(playbook.guidelines)
        if one.enabled
    ]


def near_duplicates(playbook: Playbook) -> Iterator[Finding]:
    """Guidelines that repeat an earlier one, word for word or nearly."""
    first: dict[tuple[object, ...], Reading] = {}
    for one in readings(playbook):
        earlier = first.setdefault((one.exact, one.guideline.journey), one)
        if earlier is not one:
            yield _repeats(earlier, one, "duplicate", "says the same as", Basis.RULE)
    apart = list(first.values())
    found = 0
    for before, after, _ in similar_pairs([one.condition | one.action for one in apart], SAME):
        if found < FOUND_MAX and _nearly_same(apart[before], apart[after]):
            found += 1
            yield _repeats(apart[before], apart[after], "near_duplicate", "says nearly the same as", Basis.HEURISTIC)


def contradictions(playbook: Playbook) -> Iterator[Finding]:
    """Guidelines whose actions look opposite while their conditions overlap, and which no relationship orders."""
    ordered = orders(playbook)
    found = 0
    acting = [one for one in readings(playbook) if one.action]
    for before, after, _ in similar_pairs([one.condition for one in acting], OVERLAPPING):
        first, second = acting[before], acting[after]
        if may_meet(first, second, ordered) and found < FOUND_MAX and (why := _opposed(first, second)):
            found += 1
            yield contradiction(first, second, why, Basis.HEURISTIC)


def contradiction(first: Reading, second: Reading, why: str, by: Basis) -> Finding:
    """That *second* contradicts *first*, of which *why* says how it shows."""
    reason = f"it may apply together with `{first.guideline.id}`, and their actions seem to contradict: {why}"
    remedy = "let one take priority over the other, narrow a condition, or reword an action"
    return Finding(Severity.WARNING, "contradiction", ("guidelines", second.index, "action"), reason, remedy, by=by)


def may_meet(first: Reading, second: Reading, ordered: frozenset[frozenset[str]]) -> bool:
    """Whether two guidelines can be active in one turn, as far as what is declared tells."""
    one, other = first.guideline, second.guideline
    journeys = {one.journey, other.journey} - {None}
    return len(journeys) <= 1 and one.priority == other.priority and frozenset((one.id, other.id)) not in ordered


def orders(playbook: Playbook) -> frozenset[frozenset[str]]:
    """The pairs of guidelines that a relationship speaks of, with tags resolved."""
    tagged: dict[str, list[str]] = {}
    for guideline in playbook.guidelines:
        for tag in guideline.tags:
            tagged.setdefault(tag, []).append(guideline.id)
    pairs = set()
    for relationship in playbook.relationships:
        sources = tagged.get(relationship.source.partition(":")[2], [relationship.source])
        for target in relationship.targets:
            targets = tagged.get(target.partition(":")[2], [target])
            pairs |= {frozenset((source, name)) for source in sources for name in targets}
        if relationship.kind == "disambiguation":
            pairs |= {frozenset((one, two)) for one in relationship.targets for two in relationship.targets}
    return frozenset(pairs)


def _nearly_same(first: Reading, second: Reading) -> bool:
    differing = (first.condition ^ second.condition) | (first.action ^ second.action)
    # A number or a negation makes it another rule, however alike the rest is.
    turned = any(any(char.isdigit() for char in word) or word in _POLARITY for word in differing)
    alike = jaccard(first.condition, second.condition) >= SAME
    actions = not (first.action or second.action) or jaccard(first.action, second.action) >= SAME
    scoped = first.guideline.journey == second.guideline.journey
    return alike and actions and scoped and not turned and first.exact != second.exact


def _repeats(first: Reading, second: Reading, rule: str, how: str, by: Basis) -> Finding:
    reason = f"`{second.guideline.id}` {how} `{first.guideline.id}`; both are paid for, and each may be missed"
    remedy = "keep one of them, or say in the conditions what sets them apart"
    return Finding(Severity.WARNING, rule, ("guidelines", second.index), reason, remedy, by=by)


def _opposed(first: Reading, second: Reading) -> str:
    """How the words of two actions about one thing show that they are opposite; empty if they do not."""
    marks = [_marked(first.guideline.action), _marked(second.guideline.action)]
    one, other = first.action - _POLARITY, second.action - _POLARITY
    differing = (first.action ^ second.action) | (marks[0] ^ marks[1])
    pair = next((pair for pair in _ANTONYMS if pair <= differing and len(pair & (first.action | marks[0])) == 1), None)
    without = pair or frozenset()
    plain = frozenset(word for word in one - without if not _number(word))
    other_plain = frozenset(word for word in other - without if not _number(word))
    if jaccard(plain, other_plain) < SAME_SUBJECT:
        return ""
    if pair:
        return f"“{'” against “'.join(sorted(pair))}”"
    if bool(marks[0] & _NEGATING) != bool(marks[1] & _NEGATING):
        return "one of them negates"
    numbers = [{word for word in words(item.guideline.action) if _number(word)} for item in (first, second)]
    if numbers[0] and numbers[1] and numbers[0].isdisjoint(numbers[1]):
        return f"{', '.join(sorted(numbers[0]))} against {', '.join(sorted(numbers[1]))}"
    return ""


def _marked(action: str) -> frozenset[str]:
    """The words of *action*, stemmed, with a negated verb as `not`, which `content_words` leaves out."""
    said = words(action)
    negated = {"not"} if any(word.endswith("n't") for word in said) else set()
    return frozenset(map(stem, said)) | negated


def _number(word: str) -> bool:
    return any(char.isdigit() for char in word)
