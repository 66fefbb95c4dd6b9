import json
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.operator.evaluation.distractors import distractors
from services.operator.evaluation.scenario import Judged, read_scenarios
from shared.errors import Fatal
from shared.playbook.checking import check
from shared.playbook.finding import errors

SAMPLES = Path(str(files("services.operator"))) / "samples" / "scenarios"


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_sample_is_read_and_makes_a_sound_playbook(path):
    scenarios, unfit = read_scenarios(path)
    assert scenarios
    assert not unfit
    for scenario in scenarios:
        assert not errors(check(scenario.playbook("agent", distractors(scenario, 50))))


def test_the_samples_show_more_than_one_way_of_judging():
    judged = {item.expected.judged for path in SAMPLES.glob("*.yaml") for item in read_scenarios(path)[0]}
    assert {Judged.ACTIVE, Judged.CHOICE, Judged.STEP} <= judged


@pytest.mark.parametrize(
    "changes",
    [
        {"expected": {"ids": ["c"]}},
        {"expected": {"ids": ["a"], "matched": ["c"]}},
        {"applied": ["c"]},
        {"path": ["a"]},
        {"expected": {"judged": "step", "ids": ["a"]}},
        {"conversation": []},
        {"colour": "blue"},
    ],
)
def test_a_label_that_names_nothing_is_refused(make_scenario, changes):
    with pytest.raises(ValidationError):
        make_scenario(**changes)


def test_a_fingerprint_follows_the_content_the_size_and_the_model(make_scenario):
    scenario = make_scenario()
    prints = [
        scenario.fingerprint(0, "m"),
        scenario.fingerprint(10, "m"),
        scenario.fingerprint(0, "n"),
        make_scenario(variables={"x": "1"}).fingerprint(0, "m"),
    ]
    assert len(set(prints)) == len(prints)
    assert make_scenario().fingerprint(0, "m") == prints[0]


def test_a_file_that_holds_no_scenarios_is_told_with_its_place(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("- id: x\n  area: y\n  expected: {}\n")
    with pytest.raises(Fatal, match=r"bad\.yaml: scenario 0: .*`conversation`"):
        read_scenarios(file)
    file.write_text("a: [")
    with pytest.raises(Fatal, match="cannot be read as scenarios"):
        read_scenarios(file)
    with pytest.raises(Fatal, match=r"missing\.yaml"):
        read_scenarios(tmp_path / "missing.yaml")


def test_two_scenarios_of_one_id_are_refused(tmp_path, make_scenario):
    file = tmp_path / "twice.yaml"
    file.write_text(json.dumps([make_scenario().model_dump(mode="json")] * 2))
    with pytest.raises(Fatal, match="same id"):
        read_scenarios(file)


def test_padding_reaches_the_size_and_adds_nothing_twice(make_scenario):
    scenario = make_scenario()
    padded = [*scenario.guidelines, *distractors(scenario, 1_000)]
    assert len(padded) == 1_000
    assert len({item.id for item in padded}) == len({item.condition for item in padded}) == 1_000
    assert distractors(scenario, 0) == ()
    assert distractors(scenario, 50) == distractors(scenario, 100)[:48]


def test_more_distractors_than_there_are_is_refused(make_scenario):
    with pytest.raises(Fatal, match="fewer guidelines"):
        distractors(make_scenario(), 100_000)
