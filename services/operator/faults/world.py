"""
What a row of the matrix acts on while it runs.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.operator.adapters.monkey import Monkey
from services.operator.adapters.stack import Stack
from services.operator.adapters.watch import Watch
from services.operator.faults.model_proxy import ModelProxy
from services.operator.faults.post import Post, Shape, steady
from shared.broker.local import LocalKafka
from shared.errors import Fatal
from shared.playbook.model import Playbook


@dataclass(slots=True)
class World:
    """
    A Holdfast under load. `over` is set when all is published; `sent` is what was, and `figures` and `broken` are what
    the row itself has to tell.
    """

    stack: Stack
    watch: Watch
    monkey: Monkey
    model: ModelProxy
    playbook: Playbook
    source: random.Random
    over: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[Post] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    hostile_spans: list[tuple[float, float]] = field(default_factory=list)
    """When a hostile tenant was active: from and to, unix seconds."""
    approved: int = 0
    """Calls that somebody was asked for leave to make, and gave it."""
    faults_end_seconds: float = 0.0

    @property
    def nodes(self) -> LocalKafka:
        """
        The brokers' processes.

        Raises:
            Fatal: they are not ours to touch.

        """
        if self.stack.nodes is None:
            raise Fatal("this row acts on Apache Kafka's own processes; run it with --broker kafka3")
        return self.stack.nodes

    async def wait(self, seconds: float) -> bool:
        """Wait that long, or until all is published; whether the load goes on."""
        try:
            await asyncio.wait_for(self.over.wait(), seconds)
        except TimeoutError:
            return True
        return False

    def calm(self) -> None:
        """From now on nothing is disturbed."""
        self.faults_end_seconds = time.time()


Disturbance = Callable[[World], Coroutine[Any, Any, None]]
Judgement = Callable[[World], Coroutine[Any, Any, None]]


async def nothing(_: World) -> None:
    """No disturbance; nothing more to judge."""


@dataclass(frozen=True, slots=True)
class Row:
    """
    One fault.

    `prepare` acts before anything is published, `disturb` while `load` is and ends soon after it. `judge` looks at what
    is particular to the row, once all is drained. `environ` goes to every service, what `environ_of` tells to one of
    them (see `StackPlan`), `broker` to Apache Kafka's configuration; with `tls` services come over TLS. The tenant
    `apart` has topics of its own; with `judged` that tenant's conversations alone are audited. `exact` says that the
    services' counters must agree with the topics, because nobody dies and nothing is done twice; `expires` that turns
    may pass their deadline. A row publishes `volumes` times as much as is asked for: kills come at many moments before
    one comes at the moment that matters. A row that measures waiting publishes no faster than `rate_max` messages a
    second, lest the machine be what is waited for.
    """

    name: str
    what: str
    disturb: Disturbance = nothing
    prepare: Disturbance = nothing
    load: Shape = steady
    judge: Judgement = nothing
    environ: Mapping[str, str] = field(default_factory=dict)
    environ_of: Callable[[Path, str], Mapping[str, str]] = lambda _folder, _name: {}
    broker: Mapping[str, str] = field(default_factory=dict)
    tls: bool = False
    apart: str = ""
    judged: str = ""
    exact: bool = True
    expires: bool = False
    volumes: int = 1
    rate_max: float = math.inf
    calls_a_turn_max: float = 4.0
