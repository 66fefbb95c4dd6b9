"""
What an evaluation found, for people (tables), for programs (JSON) and for build servers (JUnit XML).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from rich.table import Table

from services.operator import tables
from services.operator.evaluation.compare import Comparison
from services.operator.evaluation.result import Result
from services.operator.evaluation.scoring import TOTAL, Estimate, Score, by_scenario, scores

NAMES_SHOWN_MAX = 3


def by_size(results: Iterable[Result], sizes: Sequence[int]) -> dict[int, list[Result]]:
    """
    The results of each of the *sizes* that playbooks were padded to; a scenario with more guidelines of its own counts
    for the largest size that does not exceed them, and for the smallest where all do.
    """
    found: dict[int, list[Result]] = {size: [] for size in sorted(sizes)}
    for result in results:
        found[max((size for size in found if size <= result.guidelines), default=min(found))].append(result)
    return {size: listed for size, listed in found.items() if listed}


def score_table(title: str, found: Iterable[Score]) -> Table:
    """How often decisions are right, a row an area."""
    header = ("area", "cases", "plays", "precision", "recall", "exact set", "pass^k")
    return _unclipped(tables.figures(title, header, [_accuracy(score) for score in found]))


def cost_table(title: str, found: Iterable[Score]) -> Table:
    """What went wrong outside the decisions, and what a play costs, a row an area."""
    header = ("area", "failed", "unknown", "strays", "calls", "tokens in", "out", "seconds")
    return _unclipped(tables.figures(title, header, [_cost(score) for score in found]))


def unfit_table(unfit: Mapping[str, str]) -> Table:
    """The scenarios that are not played, by reason."""
    grouped: dict[str, list[str]] = {}
    for name, reason in sorted(unfit.items()):
        grouped.setdefault(reason, []).append(name)
    rows = [(reason, str(len(names)), _listed(names)) for reason, names in grouped.items()]
    table = tables.figures("not run", ("reason", "scenarios", "such as"), rows)
    table.columns[0].overflow = table.columns[2].overflow = "fold"
    return table


def comparison_table(found: Comparison) -> Table:
    """How two runs differ."""
    rows = [
        ("passed in both", str(found.both)),
        ("passed in neither", str(found.neither)),
        ("gained", "\n".join([str(len(found.gained)), *found.gained])),
        ("lost", "\n".join([str(len(found.lost)), *found.lost])),
        ("in one run only", str(found.unpaired)),
        ("p (McNemar, exact)", f"{found.p_value:.3g}"),
    ]
    return tables.figures("against the earlier run", ("", "scenarios"), rows)


def document(
    sizes: Mapping[int, Sequence[Result]], unfit: Mapping[str, str], comparison: Comparison | None
) -> dict[str, Any]:
    """All figures and results as JSON data; sizes are the numbers of guidelines that playbooks were padded to."""
    return {
        "scores": {str(size): [asdict(score) for score in scores(results)] for size, results in sizes.items()},
        "unfit": dict(unfit),
        "comparison": asdict(comparison) if comparison else None,
        "results": [result.model_dump(mode="json") for results in sizes.values() for result in results],
    }


def junit(results: Iterable[Result]) -> str:
    """
    JUnit XML: an area is a suite, a scenario in one size a case. It fails where any of its plays is wrong, and is an
    error where one had no decision.
    """
    root = ET.Element("testsuites", name="holdfast evaluate")
    suites: dict[str, ET.Element] = {}
    for group in by_scenario(results).values():
        first = group[0]
        if first.area not in suites:
            suites[first.area] = ET.SubElement(root, "testsuite", name=first.area)
        seconds = sum(result.seconds for result in group)
        name = f"{first.scenario} at {first.guidelines} guidelines"
        case = ET.SubElement(suites[first.area], "testcase", classname=first.area, name=name, time=f"{seconds:.3f}")
        _add_outcome(case, group)
    for suite in suites.values():
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(len(suite.findall("*/failure"))))
        suite.set("errors", str(len(suite.findall("*/error"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_outcome(case: ET.Element, group: Sequence[Result]) -> None:
    wrong = [result for result in group if not result.is_right]
    if not wrong:
        return
    failed = next((result for result in wrong if result.failure), None)
    tag, told = ("error", failed.failure) if failed else ("failure", "the decision is not the expected one")
    outcome = ET.SubElement(case, tag, message=f"{len(wrong)} of {len(group)} plays: {told}")
    outcome.text = "\n".join(
        f"play {result.repeat}: expected {', '.join(result.expected) or 'nothing'}; "
        f"decided {result.failure or ', '.join(result.observed) or 'nothing'}"
        for result in wrong
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN_MAX]) + (" …" if len(names) > NAMES_SHOWN_MAX else "")


def _accuracy(score: Score) -> tuple[str, ...]:
    return (
        _area(score),
        str(score.scenarios),
        str(score.plays),
        _shown(score.precision),
        _shown(score.recall),
        _shown(score.exact),
        f"^{len(score.passes)} {_shown(score.passes[-1])}",
    )


def _cost(score: Score) -> tuple[str, ...]:
    return (
        _area(score),
        str(score.failures),
        str(score.unknown),
        str(score.strays),
        f"{score.calls:.2f}",
        f"{score.input_tokens:,.0f}",
        f"{score.output_tokens:,.0f}",
        f"{score.seconds:.2f}",
    )


def _area(score: Score) -> str:
    return "all areas" if score.area == TOTAL else score.area.replace("/", "/\n")


def _unclipped(table: Table) -> Table:
    """Names are folded, figures never: a narrow terminal must not hide half an interval."""
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.no_wrap = True
    return table


def _shown(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.2f}\n{estimate.low:.2f}–{estimate.high:.2f}"
