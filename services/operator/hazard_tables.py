"""
The hazard report for a terminal: four tables, then what they mean in words.
"""

from collections.abc import Callable, Iterator, Sequence
from math import isnan

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from services.operator import tables
from services.operator.hazard import words
from services.operator.hazard.check import Goal
from services.operator.hazard.models import MODELS, Model
from services.operator.hazard.prediction import OutOfSample
from services.operator.hazard.report import Report, Series
from services.operator.hazard.survival import BIN_CLAIMS
from services.operator.hazard.truth import Recovered

MODEL_NAMES = {"constant": "(1-E)^N", "weibull": "Weibull", "frailty": "frailty", "two_state": "two states"}
NONE = "–"


def report(found: Report) -> Iterator[RenderableType]:
    """The tables and the words of *found*."""
    named = [(f"{arm.name}\n{one.text}\n{one.judged_by}", one) for arm in found.arms for one in arm.series]
    header, series = [name for name, _ in named], [one for _, one in named]
    for table in (_summary, _positions, _survivals, _predictions):
        yield table(series, header)
    for heading, sentences in words.sections(found):
        yield Text(heading, style="bold blue")
        for sentence in sentences:
            yield Padding(sentence, (0, 0, 0, 2))


def truths(found: Sequence[Recovered]) -> Table:
    """What the simulated process is, beside what was found."""
    return tables.figures(
        "what is true, and what the report found",
        ("", "true", "found", "95%", ""),
        (
            (
                one.quantity,
                f"{one.truth:.4f}",
                f"{one.estimate:.4f}",
                f"{one.low:.4f} – {one.high:.4f}",
                "[green]holds it[/]" if one.covered else "[yellow]misses it[/]",
            )
            for one in found
        ),
    )


def goal(one: Goal) -> tuple[str, ...]:
    """The cells of a goal: name, share, bounds, data sets, whether it is met."""
    met = "[green]met[/]" if one.met else "[bold red]missed[/]"
    return one.name, f"{one.share:.1%}", f"{one.low:.0%} – {one.high:.0%}", f"{one.data_sets:,}", met


def _summary(series: Sequence[Series], header: Sequence[str]) -> Table:
    tests = [one.constant_hazard for one in series]
    rows = (
        ("answers", *(f"{one.answers:,}" for one in series)),
        ("claims judged", *(f"{one.claims:,}" for one in series)),
        ("claims wrong", *(f"{one.wrong:,}" for one in series)),
        ("answers all right", *(f"{one.all_right.share:.1%}" if one.all_right else NONE for one in series)),
        ("E to first error", *(f"{test.hazard:.2%}" for test in tests)),
        ("  95% from", *(_number(test.hazard_interval[0], ".2%") for test in tests)),
        ("  to", *(_number(test.hazard_interval[1], ".2%") for test in tests)),
        ("β", *(_number(test.beta, ".2f") for test in tests)),
        ("  95% from", *(_number(test.beta_interval[0], ".2f") for test in tests)),
        ("  to", *(_number(test.beta_interval[1], ".2f") for test in tests)),
        ("p, E constant", *(_number(one.p_constant, ".3f") for one in series)),
        ("p, within answers", *(_number(one.frailty.within.p_value, ".3f") for one in series)),
        ("p, answers alike", *(f"{one.frailty.p_heterogeneity:.3f}" if one.wrong else NONE for one in series)),
        ("", *(one.finding.value.replace("_", " ") for one in series)),
    )
    return tables.figures("error hazard", ("", *header), rows)


def _positions(series: Sequence[Series], header: Sequence[str]) -> Table:
    hazards = [{round(share.at): f"{share.share:.1%}" for share in one.hazard} for one in series]
    end = max((max(shares, default=0) for shares in hazards), default=0)
    rows = ((f"{k}", *(shares.get(k, NONE) for shares in hazards)) for k in BIN_CLAIMS if k <= end)
    return tables.figures("E(k): claims that are wrong at position k", ("k", *header), rows)


def _survivals(series: Sequence[Series], header: Sequence[str]) -> Table:
    curves = [{point.claims: f"{point.survival:.1%}" for point in one.survival} for one in series]
    end = max((max(points, default=0) for points in curves), default=0)
    rows = ((f"{k}", *(points.get(k, NONE) for points in curves)) for k in BIN_CLAIMS if k <= end)
    return tables.figures("S(k): answers without a wrong claim among the first k", ("k", *header), rows)


def _predictions(series: Sequence[Series], header: Sequence[str]) -> Table:
    found = [one.prediction for one in series]

    def row(name: str, cell: Callable[[OutOfSample], str]) -> tuple[str, ...]:
        return name, *(cell(one) if one else NONE for one in found)

    def expected(model: Model) -> tuple[str, ...]:
        return row(f"expected: {MODEL_NAMES[model]}", lambda one: f"{one.of(model).expected:.1%}")

    def score(model: Model) -> tuple[str, ...]:
        return row(f"log score: {MODEL_NAMES[model]}", lambda one: f"{one.of(model).log_score:.4f}")

    rows = (
        row("short: claims ≤", lambda one: f"{one.short_max}"),
        row("long answers", lambda one: f"{one.long_answers:,}"),
        row("all right", lambda one: f"{one.observed:.1%}"),
        *map(expected, MODELS),
        *map(score, MODELS),
    )
    return tables.figures("long answers, predicted from short ones", ("", *header), rows)


def _number(value: float, form: str) -> str:
    return NONE if isnan(value) else f"{value:{form}}"
