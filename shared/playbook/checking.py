"""
What authors get wrong and a schema cannot see. Pure; findings carry the path, `loading` adds file and line.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from shared.arq.wording import contains_phrase
from shared.playbook.checking_addresses import address_findings
from shared.playbook.checking_journeys import journey_findings
from shared.playbook.checking_templates import template_findings
from shared.playbook.checking_tools import tool_findings
from shared.playbook.checking_values import value_findings
from shared.playbook.finding import Finding, Path, Severity
from shared.playbook.model import Playbook, RelationshipKind
from shared.playbook.nearest import Nearest
from shared.playbook.references import ReferenceKind, reference
from shared.text.plain import folded
from shared.text.visible import cleaned

FINDINGS_MAX = 1_000
CIRCLE_SHOWN_MAX = 12
PAIRS_MAX = 500_000
"""Of guidelines that relationships join, tags written out: a matcher holds each, in a hundred bytes."""
TEXT_CHARS_ADVISED = 1_000
"""Beyond this a guideline reads as several, and each call that asks about it pays for its length."""


def check(playbook: Playbook) -> tuple[Finding, ...]:
    """
    What the rules find in *playbook*: up to `FINDINGS_MAX` of each severity; after as many errors no more is sought.
    """
    found: list[Finding] = []
    counts: Counter[Severity] = Counter()
    for finding in chain.from_iterable(rule(playbook) for rule in RULES):
        counts[finding.severity] += 1
        if counts[finding.severity] <= FINDINGS_MAX:
            found.append(finding)
        if counts[Severity.ERROR] == FINDINGS_MAX:
            break
    return tuple(found)


def _duplicate_ids(playbook: Playbook) -> Iterator[Finding]:
    yield from _repeated("guidelines", [guideline.id for guideline in playbook.guidelines], "id")
    yield from _repeated("facts", [fact.id for fact in playbook.facts], "id")
    yield from _repeated("canned_replies", [reply.id for reply in playbook.canned_replies], "id")
    yield from _repeated("journeys", [journey.id for journey in playbook.journeys], "id")
    yield from _repeated("glossary", [folded(term.term) for term in playbook.glossary], "term")


def _repeated(part: str, names: Iterable[str], key: str) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            reason = f"`{name}` is already the {key} of item {first[name] + 1} of {part}"
            yield _error("duplicate_id", (part, index, key), reason, f"give each of {part} its own {key}")
        first.setdefault(name, index)


def _blank_texts(playbook: Playbook) -> Iterator[Finding]:
    for path, text in _texts(playbook):
        if text and not cleaned(text).strip():
            yield _error("blank_text", path, "the text holds nothing that can be seen", "write a text or drop the key")


def _long_texts(playbook: Playbook) -> Iterator[Finding]:
    for index, guideline in enumerate(playbook.guidelines):
        for key, text in (("condition", guideline.condition), ("action", guideline.action)):
            if len(text) > TEXT_CHARS_ADVISED:
                reason = f"the {key} has {len(text):,} characters; models follow short guidelines better"
                yield _warning("long_text", ("guidelines", index, key), reason, "divide it into several guidelines")


def _contradictory_phrases(playbook: Playbook) -> Iterator[Finding]:
    phrases = [(phrase, folded(phrase)) for phrase in playbook.phrases.forbidden]
    for path, text in _fixed_texts(playbook) if phrases else ():
        whole = folded(text)
        for phrase, sought in phrases:
            if sought in whole and contains_phrase(text, phrase):
                reason = f"the text holds the forbidden phrase “{phrase}”, so no reply could ever contain it"
                yield _error("contradictory_phrases", path, reason, "reword it, or allow the phrase")


def _fixed_texts(playbook: Playbook) -> Iterator[tuple[Path, str]]:
    for index, phrase in enumerate(playbook.phrases.required):
        yield ("phrases", "required", index), phrase
    for index, reply in enumerate(playbook.canned_replies):
        yield ("canned_replies", index, "text"), reply.text
    for name, text in playbook.fallbacks:
        yield ("fallbacks", name), text
    yield ("acknowledgement",), playbook.acknowledgement


def _texts(playbook: Playbook) -> Iterator[tuple[Path, str]]:
    yield from _fixed_texts(playbook)
    yield ("profile", "name"), playbook.profile.name
    for index, guideline in enumerate(playbook.guidelines):
        yield ("guidelines", index, "condition"), guideline.condition
        yield ("guidelines", index, "action"), guideline.action
    for index, fact in enumerate(playbook.facts):
        yield ("facts", index, "text"), fact.text
    for index, term in enumerate(playbook.glossary):
        yield ("glossary", index, "term"), term.term
        yield ("glossary", index, "meaning"), term.meaning


def _references_to_nothing(playbook: Playbook) -> Iterator[Finding]:
    tags = {tag: None for guideline in playbook.guidelines for tag in guideline.tags}
    known = {
        ReferenceKind.GUIDELINE: {guideline.id: None for guideline in playbook.guidelines},
        ReferenceKind.TAG: tags,
        ReferenceKind.ANY: tags,
        ReferenceKind.JOURNEY: {journey.id: None for journey in playbook.journeys},
    }
    nearest = Nearest()
    for path, text in _references(playbook):
        kind, name = reference(text)
        if name not in known[kind]:
            hint = nearest.hint(name, known[kind], "name one that exists, or drop the relationship")
            noun = "tag" if kind is ReferenceKind.ANY else str(kind)
            yield _error("unknown_reference", path, f"there is no {noun} `{name}`", hint)


def _references(playbook: Playbook) -> Iterator[tuple[Path, str]]:
    for index, relationship in enumerate(playbook.relationships):
        yield ("relationships", index, "source"), relationship.source
        for place, target in enumerate(relationship.targets):
            yield ("relationships", index, "targets", place), target


def _contradictory_relationships(playbook: Playbook) -> Iterator[Finding]:
    for kind, edges in _edges_by_kind(playbook).items():
        for index, length, circle in _circles(edges):
            told = " → ".join([*circle, "…" if length > len(circle) else circle[0]])
            if kind is RelationshipKind.PRIORITY:
                reason = f"priorities run in a circle ({told}): where these match together, all of them are dropped"
                yield _error("priority_circle", ("relationships", index), reason, "remove one of them")
            elif length == 1:
                reason = f"`{circle[0]}` refers to itself, which has no effect"
                yield _warning("self_reference", ("relationships", index), reason, "remove it")
            elif kind in {RelationshipKind.DEPENDENCY, RelationshipKind.ENTAILMENT}:
                reason = f"{kind} runs in a circle ({told}): all of these apply together, or none does"
                remedy = "remove one of them, unless that is meant"
                yield Finding(Severity.NOTE, f"{kind}_circle", ("relationships", index), reason, remedy)


def _too_many_pairs(playbook: Playbook) -> Iterator[Finding]:
    """Relationships whose tags, written out, make more pairs than a matcher holds."""
    members = Counter(tag for guideline in playbook.guidelines for tag in guideline.tags)
    pairs = 0
    for index, relationship in enumerate(playbook.relationships):
        sources, *targets = [
            members[name] if kind in {ReferenceKind.TAG, ReferenceKind.ANY} else 1
            for kind, name in map(reference, (relationship.source, *relationship.targets))
        ]
        pairs += sources * sum(targets)
        if pairs > PAIRS_MAX:
            reason = f"from here on relationships join more than {PAIRS_MAX:,} pairs, each tag counted by its members"
            remedy = "relate fewer guidelines, or split the agent's work between several agents"
            yield _error("too_many_pairs", ("relationships", index), reason, remedy)
            return


def _edges_by_kind(playbook: Playbook) -> dict[RelationshipKind, list[tuple[int, str, str]]]:
    found: dict[RelationshipKind, list[tuple[int, str, str]]] = defaultdict(list)
    for index, relationship in enumerate(playbook.relationships):
        found[relationship.kind] += [(index, relationship.source, target) for target in relationship.targets]
    return found


def _circles(edges: list[tuple[int, str, str]]) -> Iterator[tuple[int, int, list[str]]]:
    """
    The circles among *edges* (index, from, to): the index of one of its edges, how many names it has, and the first
    `CIRCLE_SHOWN_MAX` of them; time is linear.
    """
    following: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for index, source, target in edges:
        following[source].append((index, target))
    done: set[str] = set()
    for start in list(following):
        path: list[str] = []
        places: dict[str, int] = {}
        pending = [(start, iter(following[start]))] if start not in done else []
        if pending:
            places[start] = 0
            path.append(start)
        while pending:
            name, rest = pending[-1]
            step = next(rest, None)
            if step is None:
                pending.pop()
                done.add(path.pop())
                del places[name]
            elif step[1] in places:
                first = places[step[1]]
                yield step[0], len(path) - first, path[first : first + CIRCLE_SHOWN_MAX]
            elif step[1] not in done:
                places[step[1]] = len(path)
                path.append(step[1])
                pending.append((step[1], iter(following.get(step[1], ()))))


def _disambiguations(playbook: Playbook) -> Iterator[Finding]:
    actions = {guideline.id: bool(guideline.action) for guideline in playbook.guidelines}
    for index, relationship in enumerate(playbook.relationships):
        if relationship.kind is RelationshipKind.DISAMBIGUATION:
            if len(relationship.targets) == 1:
                path: Path = ("relationships", index, "targets")
                yield _error("single_target", path, "one target leaves nothing to choose from", "name at least two")
            if actions.get(relationship.source):
                path = ("relationships", index, "source")
                reason = f"`{relationship.source}` has an action; only an observation can open a choice"
                yield _error("bad_head", path, reason, "name a guideline without an action")


def _error(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, rule, path, reason, remedy)


def _warning(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, rule, path, reason, remedy)


RULES: tuple[Callable[[Playbook], Iterator[Finding]], ...] = (
    _duplicate_ids,
    _blank_texts,
    _long_texts,
    _contradictory_phrases,
    _references_to_nothing,
    _contradictory_relationships,
    _disambiguations,
    _too_many_pairs,
    journey_findings,
    tool_findings,
    address_findings,
    template_findings,
    value_findings,
)
