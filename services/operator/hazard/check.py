"""
Does the report recover the truth, and does it cry wolf? Goals over many simulated data sets, each with its bounds.

Everything that a goal measures is what the report itself computes; what can be done for all data sets at once is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from services.operator.hazard.answers import Answers, Booleans, Integers
from services.operator.hazard.discrete import (
    clustered_p_values,
    constant_hazard_test,
    fit,
    log_beta_errors,
)
from services.operator.hazard.firstfailure import Floats, first_failures, risk_sets
from services.operator.hazard.frailty import boundary_p_value, heterogeneity, within_answers
from services.operator.hazard.noise import correct, lay_over
from services.operator.hazard.prediction import out_of_sample
from services.operator.hazard.recovery import chain
from services.operator.hazard.report import ALPHA, Finding, finding
from services.operator.hazard.simulate import PROCESSES, Process, simulate, to_answers, to_labels
from services.operator.hazard.survival import kaplan_meier

ANSWERS = 300
"""Of the goals on false alarms and power: what a morning's traffic may bring."""
AUDITED_SHARE = 0.3
AUDITED_ANSWERS = 1_500
_NORMAL = 1.959964
_KM_AT = 5


@dataclass(frozen=True, slots=True)
class Goal:
    """A share of data sets, and the bounds within which it should lie."""

    name: str
    share: float
    low: float
    high: float
    data_sets: int

    @property
    def met(self) -> bool:
        """Whether it does."""
        return self.low <= self.share <= self.high


@dataclass(frozen=True, slots=True)
class Effort:
    """How many data sets each kind of goal is measured on, and resamples within one."""

    tests: int = 3_000
    findings: int = 300
    intervals: int = 400
    draws: int = 400


def goals(effort: Effort, *, seed: int = 0, on_goal: Callable[[Goal], None] = lambda _: None) -> tuple[Goal, ...]:
    """Every goal, measured; *on_goal* is told each as it is known. The same *seed* gives the same figures."""
    found = []
    for number, measure in enumerate((_false_alarms, _power, _findings, _coverage_of_tests, _coverage_of_resampling)):
        for goal in measure(effort, np.random.default_rng([seed, number])):
            on_goal(goal)
            found.append(goal)
    return tuple(found)


def _false_alarms(effort: Effort, rng: np.random.Generator) -> Iterator[Goal]:
    constant = PROCESSES["constant"]
    sets = _many(constant, effort.tests, ANSWERS, rng)
    yield _share("constant E is rejected: likelihood ratio", fit(*_totals(sets)).p_values < ALPHA, 0.03, 0.07)
    yield _share("constant E is rejected: by conversation", _clustered(sets) < ALPHA, 0.03, 0.07)
    p_values = [within_answers(one.draft, one.cluster, cluster_count=one.conversations).p_value for one in sets]
    yield _share("wrong claims found early or late: constant E", np.array(p_values) < ALPHA, 0.03, 0.07)


def _power(effort: Effort, rng: np.random.Generator) -> Iterator[Goal]:
    sets = _many(PROCESSES["falling"], effort.tests, ANSWERS, rng)
    name = f"β = 0.6 is found in {ANSWERS} answers"
    yield _share(name, fit(*_totals(sets)).p_values < ALPHA, 0.9, 1.0)


def _findings(effort: Effort, rng: np.random.Generator) -> Iterator[Goal]:
    for process, answers, expected, wolf in (
        ("constant", 1_000, (Finding.NO_CHANGE_SEEN, Finding.HETEROGENEOUS, Finding.UNCLEAR), None),
        ("mixed", 1_500, (Finding.HETEROGENEOUS,), Finding.FALLING),
        ("falling", 1_500, (Finding.FALLING,), None),
        ("rising", 3_000, (Finding.RISING,), Finding.FALLING),
    ):
        found = [_finding(one) for one in _many(PROCESSES[process], effort.findings, answers, rng)]
        hits = np.array([one in expected for one in found])
        what = "no change within answers" if process == "constant" else expected[0].value
        yield _share(f"{process}: reported as {what} ({answers:,} answers)", hits, 0.9, 1.0)
        if wolf:
            yield _share(f"{process}: reported as {wolf.value}", np.array([one is wolf for one in found]), 0.0, 0.05)


