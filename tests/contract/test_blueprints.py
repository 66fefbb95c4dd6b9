"""Every question to a model lets it reason before it concludes, and asks only what every provider can enforce."""

import importlib
import inspect
import re
from itertools import product
from pathlib import Path

import jsonschema
import pytest

from shared.arq.blueprint import Blueprint, Queries, portable
from shared.events.claims import ReasoningMode

ROOT = Path(__file__).parents[2]
CONCLUSIONS = {"verdict", "status", "decision", "segments", "text", "leads_to", "steps"}
"""What an answer decides. Answers of other fields alone are lists of parts, each with a conclusion of its own."""
REASONS = {"condition", "evidence", "rationale", "reasoning", "quote", "insights", "customer_asks", "fact_ids"}
"""What it decides by."""


def modules():
    for file in sorted((ROOT / "services").rglob("blueprints.py")):
        yield importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


MODULES = list(modules())
ANSWERS = [
    held
    for module in MODULES
    for held in vars(module).values()
    if inspect.isclass(held) and issubclass(held, Queries) and held.__module__ == module.__name__
]
SAMPLES = {int: (0, 1, 3), ReasoningMode: tuple(ReasoningMode)}


def blueprints():
    """Every blueprint that the modules' factories make, from small and from larger questions."""
    for module in MODULES:
        for name, factory in vars(module).items():
            if name.endswith("_blueprint") and factory.__module__ == module.__name__:
                kinds = inspect.signature(factory, eval_str=True).parameters.values()
                for arguments in product(*(SAMPLES[parameter.annotation] for parameter in kinds)):
                    yield pytest.param(factory(*arguments), id=f"{module.__name__.split('.')[1]}-{name}{arguments}")


BLUEPRINTS = list(blueprints())


def test_every_stage_that_asks_a_model_is_looked_at():
    assert {module.__name__.split(".")[1] for module in MODULES} == {"matcher", "operator", "reasoner", "verifier"}
    assert {param.values[0].answer for param in BLUEPRINTS} <= set(ANSWERS)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda held: held.__name__)
def test_fields_are_not_inherited(answer):
    """A base class's fields come first, whatever the order was meant to be."""
    assert answer.__bases__ == (Queries,)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda held: held.__name__)
def test_no_field_has_a_default(answer):
    """A default would take the field from `required`, and let the model skip the query."""
    assert [name for name, info in answer.model_fields.items() if not info.is_required()] == []


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda held: held.__name__)
def test_reasons_come_before_the_conclusion_which_is_last(answer):
    names = list(answer.model_fields)
    conclusions = [name for name in names if name in CONCLUSIONS]

    assert not conclusions or names[-1] == conclusions[-1]
    assert [name for name in names[names.index(conclusions[0]) :] if name in REASONS] == [] if conclusions else True


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda held: held.__name__)
def test_an_answer_without_conclusion_is_a_list_of_parts(answer):
    if not answer.model_fields.keys() & CONCLUSIONS:
        schema = portable(answer.model_json_schema())
        assert {part["type"] for part in schema["properties"].values()} == {"array"}


@pytest.mark.parametrize("blueprint", BLUEPRINTS)
def test_a_blueprint_has_a_versioned_name_and_a_portable_schema_in_its_own_order(blueprint):
    schema = blueprint.schema()

    assert re.fullmatch(r"[a-z]+(_[a-z]+)*_v[1-9][0-9]*", blueprint.name)
    assert len(blueprint.name) <= 64
    jsonschema.Draft202012Validator.check_schema(schema)
    assert portable(schema) == schema
    assert list(schema["properties"]) == list(blueprint.answer.model_fields)


def test_every_choice_restricts_a_property_of_some_answer():
    """A misspelt name would restrict nothing, silently. (The modes of a draft share their choices.)"""
    named, restricting = set(), set()
    for param in BLUEPRINTS:
        blueprint = param.values[0]
        stage = param.id.split("-")[0]
        for name, values in blueprint.choices:
            assert len(set(values)) == len(values)
            named.add((stage, name))
            alone = Blueprint(blueprint.name, blueprint.answer, ((name, ("only",)),))
            if alone.schema() != Blueprint(blueprint.name, blueprint.answer).schema():
                restricting.add((stage, name))

    assert named
    assert sorted(named - restricting) == []


def test_a_name_stands_for_one_answer():
    answers = {}
    for param in BLUEPRINTS:
        answers.setdefault(param.values[0].name, set()).add(param.values[0].answer)

    assert all(len(held) == 1 for held in answers.values())
