"""
Which variables are true now: the tenant's as the playbook has them, the others as the platform told them, while fresh.
"""

from collections.abc import Mapping
from typing import NamedTuple

from shared.events.turns import TurnOpened
from shared.playbook.knowledge import Variable, VariableScope
from shared.playbook.model import Playbook


class Variables(NamedTuple):
    """What may be stated, by name, and the names of what was told too long ago."""

    current: dict[str, str]
    outdated: tuple[str, ...]


def variables_of(opened: TurnOpened, playbook: Playbook) -> Variables:
    """
    The variables of *opened*: declared ones by their scope and freshness, others as they came. A variable whose
    freshness is limited is out of date as well where nobody knows when it was told.

    The instant that counts is the turn's opening, so that a repeated turn sees the same.
    """
    declared = {variable.name: variable for variable in playbook.variables}
    outdated = tuple(sorted(name for name in opened.variables if _is_outdated(name, opened, declared)))
    told = {name: value for name, value in opened.variables.items() if name not in outdated}
    of_tenant = {v.name: v.value for v in playbook.variables if v.scope is VariableScope.TENANT}
    return Variables(told | of_tenant, outdated)


def with_current(opened: TurnOpened, playbook: Playbook) -> TurnOpened:
    """*opened* with the variables that are true now alone."""
    return opened.model_copy(update={"variables": variables_of(opened, playbook).current})


def _is_outdated(name: str, opened: TurnOpened, declared: Mapping[str, Variable]) -> bool:
    variable = declared.get(name)
    if variable is None or variable.fresh_seconds is None:
        return False
    told_at = opened.variables_set_at.get(name)
    return told_at is None or (opened.turn.opened_at - told_at).total_seconds() > variable.fresh_seconds
