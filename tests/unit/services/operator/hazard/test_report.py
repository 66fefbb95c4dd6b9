"""The whole report, its words and its picture: on every process, and on every edge, without overclaiming."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from services.operator import hazard_tables
from services.operator.hazard import pictures, words
from services.operator.hazard.answers import UNKNOWN, assemble
from services.operator.hazard.report import Finding, analyse, finding
from services.operator.hazard.simulate import PROCESSES, simulate, to_answers, to_labels
from services.operator.hazard.truth import recovered

DRAWS = 100


def simulated(process, answers, seed=1):
    return to_answers(simulate(PROCESSES[process], answers, np.random.default_rng(seed)))


def said(report):
    return " ".join(sentence for _, sentences in words.sections(report) for sentence in sentences)


@pytest.fixture(scope="module", params=PROCESSES)
def known(request):
    process = PROCESSES[request.param]
    rng = np.random.default_rng(3)
    drawn = simulate(process, 2_000, rng)
    return process, analyse(to_answers(drawn), list(to_labels(drawn, rng, share=0.2)), draws=DRAWS)


UNCHANGED = {Finding.NO_CHANGE_SEEN, Finding.HETEROGENEOUS, Finding.UNCLEAR}
EXPECTED = {
    "constant": UNCHANGED,
    "falling": {Finding.FALLING},
    "rising": {Finding.RISING},
    "mixed": {Finding.HETEROGENEOUS},
    "correcting": UNCHANGED,
    "recovering": UNCHANGED,
}


def test_each_process_is_found_for_what_it_is(known):
    """A hazard that is constant within answers is never told as one that falls or rises."""
    process, report = known
    first = min(report.arms, key=lambda arm: arm.corrects).find("draft")

    assert first.finding in EXPECTED[process.name]


def test_the_truth_is_recovered(known):
    """Estimates lie within twice their intervals' half width: one interval of twenty may miss."""
    process, report = known
    found = recovered(process, report)

    assert found
    for one in found:
        assert one.low - (one.estimate - one.low) <= one.truth <= one.high + (one.high - one.estimate), one.quantity


NEGATED = re.compile(r"does not refute|refutes? nothing")


def test_words_never_call_a_test_a_refutation(known):
    _, report = known
    text = said(report)

    assert "refut" not in NEGATED.sub("", text)
    assert not re.search(r"\bprov(es|ed|en)\b|\bdisprov", text)
    assert "nan" not in text


def test_a_changing_hazard_is_told_with_the_warning_that_it_refutes_nothing():
    report = analyse(simulated("falling", 1_500), draws=DRAWS)

    assert "E falls with position" in said(report)
    assert "does not refute (1-E)^N" in said(report)


def test_a_mixture_is_never_told_as_a_falling_hazard():
    report = analyse(simulated("mixed", 3_000), draws=DRAWS)

    assert "E falls" not in said(report).replace("no evidence that E falls within", "")
    assert "mixture of easy and hard answers" in said(report)


def test_the_verifiers_own_success_is_not_told_as_the_truth():
    report = analyse(simulated("correcting", 1_500), draws=DRAWS)
    sent = next(arm for arm in report.arms if arm.corrects).find("sent")

    assert sent.wrong == 0
    assert "It says nothing about errors that the verifier misses" in said(report)
    assert "No audit was given" in said(report)


def test_json_is_json_for_every_process(known):
    _, report = known
    read = json.loads(report.to_json())

    assert {arm["name"] for arm in read["arms"]} == {arm.name for arm in report.arms}
    assert "NaN" not in report.to_json()


def test_the_picture_is_drawn_and_small(known, tmp_path):
    _, report = known
    pictures.draw(report, tmp_path / "page.png", source="simulated")

    content = (tmp_path / "page.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 300_000


def edges():
    few = simulated("constant", 400)
    flat = few.where(few.claims == 1)
    good, bad = (np.where(few.draft >= 0, code, few.draft).astype(np.int8) for code in (0, 1))
    unknown = np.where(few.draft >= 0, UNKNOWN, few.draft).astype(np.int8)
    return {
        "one answer": few.where(np.arange(len(few)) == 0),
        "one claim each": flat,
        "a single conversation": replace(few, cluster=np.zeros(len(few), dtype=np.int64)),
        "all right": replace(few, draft=good, sent=good),
        "all wrong": replace(few, draft=bad, sent=bad),
        "nothing judged": replace(few, draft=unknown, sent=unknown),
    }


EDGES = edges()


@pytest.mark.parametrize("answers", EDGES.values(), ids=EDGES)
def test_every_edge_has_its_report_words_tables_and_picture(answers, tmp_path):
    report = analyse(answers, draws=DRAWS)
    pictures.draw(report, tmp_path / "page.png", source="edge")

    assert words.sections(report)
    assert list(hazard_tables.report(report))
    assert json.loads(report.to_json())["arms"]
    assert all(one.finding in {Finding.TOO_FEW, Finding.NO_CHANGE_SEEN} for arm in report.arms for one in arm.series)


def test_no_answers_are_an_empty_report():
    report = analyse(assemble([]), draws=DRAWS)

    assert report.arms == ()
    assert words.headline(None, None).startswith("Too few")


def test_the_same_seed_gives_the_same_report():
    answers = simulated("mixed", 300)

    assert analyse(answers, draws=DRAWS).to_json() == analyse(answers, draws=DRAWS).to_json()


ONE_SERIES = analyse(EDGES["a single conversation"], draws=DRAWS).arms[0].series[0]


@pytest.mark.parametrize(
    ("within_p", "shift", "mixed_p", "constant_p", "failures", "expected"),
    [
        (0.5, 0.1, 0.5, 0.001, 200, Finding.UNCLEAR),
        (0.5, 0.1, 0.001, 0.001, 200, Finding.HETEROGENEOUS),
        (0.5, 0.1, 0.5, 0.5, 200, Finding.NO_CHANGE_SEEN),
        (0.01, -3.0, 0.001, 0.001, 200, Finding.FALLING),
        (0.01, 3.0, 0.001, 0.5, 200, Finding.RISING),
        (0.001, -9.0, 0.001, 0.001, 3, Finding.TOO_FEW),
    ],
)
def test_a_change_is_found_only_within_answers(within_p, shift, mixed_p, constant_p, failures, expected):
    series = ONE_SERIES
    test = replace(series.constant_hazard, failures=failures, p_clustered=constant_p)
    within = replace(series.frailty.within, p_value=within_p, shift=shift)

    assert finding(test, within, mixed_p, clustered=True) is expected
