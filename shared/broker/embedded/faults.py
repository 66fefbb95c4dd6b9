"""
Faults on purpose: the same seed over the same requests injects the same faults.

A rule names the requests that it meets and what befalls them; a one-shot is a rule with `times=1`.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from shared.broker.embedded.codes import Code
from shared.broker.embedded.wire import Api, Request


class Drop(Enum):
    """Close the connection: before the request is handled, or after, so that only its answer is lost."""

    BEFORE = "before"
    AFTER = "after"


class Act(Enum):
    """Do something to the one who asks, or to its group, before the request is handled."""

    FENCE_PRODUCER = "fence_producer"
    EXPIRE_MEMBER = "expire_member"
    REBALANCE = "rebalance"


@dataclass(frozen=True, slots=True)
class Delay:
    """Handle the request only after this time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer this error instead of handling the request."""

    code: Code


Effect = Drop | Act | Delay | Refuse


@dataclass(slots=True)
class Rule:
    """
    Which requests meet which fault.

    *api* None is any; *topic*, *group* and *transactional_id* are shell patterns that one of the request's must match.
    *probability* is per matching request; the first *after* matching ones are spared; at most *times* are hit.
    """

    effect: Effect
    api: Api | None = None
    topic: str | None = None
    group: str | None = None
    transactional_id: str | None = None
    probability: float = 1.0
    after: int = 0
    times: int | None = None
    met: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)

    def matches(self, request: Request) -> bool:
        """Does the rule speak of this request?"""
        return (
            self.api in {None, request.api}
            and (self.topic is None or _any_matches(topics_of(request), self.topic))
            and (self.group is None or _any_matches(_names(request.body, _GROUP_FIELDS), self.group))
            and (
                self.transactional_id is None
                or _any_matches(_names(request.body, ("transactional_id",)), self.transactional_id)
            )
        )

    def strikes(self, draw: Callable[[], float]) -> bool:
        """Is this matching request hit? Counts it."""
        self.met += 1
        if self.met <= self.after or (self.times is not None and self.hits >= self.times) or draw() >= self.probability:
            return False
        self.hits += 1
        return True


class Faults:
    """The rules in force; they may be added and cleared while the broker runs."""

    def __init__(self, seed: int = 0, rules: Iterable[Rule] = ()) -> None:
        self._random = random.Random(seed)
        self._rules = list(rules)
        self.injected: Counter[str] = Counter()
        """Effects injected so far, by `API effect`."""

    def add(self, rule: Rule) -> Rule:
        """Put a rule in force; its `hits` tell how often it struck."""
        self._rules.append(rule)
        return rule

    def once(self, effect: Effect, **predicates: Any) -> Rule:
        """Put a rule in force for the next matching request only."""
        return self.add(Rule(effect, times=1, **predicates))

    def clear(self) -> None:
        """No more faults."""
        self._rules.clear()

    def decide(self, request: Request) -> list[Effect]:
        """What befalls this request, in the order of the rules."""
        effects: list[Effect] = []
        for rule in self._rules:
            if rule.matches(request) and rule.strikes(self._random.random):
                self.injected[f"{request.api.name} {rule.effect}"] += 1
                effects.append(rule.effect)
        return effects


_GROUP_FIELDS = ("group", "consumer_group", "group_id")


def topics_of(request: Request) -> list[str]:
    """The topics that a request names."""
    body = request.body.__dict__
    entries = body.get("topics") or body.get("create_topic_requests") or body.get("topic_partitions") or ()
    return [entry if isinstance(entry, str) else entry[0] for entry in entries]


def group_of(request: Request) -> str | None:
    """The group that a request names."""
    return next(iter(_names(request.body, _GROUP_FIELDS)), None)


def _names(body: Any, fields: Iterable[str]) -> list[str]:
    return [value for name in fields if isinstance(value := body.__dict__.get(name), str)]


def _any_matches(names: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)
