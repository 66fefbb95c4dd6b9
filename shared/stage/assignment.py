"""
Which member of a group owns which task: balanced, and as it was wherever that is possible.

Pure. A task is one partition number of every topic, so co-partitioning is not a property that has to be kept: there is
nothing smaller to assign. Stickiness is what lets work under way survive a rebalance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class Claim:
    """What a member says it owned, and since which round of assignment."""

    tasks: frozenset[int] = frozenset()
    round: int = 0


def assign(claims: Mapping[str, Claim], tasks: Iterable[int]) -> dict[str, frozenset[int]]:
    """
    An owner for each of *tasks*: every member gets as many as every other, give or take one, and keeps what it may.

    Of two members that claim the same task, the one of the later round owned it last (the other was away meanwhile).
    """
    wanted = sorted(set(tasks))
    if not claims:
        return {}
    owned = _owned(claims, set(wanted))
    # Whoever has most keeps the odd task, so that nothing moves without need.
    members = sorted(claims, key=lambda member: (-len(owned[member]), member))
    share, odd = divmod(len(wanted), len(members))
    quota = {member: share + (index < odd) for index, member in enumerate(members)}
    kept = {member: sorted(owned[member])[: quota[member]] for member in members}
    taken = {task for mine in kept.values() for task in mine}
    free = iter([task for task in wanted if task not in taken])
    for member in sorted(members):
        kept[member].extend(islice(free, quota[member] - len(kept[member])))
    return {member: frozenset(mine) for member, mine in kept.items()}


def _owned(claims: Mapping[str, Claim], wanted: set[int]) -> dict[str, set[int]]:
    owner: dict[int, str] = {}
    for member in sorted(claims):
        for task in claims[member].tasks & wanted:
            if task not in owner or claims[owner[task]].round < claims[member].round:
                owner[task] = member
    owned: dict[str, set[int]] = {member: set() for member in claims}
    for task, member in owner.items():
        owned[member].add(task)
    return owned
