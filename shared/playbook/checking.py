"""
What authors get wrong and a schema cannot see. Pure; findings carry the path, `loading` adds file and line.
"""

from collections.abc import Callable, Iterable, Iterator

from shared.arq.wording import contains_phrase, folded
from shared.playbook.finding import Finding, Path, Severity
from shared.playbook.model import Playbook

TEXT_CHARS_ADVISED = 1_000
"""Beyond this a guideline reads as several, and each call that asks about it pays for its length."""


def check(playbook: Playbook) -> tuple[Finding, ...]:
    """Everything that the rules find in *playbook*."""
    return tuple(finding for rule in RULES for finding in rule(playbook))


def _duplicate_ids(playbook: Playbook) -> Iterator[Finding]:
    yield from _repeated("guidelines", [guideline.id for guideline in playbook.guidelines], "id")
    yield from _repeated("facts", [fact.id for fact in playbook.facts], "id")
    yield from _repeated("canned_replies", [reply.id for reply in playbook.canned_replies], "id")
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
        if text and not text.strip():
            yield _error("blank_text", path, "the text holds nothing but white space", "write a text or drop the key")


def _long_texts(playbook: Playbook) -> Iterator[Finding]:
    for index, guideline in enumerate(playbook.guidelines):
        for key, text in (("condition", guideline.condition), ("action", guideline.action)):
            if len(text) > TEXT_CHARS_ADVISED:
                reason = f"the {key} has {len(text):,} characters; models follow short guidelines better"
                yield _warning("long_text", ("guidelines", index, key), reason, "divide it into several guidelines")


def _contradictory_phrases(playbook: Playbook) -> Iterator[Finding]:
    for path, text in _fixed_texts(playbook):
        for phrase in playbook.phrases.forbidden:
            if contains_phrase(text, phrase):
                reason = f"the text holds the forbidden phrase “{phrase}”, so no reply could ever contain it"
                yield _error("contradictory_phrases", path, reason, "reword it, or allow the phrase")


def _fixed_texts(playbook: Playbook) -> Iterator[tuple[Path, str]]:
    for index, phrase in enumerate(playbook.phrases.required):
        yield ("phrases", "required", index), phrase
    for index, reply in enumerate(playbook.canned_replies):
        yield ("canned_replies", index, "text"), reply.text
    for name, text in playbook.fallbacks:
        yield ("fallbacks", name), text


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


def _error(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.ERROR, rule, path, reason, remedy)


def _warning(rule: str, path: Path, reason: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, rule, path, reason, remedy)


RULES: tuple[Callable[[Playbook], Iterator[Finding]], ...] = (
    _duplicate_ids,
    _blank_texts,
    _long_texts,
    _contradictory_phrases,
)
