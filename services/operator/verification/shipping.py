"""
The ship rule: does correcting take more errors away than it adds?

Correcting a draft of error share E leaves E·(1 - r·rho) + (1-E)·f·d. It helps if and only if f·d < r·rho·E/(1-E);
beyond that a verifier is to catch r ≥ 0.75 and alarm f ≤ 0.03, or it is set to `flag`. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from services.operator.hazard.survival import Share
from services.operator.verification.measures import Rates

CATCH_RATE_MIN = 0.75
FALSE_ALARM_RATE_MAX = 0.03
ERROR_SHARES = (0.01, 0.02, 0.05, 0.10)
"""Of drafted claims, for which the rule is worked out: labelled drafts have many more errors than real ones."""
DRAWS = 20_000
LEVEL = 0.95
SEED = 1
_HALF = 0.5


class Decision(StrEnum):
    """What the data allow to say."""

    SHIPS = "ships"
    DOES_NOT = "does not ship"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Ruling:
    """
    The rule at one error share. `net` is r·rho·E/(1-E) - f·d with its 95 % interval; `residual` the error share that
    remains.
    """

    error_share: float
    net: float
    low: float
    high: float
    residual: float
    decision: Decision
    because: str


def ruling(rates: Rates, error_share: float) -> Ruling:
    """
    The rule at *error_share*, from Jeffreys' posteriors of r, f, rho and d.

    Ships where all three conditions hold over their whole intervals; does not where one of them fails over its whole
    interval; else the labelled drafts are too few to tell.
    """
    rng = np.random.default_rng(SEED)
    r, f, rho, d = (_drawn(share, rng) for share in (rates.catches, rates.alarms, rates.repairs, rates.damages))
    odds = error_share / (1 - error_share)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(r * rho * odds - f * d, [tail, 1 - tail])
    catch, alarm, repair, damage = (
        _value(share) for share in (rates.catches, rates.alarms, rates.repairs, rates.damages)
    )
    conditions = (
        ("correcting adds more errors than it mends", low > 0, high <= 0),
        (f"r is below {CATCH_RATE_MIN}", *_at_least(rates.catches, CATCH_RATE_MIN)),
        (f"f is above {FALSE_ALARM_RATE_MAX}", *_at_most(rates.alarms, FALSE_ALARM_RATE_MAX)),
    )
    decision, because = _decided(conditions)
    return Ruling(
        error_share=error_share,
        net=catch * repair * odds - alarm * damage,
        low=float(low),
        high=float(high),
        residual=error_share * (1 - catch * repair) + (1 - error_share) * alarm * damage,
        decision=decision,
        because=because,
    )


def words(found: Ruling) -> str:
    """*found* in plain words."""
    told = f"of drafts with {found.error_share:.0%} wrong claims, correcting leaves {found.residual:.2%}"
    match found.decision:
        case Decision.SHIPS:
            return f"ships: {told}"
        case Decision.DOES_NOT:
            return f"does not ship: {found.because} ({told}); set `corrects: false`, which only flags"
        case Decision.UNDECIDED:
            return f"undecided: perhaps {found.because} ({told}); label more drafts"


def _decided(conditions: tuple[tuple[str, bool, bool], ...]) -> tuple[Decision, str]:
    """From (what would be wrong, whether it is surely not, whether it surely is)."""
    for fault, _, fails in conditions:
        if fails:
            return Decision.DOES_NOT, fault
    open_still = [fault for fault, holds, _ in conditions if not holds]
    return (Decision.UNDECIDED, open_still[0]) if open_still else (Decision.SHIPS, "")


def _at_least(share: Share | None, bound: float) -> tuple[bool, bool]:
    return (False, False) if share is None else (share.low >= bound, share.high < bound)


def _at_most(share: Share | None, bound: float) -> tuple[bool, bool]:
    return (False, False) if share is None else (share.high <= bound, share.low > bound)


def _value(share: Share | None) -> float:
    return share.share if share is not None else 0.0


def _drawn(share: Share | None, rng: np.random.Generator) -> "np.typing.NDArray[np.float64]":
    hits, trials = (share.hits, share.trials) if share is not None else (0, 0)
    return rng.beta(hits + _HALF, trials - hits + _HALF, DRAWS)
