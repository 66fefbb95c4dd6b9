"""
The door of playbooks: files and records, to what every service works out of them.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from io import StringIO

from ruamel.yaml import YAML

from services.matcher.domain.compiled import compiled
from services.reasoner.stage import _fix
from services.verifier.domain.case import rules_of
from shared.errors import Invalid
from shared.playbook.finding import PlaybookError, errors
from shared.playbook.loading import read_text
from shared.playbook.model import Playbook
from shared.playbook.records import Head, PlaybookKey, pack
from shared.playbook.shelf import Shelf
from shared.playbook.version import canonical, from_canonical, hash_of, version_of
from tests.fuzz.desk import AGENT, document
from tests.fuzz.door import OTHER, OWNER, Broken, Door
from tests.fuzz.entry import Entry

FILE, CONTENT, HEAD = "file", "content", "head"
FILE_BYTES_MAX = 16_384
"""Of a file, which its author's machine reads, in pure Python, at some 100 KB a second; processes read records."""


class Playbooks:
    """A session of an author's file, or of a publisher's records, before which a good version stood."""

    async def enter(self, entry: Entry) -> bool:
        """See `Session.enter`."""
        return _read_file(entry) if entry.kind == FILE else _follow(entry)


def _read_file(entry: Entry) -> bool:
    try:
        loaded = read_text((entry.body or b"")[:FILE_BYTES_MAX], "desk.yaml")
    except PlaybookError as error:
        if not error.findings or any(finding.line < 1 for finding in error.findings):
            raise Broken("a refusal names no line") from error
        return not any(finding.rule in {"bad_yaml", "bad_encoding"} for finding in error.findings)
    for finding in loaded.findings:
        str(finding)
    if not errors(loaded.findings):
        _used(loaded.playbook)
    return True


def _follow(entry: Entry) -> bool:
    shelf, before = _shelf()
    content = entry.body or b""
    key = entry.key
    try:
        if entry.kind == CONTENT:
            version = hash_of(content)
            shelf.apply(PlaybookKey(OWNER, AGENT, version).encode(), pack(content))
            shelf.apply(
                PlaybookKey(OWNER, AGENT).encode(), Head(version=version, kept=(version,)).model_dump_json().encode()
            )
        else:
            shelf.apply(key, entry.body)
    except Invalid as error:
        if key == PlaybookKey(OWNER, AGENT).encode() and shelf.current(OTHER, AGENT) is None:
            raise Broken("a refused record put another tenant's playbook out of force") from error
        if shelf.current(OWNER, AGENT) is None:
            raise Broken("a refused record put the version before it out of force") from error
        return _is_json(content)
    current = shelf.current(OWNER, AGENT)
    if current is not None and current[0] != before:
        _used(current[1])
    return True


def _used(playbook: Playbook) -> None:
    """What a playbook in force is made into; its canonical form is the same after it was read back."""
    content = canonical(playbook)
    if canonical(from_canonical(content)) != content or version_of(from_canonical(content)) != hash_of(content):
        raise Broken("a playbook is another one after it was read back")
    compiled(playbook)
    _fix(playbook)
    rules_of(playbook)


def _is_json(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def _shelf() -> tuple[Shelf, str]:
    shelf = Shelf()
    for key, value in _good():
        shelf.apply(key, value)
    return shelf, _versions()[0]


@lru_cache(maxsize=1)
def _good() -> list[tuple[bytes, bytes]]:
    found = []
    for tenant, version in zip((OWNER, OTHER), _versions(), strict=True):
        content = canonical(Playbook.model_validate(document(tenant)))
        found.append((PlaybookKey(tenant, AGENT, version).encode(), pack(content)))
        head = Head(version=version, kept=(version,)).model_dump_json().encode()
        found.append((PlaybookKey(tenant, AGENT).encode(), head))
    return found


@lru_cache(maxsize=1)
def _versions() -> tuple[str, str]:
    first, second = (version_of(Playbook.model_validate(document(tenant))) for tenant in (OWNER, OTHER))
    return first, second


@lru_cache(maxsize=1)
def samples() -> Sequence[Entry]:
    """Small playbooks of every part, as files and as records."""
    whole = document()
    parts = [
        {"guidelines": [{"id": "cost", "condition": "It is asked", "action": "Say the fee", "priority": 2}]},
        {"tools": whole["tools"][:2], "guidelines": [dict(whole["guidelines"][0], tools=["tariff"])]},
        {"retrievers": whole["retrievers"], "facts": whole["facts"]},
        {"glossary": whole["glossary"], "phrases": {"forbidden": ["risk-free"], "required": []}},
        {"journeys": [_journey()]},
        {"limits": whole["limits"], "verification": {"calibration_share": 0.5}, "fallbacks": whole["fallbacks"]},
        {"variables": [{"name": "kind", "scope": "tenant", "value": "x", "description": "d"}], "mode": "direct"},
    ]
    documents = [{"agent": AGENT, "profile": {"name": "Desk"}} | part for part in parts]
    found = [Entry(CONTENT, canonical(Playbook.model_validate(one))) for one in (*documents, whole)]
    found += [Entry(FILE, _yaml(one)) for one in documents]
    found += [Entry(FILE, json.dumps(one).encode()) for one in documents]
    version = _versions()[0]
    found.append(
        Entry(HEAD, Head(version=version, kept=(version,)).model_dump_json().encode(), f"{OWNER}:{AGENT}".encode())
    )
    found.append(Entry(HEAD, _good()[0][1], f"{OWNER}:{AGENT}:{version}".encode()))
    return found


def _journey() -> dict[str, object]:
    return {
        "id": "move",
        "title": "A customer moves",
        "conditions": ["The customer moves"],
        "states": [
            {"id": "ask", "action": "Ask for the address", "next": [{"to": "thank", "when": "The address is given"}]},
            {"id": "thank", "action": "Say thanks"},
        ],
    }


def _yaml(one: object) -> bytes:
    text = StringIO()
    yaml = YAML()
    yaml.dump(one, text)
    return text.getvalue().encode()


DOOR = Door("playbooks", "playbooks, as files and as records", samples, Playbooks)
