"""What `playbook check` says of approved texts, variables and retrievers."""

import pytest

from shared.playbook.checking import check
from shared.playbook.model import Playbook

BASE = {
    "agent": "desk",
    "profile": {"name": "Desk"},
    "guidelines": [{"id": "law", "condition": "a customer asks", "action": "answer"}],
    "facts": [{"id": "hours", "text": "Open from 9."}],
    "variables": [{"name": "plan"}],
}


def found(**changes):
    return [(f.severity.value, f.rule, f.path) for f in check(Playbook.model_validate(BASE | changes))]


def canned(text, **more):
    return {"canned_replies": [{"id": "one", "text": text} | more]}


TEXT = ("canned_replies", 0, "text")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Dear {{ std.customer.name }}, {{ std.variables.plan }}: {{ facts.hours }} {{ generative.fee }}", None),
        ("{{ broken", ("error", "bad_template", TEXT)),
        ("{{ x.__class__ }}", ("error", "bad_template", TEXT)),
        ("{{ std.customer.age }}", ("error", "unknown_field", TEXT)),
        ("{{ facts.hour }}", ("error", "unknown_reference", TEXT)),
        ("{{ std.variables.plam }}", ("warning", "undeclared_variable", TEXT)),
        ("{{ balance }}", ("warning", "unfilled_field", TEXT)),
    ],
)
def test_a_template_is_checked(text, finding):
    assert found(**canned(text)) == ([finding] if finding else [])


def test_a_text_names_guidelines_that_exist():
    assert found(**canned("Hello.", guidelines=["law", "lav"])) == [
        ("error", "unknown_reference", ("canned_replies", 0, "guidelines", 1))
    ]


def test_a_strict_playbook_has_texts_that_may_leave():
    assert found(composition="strict") == [("error", "nothing_approved", ("composition",))]
    assert found(composition="strict", phrases={"required": ["terms apply"]}, **canned("Hello.")) == [
        ("warning", "required_phrase", ("phrases", "required", 0))
    ]


def test_names_are_declared_once_and_secrets_not_at_all():
    retriever = {"id": "docs", "url": "https://docs.example/", "headers": {"Authorization": "Bearer abc"}}
    changes = {"variables": [{"name": "plan"}, {"name": "plan"}], "retrievers": [retriever, retriever]}
    assert found(**changes) == [
        ("error", "duplicate_id", ("variables", 1, "name")),
        ("error", "duplicate_id", ("retrievers", 1, "id")),
        ("error", "secret", ("retrievers", 0, "headers", "Authorization")),
        ("error", "secret", ("retrievers", 1, "headers", "Authorization")),
    ]


def test_the_acknowledgement_has_no_forbidden_phrase():
    changes = {"acknowledgement": "It is risk-free, one moment.", "phrases": {"forbidden": ["risk-free"]}}
    assert found(**changes) == [("error", "contradictory_phrases", ("acknowledgement",))]
