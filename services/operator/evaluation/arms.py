"""
The same scenarios in several reasoning modes: one table with intervals, every arm paired with the first.

Scenarios are the units: each is played in every arm, so that arms are compared within scenarios. A difference's
interval is the percentile bootstrap's over scenarios; its p-value is McNemar's exact one (1947) over scenarios passed
in most of their plays.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table
from statsmodels.stats.contingency_tables import mcnemar

from services.operator import tables
from services.operator.evaluation.plays import Play
from services.operator.evaluation.result import Result
from services.operator.evaluation.scoring import DRAWS, LEVEL, SEED, Estimate, share


@dataclass(frozen=True, slots=True)
class ArmScore:
    """
    How often plays are right in one arm, and by how much that differs from the first arm (`gain`, None for itself),
    over the scenarios played in both; costs are means a play.
    """

    arm: str
    scenarios: int
    plays: int
    right: Estimate
    gain: Estimate | None
    p_value: float | None
    calls: float
    input_tokens: float
    output_tokens: float


def by_arm(results: Iterable[Result], wanted: Iterable[Play]) -> dict[str, list[Result]]:
    """*results* by the mode that their play was made in, in the order of *wanted*."""
    arms = {play.fingerprint: str(play.scenario.mode) for play in wanted}
    found: dict[str, list[Result]] = {arm: [] for arm in arms.values()}
    for result in results:
        found[arms[result.fingerprint]].append(result)
    return {arm: listed for arm, listed in found.items() if listed}


def arm_scores(arms: Mapping[str, Sequence[Result]]) -> tuple[ArmScore, ...]:
    """The figures of each arm; the first is what the others are compared with."""
    shares = {arm: _shares(results) for arm, results in arms.items()}
    first = next(iter(shares.values()), {})
    return tuple(_score(arm, arms[arm], own, first if own is not first else None) for arm, own in shares.items())


def arms_table(found: Sequence[ArmScore]) -> Table:
    """The comparison, a row an arm."""
    header = ("mode", "cases", "plays", "right, %", f"over {found[0].arm}", "p", "calls", "in", "out")
    rows = [
        (
            one.arm,
            str(one.scenarios),
            str(one.plays),
            _shown(one.right, "{:.1f}"),
            "–" if one.gain is None else _shown(one.gain, "{:+.1f}"),
            "–" if one.p_value is None else f"{one.p_value:.3g}",
            f"{one.calls:.2f}",
            f"{one.input_tokens:,.0f}",
            f"{one.output_tokens:,.0f}",
        )
        for one in found
    ]
    table = tables.figures("the same scenarios in each mode", header, rows)
    for column in table.columns:
        column.no_wrap = True
    return table


def arms_document(found: Sequence[ArmScore], arms: Mapping[str, Sequence[Result]]) -> dict[str, Any]:
    """The comparison and every result as JSON data."""
    results = {arm: [result.model_dump(mode="json") for result in listed] for arm, listed in arms.items()}
    return {"arms": [asdict(one) for one in found], "results": results}


def _score(
    arm: str,
    results: Sequence[Result],
    own: Mapping[tuple[str, int], float],
    first: Mapping[tuple[str, int], float] | None,
) -> ArmScore:
    paired = sorted(own.keys() & first.keys()) if first is not None else []
    mean = {
        name: sum(getattr(result, name) for result in results) / len(results)
        for name in ("calls", "input_tokens", "output_tokens")
    }
    return ArmScore(
        arm=arm,
        scenarios=len(own),
        plays=len(results),
        right=share(list(own.values())),
        gain=_gain([own[key] - first[key] for key in paired]) if first is not None and paired else None,
        p_value=_p_value([(first[key], own[key]) for key in paired]) if first is not None and paired else None,
        **mean,
    )


def _shares(results: Iterable[Result]) -> dict[tuple[str, int], float]:
    """The share of right plays of each scenario in each size."""
    plays: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for result in results:
        plays[result.scenario, result.guidelines].append(result.is_right)
    return {key: sum(right) / len(right) for key, right in plays.items()}


def _gain(differences: Sequence[float]) -> Estimate:
    values = np.array(differences)
    drawn = np.random.default_rng(SEED).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def _p_value(pairs: Sequence[tuple[float, float]]) -> float:
    lost = sum(before > 0.5 >= after for before, after in pairs)  # noqa: PLR2004 - more than half
    gained = sum(after > 0.5 >= before for before, after in pairs)  # noqa: PLR2004 - more than half
    if not lost and not gained:
        return 1.0
    return float(mcnemar([[0, lost], [gained, 0]], exact=True).pvalue)


def _shown(estimate: Estimate, form: str) -> str:
    """In percent, or points of it, the interval below."""
    value, low, high = (form.format(100 * part) for part in (estimate.value, estimate.low, estimate.high))
    return f"{value}\n{low} … {high}"
