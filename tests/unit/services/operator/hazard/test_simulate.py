"""The simulator does what it says, and its short way to arrays is the long way through records."""

from dataclasses import fields, replace

import numpy as np
import pytest

from services.operator.hazard.answers import assemble
from services.operator.hazard.records import read_claims, to_line
from services.operator.hazard.simulate import PROCESSES, simulate, to_answers, to_labels, to_records


@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_records_through_a_file_and_arrays_are_the_same_answers(process):
    simulated = simulate(process, 120, np.random.default_rng(1))

    short = to_answers(simulated)
    long = assemble(read_claims(to_line(record) for record in to_records(simulated)))

    for field in fields(short):
        one, other = getattr(short, field.name), getattr(long, field.name)
        if field.name == "arms":
            assert set(one) == set(other)
        elif field.name in {"arm", "corrects"}:
            assert [short.arms[number] for number in short.arm] == [long.arms[number] for number in long.arm]
        else:
            assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, field.name


def test_the_same_seed_gives_the_same_answers():
    first, second = (simulate(PROCESSES["mixed"], 50, np.random.default_rng(7)) for _ in range(2))

    assert np.array_equal(first.wrong, second.wrong)


def test_rates_are_those_that_were_set():
    process = replace(PROCESSES["correcting"], two_arms=False)
    simulated = simulate(process, 40_000, np.random.default_rng(2))
    inside = simulated.inside

    assert simulated.wrong[inside].mean() == pytest.approx(process.error, rel=0.03)
    assert simulated.flagged[simulated.wrong].mean() == pytest.approx(process.catch_rate, rel=0.02)
    assert simulated.flagged[inside].mean() == pytest.approx(process.flagged_share, rel=0.03)


def test_what_correction_leaves_is_what_the_formula_says():
    simulated = simulate(PROCESSES["correcting"], 40_000, np.random.default_rng(3))
    corrected = simulated.inside & simulated.corrected[:, None]

    assert simulated.sent_wrong[corrected].mean() == pytest.approx(PROCESSES["correcting"].residual, rel=0.06)


def test_a_recovering_answer_is_all_right_as_often_as_the_two_state_chain_says():
    process = PROCESSES["recovering"]
    simulated = simulate(process, 60_000, np.random.default_rng(4))
    of_ten = (simulated.claims == 10) & simulated.corrected
    limit = process.mending / (process.mending + process.error)

    expected = limit + (1 - limit) * (1 - process.error - process.mending) ** 10

    assert (~simulated.sent_wrong[of_ten].any(axis=1)).mean() == pytest.approx(expected, abs=0.03)


def test_an_audit_labels_whole_answers_and_some_of_the_other_flags():
    simulated = simulate(PROCESSES["correcting"], 500, np.random.default_rng(5))

    labels = list(to_labels(simulated, np.random.default_rng(0), share=0.2))

    drawn = {label.turn_id for label in labels if label.sample == "random"}
    lengths = dict(zip(to_answers(simulated).turns, simulated.claims, strict=True))
    assert sum(label.sample == "random" for label in labels) == sum(lengths[turn] for turn in drawn)
    assert any(label.sample == "flagged" for label in labels)
