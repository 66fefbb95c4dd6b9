"""
One run: the processes of a plan, the platform that writes to them, and whoever breaks them; then the verdict.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from services.conversations.domain.speakers import RESULT_TOPICS
from shared.errors import HoldfastError
from shared.events import topics
from shared.events.envelope import Address
from shared.stage.base import Record
from shared.stage.ports import Committed, Position
from tests.simulation.approvers import Approvers
from tests.simulation.broker import SimulatedBroker
from tests.simulation.judge import judge
from tests.simulation.loop import BEGIN_SECONDS, NothingDue, SimulatedLoop
from tests.simulation.model import SimulatedModel
from tests.simulation.plan import CHAOS_SECONDS, SERVICES, TENANTS, Act, Plan, plan_of
from tests.simulation.platform import Platform
from tests.simulation.playbooks import DEADLINE_SECONDS, Press
from tests.simulation.processes import BOUNDS, DRAIN_SECONDS, EPOCH_SECONDS, Factory, Process, metrics
from tests.simulation.replay import Differs, Replay
from tests.simulation.tools import Endpoints
from tests.simulation.trace import Trace
from tests.simulation.watcher import STAGE_INPUT, Violation, Watcher

PROCESSES_MAX = 3
"""Of a service, at once."""
POLL_SECONDS = 0.25
RECOVERY_SECONDS = 60.0
"""After the last fault, until every turn has ended and every input is committed (I10)."""
STOP_SECONDS = DRAIN_SECONDS + 15.0
"""For a process to end after SIGTERM (I12): drain, settle, last commit."""
_TO_A_PROCESS = frozenset({"kill", "freeze", "drain", "expel"})
GROUP_INPUTS = {
    "conversations": (*topics.RECEIVED_FROM_TENANTS, *RESULT_TOPICS),
    **{stage: (topic, topics.TURNS_OPENED) for stage, topic in STAGE_INPUT.items()},
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a seed came to. `virtual_seconds` passed in the simulation."""

    seed: int
    violations: tuple[Violation, ...]
    digest: str
    trace: Trace
    plan: Plan
    virtual_seconds: float
    turns: int
    processes: int
    repeated: int
    effects: int


def simulate(seed: int) -> Result:
    """Run *seed* to its end, and judge it."""
    plan = plan_of(seed)
    loop = SimulatedLoop(Random(f"order {seed}"))
    try:
        world = World(plan, loop)
        try:
            loop.run_until_complete(world.run())
        except NothingDue as error:
            world.watcher.blame("I10", str(error))
        return world.result()
    finally:
        loop.end()


