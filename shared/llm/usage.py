"""
What a call cost, as far as an endpoint's word for it can be believed.
"""

import math
from typing import Final

TOKENS_MAX: Final = 100_000_000
"""No single call costs more; a figure beyond it would empty budgets and spoil sums."""


def tokens_in(value: object) -> int | None:
    """The count of tokens that *value* is; None where it is none, or nobody can have spent it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return None
    return int(value) if 0 <= value <= TOKENS_MAX else None