def _coverage_of_tests(effort: Effort, rng: np.random.Generator) -> Iterator[Goal]:
    for name in ("constant", "falling"):
        process = PROCESSES[name]
        sets = _many(process, effort.tests, ANSWERS, rng)
        fits = fit(*_totals(sets))
        off = np.abs(fits.log_beta - np.log(process.beta)) / log_beta_errors(fits)
        yield _coverage(f"β = {process.beta}, answers independent", off < _NORMAL)
        tests = [constant_hazard_test(*_by_conversation(one)) for one in sets[: effort.intervals]]
        yield _coverage(f"β = {process.beta}, by conversation", [_in(process.beta, t.beta_interval) for t in tests])
        if name == "constant":
            yield _coverage("E", [_in(process.error, t.hazard_interval) for t in tests])


def _coverage_of_resampling(effort: Effort, rng: np.random.Generator) -> Iterator[Goal]:
    constant, draws = PROCESSES["constant"], effort.draws
    curves, links, surpluses = [], [], []
    for one in _many(constant, effort.intervals, 600, rng):
        point = kaplan_meier(one.draft, one, rng, draws=draws)[_KM_AT - 1]
        curves.append(_in((1 - constant.error) ** _KM_AT, (point.low, point.high)))
        if link := chain(one.draft, one, rng, draws=draws):
            links.append(_in(1 - constant.error, link.limit_interval))
        if found := out_of_sample(one.draft, one, rng, draws=draws, models=("constant",)):
            surpluses.append(_in(0.0, found.of("constant").surplus_interval))
    yield _coverage(f"S({_KM_AT})", curves)
    yield _coverage("long-run share c/(c+e)", links)
    yield _coverage("measured less (1-E)^N on long answers, where it is true", surpluses)
    yield from _coverage_of_audits(effort, rng)


def _coverage_of_audits(effort: Effort, rng: np.random.Generator) -> Iterator[Goal]:
    process = replace(PROCESSES["correcting"], two_arms=False)
    errors, caught, alarms = [], [], []
    for _ in range(effort.intervals):
        simulated = simulate(process, AUDITED_ANSWERS, rng)
        answers = to_answers(simulated)
        audit = lay_over(answers, list(to_labels(simulated, rng, share=AUDITED_SHARE)))
        found = correct(answers, audit, rng, corrects=False, draws=effort.draws)
        if found is None:
            continue
        errors.append(_in(process.error, (found.error_share.low, found.error_share.high)))
        caught.append(_in(process.catch_rate, (found.catch_rate.low, found.catch_rate.high)))
        alarms.append(_in(process.false_alarm_rate, (found.false_alarm_rate.low, found.false_alarm_rate.high)))
    yield _coverage("E behind a verifier that errs, by audit", errors)
    yield _coverage("catch rate r, by audit", caught)
    yield _coverage("false-alarm rate f, by audit", alarms)


def _finding(answers: Answers) -> Finding:
    constant, frailty = heterogeneity(answers.draft)
    return finding(
        constant_hazard_test(*_by_conversation(answers)),
        within_answers(answers.draft, answers.cluster, cluster_count=answers.conversations),
        boundary_p_value(frailty, constant),
        clustered=True,
    )


def _many(process: Process, data_sets: int, answers: int, rng: np.random.Generator) -> list[Answers]:
    """*data_sets* sets of *answers* answers each."""
    return [to_answers(simulate(process, answers, rng)) for _ in range(data_sets)]


def _by_conversation(answers: Answers) -> tuple[Floats, Floats]:
    return _risk(answers, answers.cluster, answers.conversations)


def _risk(answers: Answers, groups: Integers, group_count: int) -> tuple[Floats, Floats]:
    return risk_sets(first_failures(answers.draft), groups, group_count=group_count, width=answers.draft.shape[1])


def _totals(sets: list[Answers]) -> tuple[Floats, Floats]:
    """Numbers at risk and failing of every data set: R×K."""
    width = max(one.draft.shape[1] for one in sets)
    at_risk, failed = np.zeros((len(sets), width)), np.zeros((len(sets), width))
    for row, one in enumerate(sets):
        n, d = _risk(one, np.zeros(len(one), dtype=np.int64), 1)
        at_risk[row, : n.shape[1]], failed[row, : d.shape[1]] = n[0], d[0]
    return at_risk, failed


def _clustered(sets: list[Answers]) -> Floats:
    return np.array([clustered_p_values(*(side[None] for side in _by_conversation(one)))[0] for one in sets])


def _in(truth: float, interval: tuple[float, float]) -> bool:
    return interval[0] <= truth <= interval[1]


def _share(name: str, hits: Booleans, low: float, high: float) -> Goal:
    return Goal(name, float(np.mean(hits)), low, high, len(hits))


def _coverage(name: str, hits: Booleans | list[bool]) -> Goal:
    return Goal(f"95% interval holds the truth: {name}", float(np.mean(hits)), 0.92, 0.98, len(hits))
