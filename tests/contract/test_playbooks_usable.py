"""Whatever a playbook's file or record holds: it is told what is wrong, or every service can work by it."""

import copy
import json
from contextlib import suppress
from importlib import resources

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.matcher.domain.compiled import compiled
from services.operator.review.reviewing import reviewed
from services.reasoner.domain.knowledge import Knowledge
from services.reasoner.domain.prompts import catalogue
from services.reasoner.domain.tools.candidates import Toolbox
from services.verifier.domain.case import rules_of
from shared.errors import Invalid
from shared.playbook.finding import PlaybookError, errors
from shared.playbook.loading import read_text
from shared.playbook.mermaid import mermaid
from shared.playbook.records import PlaybookKey, pack
from shared.playbook.shelf import Shelf
from shared.playbook.templates import Unfilled, render
from shared.playbook.version import canonical, from_canonical, hash_of

SAMPLE = (resources.files("services.operator.samples") / "bank.yaml").read_bytes()
SEED = json.loads(canonical(read_text(SAMPLE, "bank.yaml").playbook)) | {
    "tools": [
        {
            "id": "transfer",
            "description": "moves money",
            "parameters": [
                {"name": "amount", "type": "number", "choices": ["1", "2.5"], "default": 1},
                {"name": "iban", "pattern": "[A-Z]{2}[0-9]{2,30}", "choices": ["NO93"], "examples": ["NO93"]},
                {"name": "day", "type": "date"},
            ],
            "http": {"url": "https://bank.example/{iban}", "method": "POST", "headers": {"x-team": "cards"}},
        },
        {"id": "look", "description": "looks", "mcp": {"url": "http://tools.example:8080/mcp", "tool": "look"}},
    ],
    "retrievers": [{"id": "articles", "url": "https://help.example/search"}],
    "variables": [{"name": "plan", "scope": "tenant", "value": "gold"}],
    "experiment": {"name": "modes", "arms": {"a": {"weight": 1.5}, "b": {"mode": "cot"}}},
    "journeys": [
        {
            "id": "close",
            "title": "Closing an account",
            "conditions": ["The customer wants to close an account"],
            "states": [
                {"id": "ask", "action": "Ask why", "next": [{"to": "end", "when": "told"}]},
            ],
        }
    ],
    "relationships": [],
    "canned_replies": [
        {
            "id": "plan",
            "text": "You have {{ std.variables.plan }}{% if std.customer.name %}, {{ std.customer.name }}{% endif %}.",
        }
    ],
}
ODD_TEXTS = [
    "", " ", "\x00", "\x1b[2J", "\u202e", "\ud83d", "\U0001f600", "é" * 500, "a" * 20_000, "{{", "{% for x in y %}",
    "{{ '\\ud800' }}", "{{ 9**9 }}", "{{ x|upper }}", "((((", "(a+)+$", "a{1000}{1000}", "(?=a)", "[[:alpha:]]", "\\",
    "http://[", "http://h:99999/", "https://xn--/", "secret:NAME", "tag:x", "journey:close", "end", "1e400", "nan",
    "9" * 5_000, "<<", "*a", "&a", "!!set", "null", "true", "- a", "\r\n", "\u2028", "\ufeff", "__proto__", "ａ", "ı",
]  # fmt: skip
ODD = st.one_of(
    st.sampled_from(ODD_TEXTS),
    st.text(max_size=20),
    st.sampled_from(
        [None, True, 0, -1, 2**53, 10**400, -0.0, 1e308, float("inf"), float("nan"), [], {}, [[]], {"": {}}]
    ),
    st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5),
)


def paths(part, path=()):
    yield path
    for key, inner in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        yield from paths(inner, (*path, key))


PATHS = [path for path in paths(SEED) if path]


@st.composite
def changed(draw):
    """The seed with one to three of its parts replaced, left out, repeated or named otherwise."""
    data = copy.deepcopy(SEED)
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=3)):
        holder = data
        try:
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # a change before took it away
        match draw(st.sampled_from(["replace", "replace", "remove", "repeat", "name"])):
            case "replace":
                holder[path[-1]] = draw(ODD)
            case "remove":
                del holder[path[-1]]
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[path[-1]]))
            case _ if isinstance(holder, dict):
                holder[draw(st.sampled_from(ODD_TEXTS))] = holder.pop(path[-1])
            case _:
                holder[path[-1]] = draw(ODD)
    return data


