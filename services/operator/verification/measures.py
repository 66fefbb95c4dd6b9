"""
The verifier's rates, with intervals: pure.

Claims of one draft are no independent evidence, so drafts are the clusters of every interval (Wilson's on the effective
number of claims). The names are those of the ship rule: error share E, catch rate r, false-alarm rate f, repair
success rho, damage d.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.operator.hazard.survival import Share, shares
from services.operator.verification.drafts import Label
from services.operator.verification.result import NOT_PERFORMED, ClaimResult, Result

Test = Callable[[ClaimResult], bool]


@dataclass(frozen=True, slots=True)
class Rates:
    """
    What was measured on drafts; a share is None where nothing was at risk.

    * errors: E, wrong claims of all drafted.
    * catches: r, flagged of the wrong; `model_catches` of those that a model's answer decided.
    * alarms: f, flagged of the right; `model_alarms` likewise.
    * repairs: rho, of the wrong that were flagged, those in whose place nothing wrong left; `dropped` and `withheld` of
      them left nothing at all.
    * damages: d, of the right that were flagged, those in whose place something wrong left.
    * losses: of all right claims, those that did not leave.
    * residual: wrong claims that left, of all drafted.
    * omissions: of drafts that omit a guideline of high criticality, those kept back for it; `omission_alarms` of
      drafts that perform it.
    """

    drafts: int
    claims: int
    errors: Share | None
    catches: Share | None
    alarms: Share | None
    model_catches: Share | None
    model_alarms: Share | None
    repairs: Share | None
    dropped: Share | None
    withheld: Share | None
    damages: Share | None
    losses: Share | None
    residual: Share | None
    omissions: Share | None
    omission_alarms: Share | None
    by_label: dict[Label, Share]
    calls: float
    calls_all_right: float
    input_tokens: float
    output_tokens: float


def measured(results: Sequence[Result]) -> Rates:
    """
    The rates over *results*, all of them final and of one variant.

    Raises:
        ValueError: there is none.

    """
    if not results:
        raise ValueError("no verified draft to measure")

    def rate(hit: Test, at_risk: Test) -> Share | None:
        return _share(
            (
                sum(hit(claim) for claim in result.claims if at_risk(claim)),
                sum(at_risk(claim) for claim in result.claims),
            )
            for result in results
        )

    at_stake = [result for result in results if result.at_stake]
    right = [result for result in results if result.is_all_right]
    return Rates(
        drafts=len(results),
        claims=sum(len(result.claims) for result in results),
        errors=rate(_wrong, lambda _: True),
        catches=rate(_flagged, _wrong),
        alarms=rate(_flagged, _right),
        model_catches=rate(_flagged, lambda claim: claim.wrong and claim.by_model),
        model_alarms=rate(_flagged, lambda claim: not claim.wrong and claim.by_model),
        repairs=rate(lambda claim: claim.sent != "wrong", lambda claim: claim.wrong and claim.flagged),
        dropped=rate(lambda claim: claim.sent == "dropped", lambda claim: claim.wrong and claim.flagged),
        withheld=rate(lambda claim: claim.sent == "withheld", lambda claim: claim.wrong and claim.flagged),
        damages=rate(lambda claim: claim.sent == "wrong", lambda claim: not claim.wrong and claim.flagged),
        losses=rate(lambda claim: claim.sent in {"dropped", "withheld"}, _right),
        residual=rate(lambda claim: claim.sent == "wrong", lambda _: True),
        omissions=_share((result.reason == NOT_PERFORMED, 1) for result in at_stake if result.omitted),
        omission_alarms=_share((result.reason == NOT_PERFORMED, 1) for result in at_stake if not result.omitted),
        by_label={label: found for label in Label if (found := rate(_flagged, _labelled(label)))},
        calls=_mean([result.calls for result in results]),
        calls_all_right=_mean([result.calls for result in right]),
        input_tokens=_mean([result.input_tokens for result in results]),
        output_tokens=_mean([result.output_tokens for result in results]),
    )


def _wrong(claim: ClaimResult) -> bool:
    return claim.wrong


def _right(claim: ClaimResult) -> bool:
    return not claim.wrong


def _labelled(label: Label) -> Test:
    return lambda claim: claim.label is label


def _flagged(claim: ClaimResult) -> bool:
    return claim.flagged


def _share(counts: Iterable[tuple[int, int]]) -> Share | None:
    """The share of hits of trials, of (hits, trials) a draft; None without a trial."""
    table = np.array([pair for pair in counts if pair[1]], dtype=float).reshape(-1, 2)
    found = shares(table[:, :1], table[:, 1:], np.zeros(1)) if len(table) else ()
    return found[0] if found else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
