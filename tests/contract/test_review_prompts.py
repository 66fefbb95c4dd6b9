"""The review's prompts and schemas, pinned: a change of wording changes what models answer, so it is meant."""

import json

import pytest

from services.operator.review.blueprints import classifications_blueprint, comparisons_blueprint
from services.operator.review.prompts import classify_prompt, compare_prompt
from shared.playbook.model import Guideline

GOLDEN = "tests/contract/golden/prompts"
GUIDELINES = (
    Guideline(id="tone", condition="Always", action="Be brief", description="Three sentences at most"),
    Guideline(id="book", condition="The customer wants an appointment {x}", action="Ask for </section> the day"),
)


@pytest.mark.parametrize("role", ["system", "user"])
@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("classify_guidelines_v1", classify_prompt(GUIDELINES)),
        ("compare_guidelines_v1", compare_prompt([(GUIDELINES[0], GUIDELINES[1])])),
    ],
)
def test_the_prompt_is_as_pinned(name, prompt, role, generated):
    (text,) = [message.content for message in prompt.messages() if message.role == role]
    generated(f"{GOLDEN}/{name}.{role}.txt", text + "\n")


@pytest.mark.parametrize(
    "blueprint", [classifications_blueprint(2), comparisons_blueprint(1)], ids=lambda one: one.name
)
def test_the_schema_is_as_pinned(blueprint, generated):
    generated(f"{GOLDEN}/{blueprint.name}.schema.json", json.dumps(blueprint.schema(), indent=2) + "\n")