def shelved(content, agent):
    shelf, version = Shelf(), hash_of(content)
    shelf.apply(PlaybookKey("acme", agent, version).encode(), pack(content))
    shelf.apply(PlaybookKey("acme", agent).encode(), json.dumps({"version": version, "kept": [version]}).encode())
    return shelf.current("acme", agent)[1]


def used(playbook):
    """Do with *playbook* all that services do before the first turn."""
    content = canonical(playbook)
    assert from_canonical(content) == playbook
    assert shelved(content, playbook.agent) == playbook
    compiled(playbook)
    knowledge = Knowledge(playbook)
    catalogue(playbook, knowledge)
    Toolbox(playbook)
    rules_of(playbook)
    for journey in playbook.journeys:
        mermaid(journey).encode()
    for reply in playbook.canned_replies:
        with suppress(Unfilled):
            render(reply.text, {"std.customer.name": "Ada"})


def taken(text):
    """Whether the checks take *text* for a playbook, which then can be used."""
    try:
        loaded = read_text(text, "bank.yaml")
    except PlaybookError as refused:
        told = refused
    else:
        return used_unless_refused(loaded)
    assert all(finding.line >= 1 and finding.reason and finding.remedy for finding in told.findings)
    str(told).encode()
    return False


def used_unless_refused(loaded):
    tuple(reviewed(loaded.playbook))
    for finding in loaded.findings:
        str(finding).encode()
    if errors(loaded.findings):
        return False
    used(loaded.playbook)
    return True


def test_the_seeds_are_taken():
    assert taken(SAMPLE)
    assert taken(json.dumps(SEED).encode())


slowly = settings(deadline=None, suppress_health_check=list(HealthCheck))


@slowly
@given(
    st.integers(0, len(SAMPLE)),
    st.integers(0, 60),
    st.binary(max_size=12)
    | st.sampled_from(
        [
            b"&a ",
            b"*a",
            b"<<: *a",
            b"!!set ",
            b"? ",
            b"[",
            b"{",
            b"\t",
            b'"\\ud83d"',
            b"\x00",
            b"\xff",
            b"---\n",
            b": ",
            b"|\n",
        ]
    ),
)
def test_a_file_changed_in_its_bytes(at, cut, put):
    taken(SAMPLE[:at] + put + SAMPLE[at + cut :])


@slowly
@given(changed())
def test_a_file_changed_in_its_parts(data):
    taken(json.dumps(data).encode())


@slowly
@given(changed())
def test_a_record_changed_in_its_parts(data):
    content = json.dumps(data).encode()
    agent = data.get("agent")
    try:
        playbook = shelved(content, agent if isinstance(agent, str) else "bank")
    except (Invalid, UnicodeEncodeError):  # a key that is no text cannot be written
        return
    used(playbook)


@slowly
@given(st.integers(0, 10_000), st.binary(max_size=8), st.integers(0, 8))
def test_a_record_changed_in_its_bytes(at, put, cut):
    content = json.dumps(SEED).encode()
    at %= len(content)
    try:
        playbook = shelved(content[:at] + put + content[at + cut :], "bank")
    except Invalid:
        return
    used(playbook)


@pytest.mark.parametrize("kind", ["priority", "dependency", "dependency_any", "entailment", "disambiguation"])
def test_relationships_of_tags_do_not_grow_beyond_what_a_matcher_holds(kind):
    guidelines = [{"id": f"g{n}", "condition": f"c {n}", "tags": ["t"]} for n in range(2_000)]
    bad = {"kind": kind, "source": "tag:t", "targets": [f"g{n}" for n in range(2_000)]}
    data = SEED | {"guidelines": guidelines, "relationships": [bad, bad | {"source": "g0", "targets": ["tag:t", "g1"]}]}
    with pytest.raises(Invalid, match="relationships"):
        shelved(json.dumps(data).encode(), "bank")
