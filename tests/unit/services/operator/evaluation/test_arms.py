"""The same scenarios in several modes: what is played, and what the comparison says of made-up results."""

import pytest

from services.operator.evaluation.arms import arm_scores, arms_document, arms_table, by_arm
from services.operator.evaluation.plays import Plan, in_modes, plays
from services.operator.evaluation.result import Result
from services.operator.evaluation.scenario import Scenario
from shared.errors import Fatal

REPLIED = {
    "area": "e2e/x",
    "conversation": [{"source": "customer", "text": "Hello"}],
    "expected": {"judged": "replied", "answer": "reply"},
}


def scenarios(count):
    return [Scenario.model_validate(REPLIED | {"id": f"s-{number}"}) for number in range(count)]


def result(play, right, **changes):
    return Result(
        fingerprint=play.fingerprint,
        repeat=play.repeat,
        scenario=play.scenario.id,
        area=play.scenario.area,
        guidelines=0,
        expected=("reply",),
        observed=("reply",) if right else ("silence",),
        calls=1,
        **changes,
    )


def played(right_by_mode, count=40):
    known = in_modes(scenarios(count), ",".join(right_by_mode))
    wanted = plays(known, Plan("m"), {})
    places = {name: place for place, name in enumerate(dict.fromkeys(play.scenario.id for play in wanted))}
    results = [result(play, places[play.scenario.id] < right_by_mode[play.scenario.mode]) for play in wanted]
    return by_arm(results, wanted)


def test_every_scenario_about_a_reply_is_played_once_in_each_mode():
    matched = Scenario.model_validate(
        REPLIED | {"id": "m", "expected": {"judged": "verdicts"}, "guidelines": [{"id": "g", "condition": "c"}]}
    )
    known = in_modes([*scenarios(2), matched], "direct, arq")
    assert [(one.id, one.mode.value) for one in known] == [
        ("s-0", "direct"),
        ("s-1", "direct"),
        ("s-0", "arq"),
        ("s-1", "arq"),
    ]
    assert len({play.fingerprint for play in plays(known, Plan("m"), {})}) == 4
    assert known[0].playbook("a").mode == "direct"


@pytest.mark.parametrize("modes", ["direct,direct", "free", "", "arq,"])
def test_a_mode_that_is_not_known_or_named_twice_is_refused(modes):
    with pytest.raises(Fatal, match="--arms"):
        in_modes(scenarios(1), modes)


def test_without_a_reply_to_judge_there_is_nothing_to_compare():
    with pytest.raises(Fatal, match="no scenario judges a reply"):
        in_modes([], "arq")


def test_arms_are_compared_with_the_first_within_scenarios():
    direct, arq = arm_scores(played({"direct": 20, "arq": 38}))
    assert (direct.arm, direct.gain, direct.p_value) == ("direct", None, None)
    assert (direct.right.value, arq.right.value) == (0.5, 0.95)
    assert arq.right.low < 0.95 < arq.right.high
    assert arq.gain.value == pytest.approx(0.45)
    assert 0.2 < arq.gain.low < 0.45 < arq.gain.high < 0.7
    assert arq.p_value == pytest.approx(2 * 0.5**18)


def test_arms_that_agree_differ_by_nothing_and_chance_explains_it():
    _, same = arm_scores(played({"direct": 20, "cot": 20}))
    assert (same.gain.low, same.gain.value, same.gain.high, same.p_value) == (0, 0, 0, 1)


def test_the_table_has_a_row_an_arm_and_the_document_every_result():
    arms = played({"direct": 1, "cot": 2, "arq": 3}, count=4)
    scored = arm_scores(arms)
    assert arms_table(scored).row_count == 3
    document = arms_document(scored, arms)
    assert [one["arm"] for one in document["arms"]] == ["direct", "cot", "arq"]
    assert {name: len(listed) for name, listed in document["results"].items()} == {"direct": 4, "cot": 4, "arq": 4}
