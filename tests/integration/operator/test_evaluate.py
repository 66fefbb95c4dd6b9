"""
`holdfast evaluate` through a real matcher process and the embedded broker.
"""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.operator.adapters.stack import StackPlan, running
from services.operator.cli import app
from services.operator.evaluation.kept import read_results
from services.operator.evaluation.plays import TENANT, Plan, plays
from services.operator.evaluation.result import Result
from services.operator.evaluation.runner import run
from services.operator.evaluation.scenario import Expected, Judged, read_scenarios
from services.operator.evaluation.scripted import scripted_rules
from shared.broker.clients import KafkaSettings
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.settings import LlmSettings

SAMPLE = Path(str(files("services.operator"))) / "samples" / "scenarios" / "bank.yaml"


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_OPERATOR_FOLDER", str(tmp_path / "folder"))

    def invoke(*arguments):
        results = tmp_path / "results.jsonl"
        done = CliRunner().invoke(app, ["evaluate", str(SAMPLE), "--results", str(results), *map(str, arguments)])
        return done, read_results(results, Result)

    return invoke


def test_answers_as_labelled_arrive_as_the_labelled_decisions_in_every_size_and_are_not_asked_for_twice(
    evaluate, tmp_path
):
    figures, junit = tmp_path / "figures.json", tmp_path / "junit.xml"
    options = ("--model", "scripted", "--repeats", 2, "--guidelines", 0, "--guidelines", 60)
    done, results = evaluate(*options, "--json", figures, "--junit", junit)
    assert done.exit_code == 0, done.output
    assert len(results) == 5 * 2 * 2
    assert all(result.is_right for result in results.values())
    assert all(result.calls for result in results.values())
    assert {result.guidelines for result in results.values()} >= {60}
    assert [score["exact"]["value"] for score in json.loads(figures.read_text())["scores"]["60"]] == [1.0] * 5
    assert 'failures="0"' in junit.read_text()

    again, kept = evaluate(*options)
    assert again.exit_code == 0
    assert "20 plays kept" in " ".join(again.output.split())
    assert kept == results


async def test_answers_against_the_labels_arrive_as_wrong_decisions(tmp_path):
    scenarios, _ = read_scenarios(SAMPLE)
    plain = [item for item in scenarios if item.expected.judged is Judged.ACTIVE and not item.relationships]
    plan = Plan("spoilt")
    todo = plays(plain, plan, {})
    results = []
    async with RehearsalServer(RehearsalSettings(), rules=scripted_rules(map(_spoilt, plain))) as model:
        stack_plan = StackPlan(
            folder=tmp_path / "stack",
            tenant=TENANT,
            playbook=plain[0].playbook(todo[0].agent),
            stages=("matcher",),
            model_url=model.url,
        )
        async with running(stack_plan, KafkaSettings()) as stack:
            await run(stack.kafka, LlmSettings(url=stack.model_url), todo, plan, results.append)
    assert len(results) == len(plain) == 2
    assert not any(result.is_right or result.failure or result.unknown for result in results)


def _spoilt(scenario):
    others = tuple(item.id for item in scenario.guidelines if item.id not in scenario.expected.ids)
    return scenario.model_copy(update={"expected": Expected(ids=others)})
