import json
from xml.etree import ElementTree as ET

from rich.console import Console

from services.operator.evaluation.compare import compared
from services.operator.evaluation.report import by_size, comparison_table, cost_table, document, junit, score_table
from services.operator.evaluation.scoring import scores


def shown(table, *, width=200):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_tables_show_every_area_with_its_interval(make_result):
    found = scores([make_result("one"), make_result("two", right=False, area="journeys", strays=3)])
    accuracy, cost = shown(score_table("t", found)), shown(cost_table("t", found))
    for area in ("matching", "journeys", "all areas"):
        assert area in accuracy
        assert area in cost
    assert "0.21–1.00" in accuracy
    assert "pass^k" in accuracy


def test_a_narrow_terminal_hides_no_figure(make_result):
    found = scores([make_result(area="guideline_matching/previously_applied_customer_dependent")])
    for table in (score_table("t", found), cost_table("t", found)):
        assert "…" not in shown(table, width=80)


def test_sizes_are_kept_apart_and_a_large_scenario_counts_where_it_fits(make_result):
    results = [make_result(guidelines=size) for size in (2, 10, 60, 100)]
    found = by_size(results, (100, 0, 50))
    assert {size: [item.guidelines for item in listed] for size, listed in found.items()} == {
        0: [2, 10],
        50: [60],
        100: [100],
    }


def test_junit_tells_wrong_from_undecided_and_says_what_was_decided(make_result):
    results = [
        make_result("one"),
        make_result("two", right=False),
        make_result("two", repeat=2),
        make_result("three", failure="no_answer", observed=(), area="journeys"),
        make_result("four"),
    ]
    root = ET.fromstring(junit(results))  # noqa: S314  (our own text)
    suites = {suite.get("name"): suite for suite in root}
    assert len(root) == len(suites) == 2
    matching = suites["matching"]
    assert (matching.get("tests"), matching.get("failures"), matching.get("errors")) == ("3", "1", "0")
    failure = matching.find("testcase/failure")
    assert failure is not None
    assert failure.get("message", "").startswith("1 of 2 plays")
    assert failure.text == "play 1: expected a; decided b"
    assert suites["journeys"].get("errors") == "1"


def test_the_document_is_json_and_holds_all(make_result):
    results = [make_result("one"), make_result("two", right=False)]
    found = document({0: results}, {"x": "why"}, compared(results, results))
    again = json.loads(json.dumps(found))
    assert len(again["results"]) == 2
    assert again["unfit"] == {"x": "why"}
    assert again["scores"]["0"][-1]["exact"]["value"] == 0.5
    assert again["comparison"]["p_value"] == 1


def test_a_comparison_names_what_was_lost(make_result):
    text = shown(comparison_table(compared([make_result("one")], [make_result("one", right=False)])))
    assert "one at 2 guidelines" in text
    assert "McNemar" in text
