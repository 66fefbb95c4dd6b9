"""
The hazard report for a terminal: three tables, then what they mean in words.
"""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from services.operator import tables
from services.operator.hazard import words
from services.operator.hazard.check import Goal
from services.operator.hazard.report import Report, Series
from services.operator.hazard.survival import BIN_CLAIMS, Share
from services.operator.hazard.truth import Recovered


def report(found: Report) -> Iterator[RenderableType]:
    """The tables and the words of *found*."""
    yield _summary(found)
    yield _positions(found)
    yield _predictions(found)
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


def _summary(found: Report) -> Table:
    return tables.figures(
        "error hazard",
        ("arm, text, judge", "answers", "claims", "wrong", "all right", "E", "β", "constant E?", "within answers", ""),
        (
            (
                name,
                f"{one.answers:,}",
                f"{one.claims:,}",
                f"{one.wrong:,}",
                _percent(one.all_right) if one.all_right else "",
                _interval(one.constant_hazard.hazard, one.constant_hazard.hazard_interval, ".1%"),
                _interval(one.constant_hazard.beta, one.constant_hazard.beta_interval, ".2f"),
                words.p_value(one.p_constant) if one.wrong else "",
                words.p_value(one.frailty.within.p_value) if one.wrong else "",
                one.finding.value.replace("_", " "),
            )
            for name, one in _series(found)
        ),
    )


def _positions(found: Report) -> Table:
    """E(k), S(k) and P(all right | N) of every series at the positions of BIN_CLAIMS."""
    series = list(_series(found))
    end = max((one.hazard[-1].at for _, one in series if one.hazard), default=0)
    shown = [k for k in BIN_CLAIMS if k <= end]
    rows = []
    for name, one in series:
        hazard = {round(share.at): share for share in one.hazard}
        survival = {point.claims: point for point in one.survival}
        rows.append((name, "E(k)", *(_percent(hazard[k]) if k in hazard else "" for k in shown)))
        rows.append(("", "S(k)", *(f"{survival[k].survival:.1%}" if k in survival else "" for k in shown)))
    header = ("arm, text, judge", "", *(f"k={k}" for k in shown))
    return tables.figures("wrong claims at position k, answers without one up to k", header, rows)


def _predictions(found: Report) -> Table:
    rows = [
        (
            name if number == 0 else "",
            words.MODEL_NAMES[one.model],
            ", ".join(f"{key} {value:.3f}" for key, value in one.parameters.items()),
            _interval(one.expected, one.expected_interval, ".1%"),
            f"{series.prediction.observed:.1%}" if number == 0 else "",
            f"{one.log_score:.4f}",
            _interval(one.gain, one.gain_interval, "+.4f") if number else "",
        )
        for name, series in _series(found)
        if series.prediction
        for number, one in enumerate(series.prediction.predictions)
    ]
    header = ("arm, text, judge", "model", "fitted to short answers", "expected", "measured", "log score", "gain")
    return tables.figures("long answers in which every claim is right", header, rows)


def _series(found: Report) -> Iterator[tuple[str, Series]]:
    for arm in found.arms:
        for one in arm.series:
            yield f"{arm.name}, {one.text}, {one.judged_by}", one


def _percent(share: Share) -> str:
    return f"{share.share:.1%}"


def _interval(value: float, interval: tuple[float, float], form: str) -> str:
    return f"{value:{form}} ({interval[0]:{form}} – {interval[1]:{form}})"
