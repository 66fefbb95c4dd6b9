"""
What was really done, by key: how often each call was delivered, and how often it was executed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Effect:
    """The effect that one key stands for."""

    tool: str
    deliveries: int = 0
    executions: int = 0
    answer: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Effects:
    """Every effect since the start, in order of first delivery."""

    by_key: dict[str, Effect] = field(default_factory=dict)

    def deliver(self, key: str, tool: str) -> Effect:
        """A call under *key* has arrived."""
        effect = self.by_key.setdefault(key, Effect(tool))
        effect.deliveries += 1
        return effect

    def counts(self) -> dict[str, Any]:
        """
        Deliveries, executions, the keys whose effect happened more than once, and how often each key's effect happened.
        """
        done = {key: effect for key, effect in self.by_key.items() if effect.executions}
        return {
            "deliveries": sum(effect.deliveries for effect in self.by_key.values()),
            "executions": sum(effect.executions for effect in done.values()),
            "doubled": sum(effect.executions > 1 for effect in done.values()),
            "by_key": {key: effect.executions for key, effect in done.items()},
        }
