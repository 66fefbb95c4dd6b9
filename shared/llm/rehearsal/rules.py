"""
Rules: how the rehearsal model answers a blueprint, by its name.

A rule is a pure function of the prompt's data. The rules of a service's blueprints stand in a module `rules_*` of this
package that has a mapping `RULES`; they are found by name, so that adding a service's rules touches no other file.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import shared.llm.rehearsal
from shared.errors import Fatal
from shared.llm.rehearsal.settings import RehearsalSettings

MODULE_PREFIX = "rules_"
REGISTRY_NAME = "RULES"


@dataclass(frozen=True, slots=True)
class Situation:
    """
    What a rule knows: the data of the prompt's sections by name (`shared.arq.prompt.parse`), the schema to satisfy, a
    stream of random numbers that belongs to this request's content, and the settings.
    """

    sections: Mapping[str, Any]
    schema: Mapping[str, Any]
    random: Random
    settings: RehearsalSettings

    def chance(self, rate: float) -> bool:
        """True in *rate* of all cases (`self.settings.hallucination_rate`, say)."""
        return self.random.random() < rate


Rule = Callable[[Situation], dict[str, Any]]
"""An answer that satisfies the situation's schema."""


def load_rules() -> dict[str, Rule]:
    """
    The rules of all `rules_*` modules, by schema name.

    Raises:
        Fatal: a module has no mapping `RULES`, or two modules answer the same schema.

    """
    found: dict[str, Rule] = {}
    for module in pkgutil.iter_modules(shared.llm.rehearsal.__path__):
        if module.name.startswith(MODULE_PREFIX):
            _merge(found, module.name, importlib.import_module(f"{shared.llm.rehearsal.__name__}.{module.name}"))
    return found


def _merge(found: dict[str, Rule], name: str, module: object) -> None:
    rules = getattr(module, REGISTRY_NAME, None)
    if not isinstance(rules, Mapping):
        raise Fatal(f"{name}: a module of rehearsal rules needs a mapping {REGISTRY_NAME}: schema name → rule")
    if twice := found.keys() & rules.keys():
        raise Fatal(f"{name}: {', '.join(sorted(twice))} already answered by another module of rehearsal rules")
    found.update(rules)