class World:
    """Everything of one run."""

    def __init__(self, plan: Plan, loop: SimulatedLoop) -> None:
        self.plan = plan
        self.loop = loop
        self.trace = Trace(loop.time)
        clock = lambda: EPOCH_SECONDS + loop.time()  # noqa: E731
        self.watcher = Watcher(clock, 2 * plan.weather.skew_seconds, BOUNDS.legs_max)
        partitions = dict.fromkeys(topics.TOPICS, plan.partitions)
        chance = Random(f"weather {plan.seed}")
        self.broker = SimulatedBroker(partitions, loop, chance, plan.weather, self.trace, self.watcher)
        self.model = SimulatedModel(Random(f"model {plan.seed}"), plan.weather, self.trace, self.watcher)
        self.press = Press(plan.edition, plan.settle_seconds)
        self.platform = Platform(plan, self.broker, loop)
        self.approvers = Approvers(self.broker, loop, Random(f"approvers {plan.seed}"))
        self.endpoints = Endpoints(Random(f"tools {plan.seed}"), plan.weather, self.trace, self.watcher.effects)
        self.factory = Factory(
            plan, self.broker, self.model, self.endpoints, self.press, Random(f"processes {plan.seed}")
        )
        self.processes: list[Process] = []

    async def run(self) -> None:
        """The whole run, as far as a violation lets it come."""
        for service in SERVICES:
            for _ in range(self.plan.replicas[service]):
                self._start(service)
        doing: list[tuple[float, Callable[[], None]]] = [
            *((event.at + copy * event.late, self.platform.telling(event)) for event in self.plan.events
              for copy in range(event.copies)),
            *((act.at, self._acting(act)) for act in self.plan.acts),
        ]  # fmt: skip
        for at, do in sorted(doing, key=lambda entry: entry[0]):
            await self._until(BEGIN_SECONDS + at)
            if self._over():
                return
            do()
        await self._until(BEGIN_SECONDS + CHAOS_SECONDS)
        self._calm()
        if await self._recovers():
            await self._stop_all()
            self._judge()

    def result(self) -> Result:
        """What the run came to."""
        for violation in self.watcher.violations:
            self.trace.note("violation", str(violation))
        return Result(
            seed=self.plan.seed,
            violations=tuple(self.watcher.violations),
            digest=self.trace.digest,
            trace=self.trace,
            plan=self.plan,
            virtual_seconds=self.loop.time() - BEGIN_SECONDS,
            turns=len(self.broker.records(topics.TURNS_CLOSED)),
            processes=self.factory.started,
            repeated=self.watcher.repeated,
            effects=sum(map(len, self.watcher.effects.happenings.values())),
        )

    # -- what is done to the processes -------------------------------------------------------------------------------

    def _start(self, service: str) -> None:
        self.processes.append(self.factory.start(service))

    def _acting(self, act: Act) -> Callable[[], None]:
        return lambda: self._act(act)

    def _act(self, act: Act) -> None:
        if act.what in _TO_A_PROCESS:
            living = [process for process in self.processes if not process.frozen]
            if living:
                process = living[int(act.pick * len(living))]
                self.trace.note("act", f"{act.what} {process.name}")
                self._act_on(process, act)
            return
        self.trace.note("act", act.what)
        service = SERVICES[int(act.pick * len(SERVICES))]
        match act.what:
            case "start":
                self._start_if_room(service)
            case "rebalance":
                self.broker.rebalance(service)
            case "pause":
                self.broker.pause()
                self.loop.call_later(act.seconds, self.broker.go_on)
            case "publish":
                tenant = TENANTS[int(act.pick * len(TENANTS))]
                self.trace.note("publish", f"{tenant} {self.press.publish(tenant, self.loop.time())}")
            case "compact":
                self.broker.compact(topics.CONVERSATIONS_STATE)
            case "gap":
                self.broker.skip(topics.TURNS_MATCHED, int(act.pick * self.plan.partitions), 3)

    def _act_on(self, process: Process, act: Act) -> None:
        match act.what:
            case "kill":
                self._kill(process)
                self.loop.call_later(act.seconds, self._start_if_room, process.service)
            case "freeze":
                self._freeze(process, act.seconds)
            case "drain":
                self.processes.remove(process)
                process.stop.set()
                self.loop.call_later(STOP_SECONDS, self._check_stopped, process)
                self.loop.call_later(act.seconds, self._start_if_room, process.service)
            case "expel":
                process.client.expel()

    def _kill(self, process: Process) -> None:
        self.processes.remove(process)
        self.loop.kill(process.name)
        process.client.kill()

    def _freeze(self, process: Process, seconds: float) -> None:
        process.frozen = True
        self.loop.freeze(process.name)
        self.loop.call_later(seconds, self._thaw, process)
        if seconds > self.broker.session_seconds:
            self.loop.call_later(self.broker.session_seconds, process.client.expel)

    def _thaw(self, process: Process) -> None:
        process.frozen = False
        self.trace.note("act", f"thaw {process.name}")
        self.loop.thaw(process.name)

    def _start_if_room(self, service: str) -> None:
        if sum(process.service == service for process in self.processes) < PROCESSES_MAX:
            self._start(service)

    def _calm(self) -> None:
        """From now on nothing breaks, and every service has a process."""
        self.trace.note("act", "calm")
        weather = replace(
            self.plan.weather,
            fault_rate=0.0,
            model_fault_rate=0.0,
            model_slow_rate=0.0,
            tool_fault_rate=0.0,
            tool_slow_rate=0.0,
        )
        self.broker.weather = self.model.weather = self.endpoints.weather = weather
        for service in SERVICES:
            if not any(process.service == service for process in self.processes):
                self._start(service)

    # -- what is waited for ------------------------------------------------------------------------------------------

    async def _until(self, at: float) -> None:
        while (left := at - self.loop.time()) > 0 and not self._over():  # noqa: ASYNC110  violations come from anywhere
            await asyncio.sleep(min(left, 1.0))

    def _over(self) -> bool:
        self._check_alive()
        return bool(self.watcher.violations)

    def _check_alive(self) -> None:
        for process in self.processes:
            if process.job.done() and process.job.exception() is not None:
                self.watcher.blame("I12", f"{process.name} ended by itself: {process.job.exception()!r}")

    def _check_stopped(self, process: Process) -> None:
        if not process.job.done():
            self.watcher.blame("I12", f"{process.name} does not end after SIGTERM")
        elif (error := process.job.exception()) is not None:
            self.watcher.blame("I12", f"{process.name} ended with {error!r}")

    async def _recovers(self) -> bool:
        until = self.loop.time() + RECOVERY_SECONDS
        while not self._quiet():
            if self._over():
                return False
            if self.loop.time() > until:
                self.watcher.blame("I10", f"{RECOVERY_SECONDS:g} s after the last fault: {self._unfinished()}")
                return False
            await asyncio.sleep(POLL_SECONDS)
        return not self._over()

    def _quiet(self) -> bool:
        # Before the last deadline a timer may still be due; a turn that is open shows in no offset.
        until = max(BEGIN_SECONDS + CHAOS_SECONDS + DEADLINE_SECONDS, self.approvers.busy_until)
        return self.loop.time() > until and not self._unfinished()

    def _unfinished(self) -> str:
        for group, inputs in GROUP_INPUTS.items():
            committed = self.broker.committed(group)
            for topic in inputs:
                for partition in range(self.plan.partitions):
                    position = Position(topic, partition)
                    records = self.broker.log(position).records
                    if records and committed.get(position, Committed(0)).offset <= records[-1].offset:
                        return f"{group} has not committed {topic}/{partition}@{records[-1].offset}"
        closed = {dict(r.headers)["ce_correlationid"] for r in self.broker.records(topics.TURNS_CLOSED)}
        for record in self.broker.records(topics.TURNS_OPENED):
            turn = dict(record.headers).get("ce_correlationid")
            if turn is not None and turn not in closed:
                return f"turn {turn.decode()} is open"
        return ""

    async def _stop_all(self) -> None:
        stopping = list(self.processes)
        for process in stopping:
            process.stop.set()
        await asyncio.wait([process.job for process in stopping], timeout=STOP_SECONDS)
        for process in stopping:
            self._check_stopped(process)

    # -- the verdict -------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        watcher = self.watcher
        records: dict[str, Sequence[Record]] = {name: self.broker.records(name) for name in topics.TOPICS}
        once = self.plan.weather.profile != "rough"
        watcher.violations += judge(records, self.platform.expected, self.press, once=once)
        logs = {
            (topic, partition): self.broker.records(topic, partition)
            for topic in (*GROUP_INPUTS["conversations"], topics.CONVERSATIONS_STATE)
            for partition in range(self.plan.partitions)
        }
        replay = Replay(self.press, BOUNDS, metrics()["ledger"], self.plan.partitions, logs)
        try:
            replay.run(watcher.transactions)
        except (Differs, HoldfastError) as error:
            watcher.blame("I7", str(error))
        else:
            if unread := replay.unread():
                watcher.blame("I1", f"{unread} took no effect")
            self._check_states(replay)
            watcher.effects.judge(replay.states)

    def _check_states(self, replay: Replay) -> None:
        """What a successor would restore is what the log says (I7), and nothing waits in it (I9, I10)."""
        restored = {record.key: record.value for record in self.broker.records(topics.CONVERSATIONS_STATE)}
        if {key: value for key, value in restored.items() if value is not None} != replay.states:
            self.watcher.blame("I7", "the changelog restores another state than the log gives")
        for key, value in replay.states.items():
            head = value.partition(b"\n")[0]
            if b'"open":' in head or b'"waiting":' in head:
                self.watcher.blame("I9", f"{Address.from_key(key)} still waits for an answer")
