"""
Faults of the machines' clocks.
"""

from collections.abc import Mapping
from pathlib import Path

from services.operator.faults.world import Row, World
from shared.errors import Fatal

APART_MINUTES = 10
JUMP_SECONDS = 7.5
LIBRARIES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
TOLERANCE_MS = 6_000
"""Stages take clocks as they are that are 5 s apart, and times are whole milliseconds."""


def apart(folder: Path, name: str) -> Mapping[str, str]:
    """
    A clock of its own for the process *name*, by libfaketime, until its file says otherwise: ten minutes ahead for the
    first of each service that works on turns, ten behind for the others. The conversations service is right, as its
    processes take turns over from each other by their due times.

    Raises:
        Fatal: libfaketime is not installed.

    """
    found = [path for root in LIBRARIES for path in Path(root).glob("**/libfaketimeMT.so.1")]
    if not found:
        raise Fatal(
            "processes are given clocks of their own by libfaketime; install it (Debian: apt install libfaketime)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.clock"
    file.write_text(f"{_minutes(name):+d}m\n", encoding="ascii")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


async def jump(world: World) -> None:
    """The clock of one process of each service after another is set back by an hour, the ledger's first."""
    folder = world.stack.services.folder
    for name in sorted(name for name in world.stack.services.members if name.endswith("-1")):
        if not await world.wait(JUMP_SECONDS):
            return
        world.monkey.note("clock set back by an hour", name)
        (folder / f"{name}.clock").write_text(f"{_minutes(name) - 60:+d}m\n", encoding="ascii")


async def no_time_is_negative(world: World) -> None:
    """No stage's work took less than nothing, and none was taken up before its turn was opened."""
    took, taken_up = 0, 0
    for exchange in world.watch.exchanges.values():
        closed = exchange.closed
        opened_ms = closed.turn.opened_at.timestamp() * 1_000
        took += sum(mark.finished_ms < mark.received_ms for mark in closed.marks)
        taken_up += sum(mark.received_ms < opened_ms - TOLERANCE_MS for mark in closed.marks[1:])
    world.figures["marks before their turn"] = str(taken_up)
    if took:
        world.broken.append(f"{took} stages took less than no time for a turn")
    if taken_up:
        world.broken.append(f"{taken_up} stages took a turn up before it was opened")


def _minutes(name: str) -> int:
    if name.startswith("conversations"):
        return 0
    return APART_MINUTES if name.endswith("-1") else -APART_MINUTES


ROWS = (
    Row(
        "clock-skew",
        "clocks 10 min ahead and behind, then set back by an hour",
        jump,
        judge=no_time_is_negative,
        environ_of=apart,
    ),
)
