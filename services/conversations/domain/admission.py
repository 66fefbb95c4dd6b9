"""
Admission: how many turns a tenant may open, so that one that floods is held back before it costs a model call.

The budget is a virtual schedule (GCRA, ITU-T I.371 annex A): a tenant's n-th turn has a slot, and slots lie as far
apart as the rate says once the burst is used up. A turn reserves its slot when its burst of messages has settled and
opens there, by the conversation's own timer; where the slot lies too far ahead it is refused at once instead. A slot
that nobody uses (people took over meanwhile) is not given back.

The schedule lives in the process, not in the changelog. It begins anew when the process does, an input that is applied
again after an aborted transaction reserves again, and what was reserved before a crash is kept by the conversations
alone. So a restart lets at most one more burst through.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, Protocol

MINUTE_MS = 60_000.0


class Admission(Protocol):
    """Who may open a turn, and when."""

    def reserve(self, tenant: str, now_ms: int) -> int | None:
        """When the next turn of *tenant* may open, unix milliseconds; None where it is to be refused."""
        ...


class Unlimited:
    """Every turn opens at once."""

    def reserve(self, tenant: str, now_ms: int) -> int | None:  # noqa: ARG002
        """*now_ms*."""
        return now_ms


class TurnBudget:
    """
    An `Admission` that lets each tenant open *burst* turns at once and *turns_per_minute* in the long run; one that
    would wait longer than *wait_max_ms* is refused.

    *share* tells which part of all conversations this process has (tasks owned by partitions): of rate and burst the
    process takes so much, but of the burst always one. So the processes together keep to the budget, or to a burst of
    one each where there are more processes than that; a tenant whose conversations lie unevenly gets less than its
    budget, never more. While a rebalance moves tasks the shares are those of before or after it.

    Of at most *tenants_max* tenants the schedule is kept, the least recent one is forgotten and begins anew.
    """

    def __init__(
        self,
        *,
        turns_per_minute: float,
        burst: int,
        wait_max_ms: int,
        tenants_max: int,
        share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._interval_ms = MINUTE_MS / turns_per_minute
        self._burst = burst
        self._wait_max_ms = wait_max_ms
        self._tenants_max = tenants_max
        self._share = share
        self._next_ms: OrderedDict[str, float] = OrderedDict()

    @classmethod
    def of(cls, settings: Mapping[str, Any], share: Callable[[], float]) -> Admission:
        """What *settings* (the service's, by name) say; without a rate nobody is limited."""
        if not settings["tenant_turns_per_minute"]:
            return Unlimited()
        return cls(
            turns_per_minute=settings["tenant_turns_per_minute"],
            burst=settings["tenant_turns_burst"],
            wait_max_ms=round(settings["tenant_wait_max_seconds"] * 1000),
            tenants_max=settings["tenants_max"],
            share=share,
        )

    def reserve(self, tenant: str, now_ms: int) -> int | None:
        """
        When the next turn of *tenant* may open, no earlier than any before it; None where it would wait too long.
        """
        share = self._share()
        interval_ms = self._interval_ms / share
        tolerance_ms = (max(1.0, self._burst * share) - 1.0) * interval_ms
        # Where the turn would be if turns came evenly; a burst is how far ahead of that it may open.
        even_ms = max(self._next_ms.pop(tenant, 0.0), float(now_ms))
        slot_ms = max(now_ms, ceil(even_ms - tolerance_ms))
        admitted = slot_ms - now_ms <= self._wait_max_ms
        self._next_ms[tenant] = even_ms + interval_ms if admitted else even_ms
        if len(self._next_ms) > self._tenants_max:
            self._next_ms.popitem(last=False)
        return slot_ms if admitted else None
