"""
What a simulated process is known to be, beside what the report found.
"""

from collections.abc import Callable
from dataclasses import dataclass

from services.operator.hazard.noise import Rate
from services.operator.hazard.report import Arm, JudgedBy, Report, Series, Text
from services.operator.hazard.simulate import Process


@dataclass(frozen=True, slots=True)
class Recovered:
    """A quantity of the process, its estimate, and the estimate's 95 % interval."""

    quantity: str
    truth: float
    estimate: float
    low: float
    high: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth; in one of twenty it should not."""
        return self.low <= self.truth <= self.high


def recovered(process: Process, report: Report) -> tuple[Recovered, ...]:
    """What *report*, made on answers of *process*, says of what is known about it."""
    estimates = _ESTIMATES[process.name]
    return tuple(found for arm in report.arms for found in estimates(process, arm))


def _constant(process: Process, arm: Arm) -> list[Recovered]:
    test = _series(arm, "draft").constant_hazard
    return [
        Recovered("E", process.error, test.hazard, *test.hazard_interval),
        Recovered("β", process.beta, test.beta, *test.beta_interval),
    ]


def _falling(process: Process, arm: Arm) -> list[Recovered]:
    series = _series(arm, "draft")
    first = series.hazard[0]
    test = series.constant_hazard
    return [
        Recovered("E at the first claim", process.error, first.share, first.low, first.high),
        Recovered("β", process.beta, test.beta, *test.beta_interval),
        Recovered("β, answers may differ", process.beta, series.frailty.both.beta, *series.frailty.beta_interval),
    ]


def _rising(process: Process, arm: Arm) -> list[Recovered]:
    """The first error knows no earlier one: its hazard is constant."""
    test = _series(arm, "draft").constant_hazard
    return [
        Recovered("E before the first error", process.error, test.hazard, *test.hazard_interval),
        Recovered("β of the first error", 1.0, test.beta, *test.beta_interval),
    ]


def _mixed(process: Process, arm: Arm) -> list[Recovered]:
    series = _series(arm, "draft")
    mean = (1 - process.hard_share) * process.error + process.hard_share * process.hard_error
    everywhere = series.hazard[0]
    return [
        Recovered("mean E, at the first claim", mean, everywhere.share, everywhere.low, everywhere.high),
        Recovered("β within answers", 1.0, series.frailty.both.beta, *series.frailty.beta_interval),
    ]


def _correcting(process: Process, arm: Arm) -> list[Recovered]:
    found = arm.corrected
    if found is None:
        return []
    rows = [
        Recovered(f"E ({arm.name})", process.error, *_triple(found.error_share)),
        Recovered(f"r, caught ({arm.name})", process.catch_rate, *_triple(found.catch_rate)),
        Recovered(f"f, false alarms ({arm.name})", process.false_alarm_rate, *_triple(found.false_alarm_rate)),
    ]
    if found.residual:
        rows.append(Recovered("E as sent", process.residual, *_triple(found.residual)))
    return rows


def _recovering(process: Process, arm: Arm) -> list[Recovered]:
    series = arm.find("sent")
    if series is None or series.prediction is None:
        return []
    two = series.prediction.of("two_state")
    truth = {"e": process.error, "c": process.mending, "limit": process.mending / (process.mending + process.error)}
    return [
        Recovered(f"{name} of P_N as sent", value, two.parameters[name], *two.parameter_intervals[name])
        for name, value in truth.items()
    ]


def _series(arm: Arm, text: Text, judged_by: JudgedBy = "verifier") -> Series:
    series = arm.find(text, judged_by)
    if series is None:
        raise LookupError(f"the report of {arm.name} has no series {text}, judged by {judged_by}")
    return series


def _triple(rate: Rate) -> tuple[float, float, float]:
    return rate.value, rate.low, rate.high


_ESTIMATES: dict[str, Callable[[Process, Arm], list[Recovered]]] = {
    "constant": _constant,
    "falling": _falling,
    "rising": _rising,
    "mixed": _mixed,
    "correcting": _correcting,
    "recovering": _recovering,
}
