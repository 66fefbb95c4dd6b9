"""
An event loop for many simulated processes: its clock jumps, its order is drawn from a seed, and a process can be frozen
or killed between any two of its callbacks.

Every process of the simulation is told by a context variable, which tasks, timers and callbacks inherit. Within a
process callbacks run in the order in which they were scheduled, as asyncio promises; between processes any order is
possible, as between machines. A killed process never runs again: no `finally`, no `except`, as after SIGKILL.

No library does this: those that make a clock jump (looptime, async-solipsism) know one process, and one that shuffles a
loop's callbacks would break the order that asyncio promises.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Coroutine
from contextvars import ContextVar
from random import Random
from typing import Any

WORLD = "world"
"""Who is no simulated process: the broker, the platform, whoever injects faults."""
PROCESS: ContextVar[str] = ContextVar("process", default=WORLD)
BEGIN_SECONDS = 1_000.0
TEARDOWN_STEPS_MAX = 20_000


class NothingDue(RuntimeError):
    """The simulation waits for ever."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs what is due, process by process in an order that *chance* draws, and jumps to the next timer."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance = chance
        self._now = BEGIN_SECONDS
        self._queues: dict[str, deque[asyncio.Handle]] = {}
        self._halted: set[str] = set()
        # Strong references: the garbage collector must not end what a killed process left, at a moment of its own.
        self._tasks: list[asyncio.Task[Any]] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, _context: None)
        self._clock_resolution = 0.0

    def time(self) -> float:
        return self._now

    def freeze(self, process: str) -> None:
        """Run nothing of *process* until `thaw`; what becomes due meanwhile waits, as after SIGSTOP."""
        self._halted.add(process)

    def thaw(self, process: str) -> None:
        """Let *process* go on."""
        self._halted.discard(process)

    def kill(self, process: str) -> None:
        """Never run anything of *process* again; nobody else bears its name."""
        self._halted.add(process)

    def end(self) -> None:
        """End whatever is left, outside the simulation, and close."""
        self._halted.clear()
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        for _ in range(TEARDOWN_STEPS_MAX):
            if all(task.done() for task in left):
                break
            self.call_soon(self.stop)
            self.run_forever()
            left = [task for task in self._tasks if not task.done()]
            for task in left:
                task.cancel()
        self._tasks.clear()
        self.close()

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> Any:
        task = asyncio.Task(coro, loop=loop, **options)
        self._tasks.append(task)
        return task

    def _run_once(self) -> None:
        self._sort_ready()
        halted = self._halted
        runnable = [queue for name, queue in self._queues.items() if queue and name not in halted]
        if not runnable:
            self._jump()
            return
        count = len(runnable)
        queue = runnable[int(self._chance.random() * count)] if count > 1 else runnable[0]
        for _ in range(1 + int(self._chance.random() * len(queue))):
            handle = queue.popleft()
            if not handle._cancelled:
                handle._run()

    def _sort_ready(self) -> None:
        ready, queues = self._ready, self._queues
        while ready:
            self._queue_up(ready.popleft(), queues)

    @staticmethod
    def _queue_up(handle: asyncio.Handle, queues: dict[str, deque[asyncio.Handle]]) -> None:
        name = handle._context.get(PROCESS, WORLD)
        queue = queues.get(name)
        if queue is None:
            queue = queues[name] = deque()
        queue.append(handle)

    def _jump(self) -> None:
        """Set the clock to the next timer of a process that runs, and make ready what is due by then."""
        scheduled = self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not scheduled:
            raise NothingDue("nothing is due: everybody waits for somebody else")
        self._now = max(self._now, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                self._queue_up(handle, self._queues)

    def _write_to_self(self) -> None:
        """Nobody wakes this loop from another thread."""

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no sockets."""
