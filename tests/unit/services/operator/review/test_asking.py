"""A review by a model: what is asked, that nothing is paid for twice, and how answers come into the file."""

import json

import pytest

from services.operator.review.asking import BATCH, Reviewer, suspects, undeclared
from services.operator.review.writing import declared
from shared.arq.prompt import parse as sections_of
from shared.errors import Fatal, Invalid
from shared.llm.base import Completion, Usage
from shared.llm.errors import InvalidAnswer
from shared.llm.rehearsal.rules import Situation
from shared.llm.rehearsal.rules_review import RULES
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.playbook.finding import Basis
from shared.playbook.loading import parse

HEAD = "agent: desk # the desk\nprofile: {name: Ada}\nguidelines:\n"
BLOCK = (
    "  # when they call\n  - id: a\n    condition: The customer calls about a late order\n"
    "    action: Ask for the number # of the order\n    criticality: high\n"
)
FLOW = "  - {id: b, condition: The customer calls about a late order, action: Never ask for the number, tags: [x]}\n"


class Rehearsing:
    """The rehearsal model without HTTP; `spoil` changes its answers."""

    def __init__(self, spoil=None):
        self.requests = []
        self.spoil = spoil

    async def complete(self, request):
        self.requests.append(request)
        sections = {}
        for message in request.messages:
            sections |= sections_of(message.content)
        said = RULES[request.schema_name](Situation(sections, request.schema, None, RehearsalSettings()))
        if self.spoil:
            self.spoil(said)
        return Completion(json.dumps(said), "stop", Usage(10, 5, 1), "rehearsal")


@pytest.fixture
def reviewer(tmp_path):
    return Reviewer(Rehearsing(), "m", tmp_path / "kept", 5.0, 100)


def playbook(text=BLOCK + FLOW):
    return parse((HEAD + text).encode(), "desk.yaml").playbook


async def test_kinds_are_asked_for_once_for_each_content(reviewer):
    guidelines = [one for _, one in undeclared(playbook())]
    first = await reviewer.classified(guidelines)
    again = await reviewer.classified(list(reversed(guidelines)))
    assert again == list(reversed(first))
    assert first[0] == {"customer_dependent"}
    assert len(reviewer.model.requests) == 1
    await reviewer.classified([guidelines[0].model_copy(update={"action": "Greet"})])
    assert len(reviewer.model.requests) == 2
    assert reviewer.usage == Usage(20, 10, 2)


async def test_many_guidelines_are_asked_about_in_batches(reviewer):
    one = playbook().guidelines[0]
    many = [one.model_copy(update={"action": f"Greet {number}"}) for number in range(BATCH * 2 + 1)]
    assert await reviewer.classified(many) == [frozenset()] * len(many)
    assert len(reviewer.model.requests) == 3


async def test_a_contradiction_that_the_model_finds_says_so(reviewer):
    (found,) = await reviewer.contradictions(playbook())
    assert found.by is Basis.MODEL
    assert found.path == ("guidelines", 1, "action")
    assert "`a`" in found.reason
    await reviewer.contradictions(playbook())
    assert len(reviewer.model.requests) == 1


async def test_an_answer_that_skips_a_guideline_is_no_answer(tmp_path):
    model = Rehearsing(lambda said: said["guidelines"].pop())
    reviewer = Reviewer(model, "m", tmp_path, 5.0, 100)
    with pytest.raises(InvalidAnswer):
        await reviewer.classified(playbook().guidelines)
    assert not list(tmp_path.iterdir())


async def test_kept_answers_that_cannot_be_read_are_told(reviewer):
    reviewer.folder.mkdir()
    (reviewer.folder / "classifications.json").write_text("{")
    with pytest.raises(Fatal, match="remove it"):
        await reviewer.classified(playbook().guidelines)


def test_pairs_are_bounded_and_the_most_alike_come_first():
    other = "  - {id: c, condition: Order is late, action: Sing}\n  - {id: d, condition: It rains, action: Dance}\n"
    found = suspects(playbook(BLOCK + FLOW + other), 2)
    assert [(first.guideline.id, second.guideline.id) for first, second in found] == [("a", "b"), ("a", "c")]


def test_what_is_declared_is_not_asked_about():
    text = BLOCK + "    continuous: false\n" + FLOW + "  - {id: c, condition: It rains}\n"
    assert [guideline.id for _, guideline in undeclared(playbook(text))] == ["b"]


def test_kinds_are_put_in_and_everything_else_stays():
    text = HEAD + BLOCK + FLOW
    after = declared(text, "desk.yaml", {0: {"customer_dependent", "continuous"}, 1: {"agent_intention"}})
    added = "    continuous: true\n    customer_dependent: true\n"
    assert after == text.replace("    criticality", added + "    criticality").replace(
        "tags:", "agent_intention: true, tags:"
    )


def test_an_action_that_comes_last_gets_them_before_it():
    text = HEAD + "  - id: a\n    condition: It rains\n    action: |\n      Stay in\n      and read\n"
    after = declared(text, "desk.yaml", {0: {"continuous"}})
    assert after == text.replace("    action", "    continuous: true\n    action")


def test_a_guideline_behind_an_alias_is_left_to_its_author():
    text = "agent: desk\nprofile: {name: Ada}\nguidelines:\n  - &a {id: a, condition: It rains, action: Stay}\n"
    text += "  - {<<: *a, id: b}\n"
    with pytest.raises(Invalid, match="by hand"):
        declared(text, "desk.yaml", {0: {"continuous"}})
