"""
What is watched while an entry is let in: exceptions, the process's CPU time, its memory.
"""

import asyncio
import resource
import signal
import time
import traceback
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.fuzz.door import Broken, Door, Session
from tests.fuzz.entry import Entry

CPU_SECONDS_MAX = 0.5
"""Of one entry; measured again where it is exceeded, because a collection of garbage may fall into it."""
MEASURED_AGAIN = 2
STUCK_SECONDS = 5.0
MEMORY_BYTES_MAX = 128 * 1_048_576
"""By which one entry may raise the highest memory that the process has held."""
FRAMES_TOLD = 6


class Stuck(BaseException):
    """An entry takes so long that it is given up; no `except Exception` holds it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What went wrong with the last of some entries; *kind* is the same for the same fault, *told* is for a person."""

    kind: str
    told: str


@dataclass(slots=True)
class Passed:
    """How many entries came, and how many of them the first decoder took."""

    entries: int = 0
    decoded: int = 0
    slowest_seconds: float = 0.0


async def walk(door: Door, entries: Sequence[Entry], passed: Passed) -> tuple[int, Finding] | None:
    """Let *entries* into a new world of *door*; the index of the first at which something was found, and what."""
    session = door.open()
    for index, entry in enumerate(entries):
        if finding := await _let_in(session, entry, passed):
            if finding.kind == "slow" and not await _slow_again(door, entries[: index + 1]):
                continue
            return index, finding
    return None


async def _slow_again(door: Door, entries: Sequence[Entry]) -> bool:
    for _ in range(MEASURED_AGAIN):
        session, finding = door.open(), None
        for entry in entries:
            finding = await _let_in(session, entry, Passed())
        if finding is None:
            return False
    return True


async def _let_in(session: Session, entry: Entry, passed: Passed) -> Finding | None:
    peak = _peak_bytes()
    begun = time.process_time()
    finding = None
    try:
        with _alarm():
            passed.decoded += await session.enter(entry)
    except Broken as error:
        finding = Finding(f"broken: {error}", str(error))
    except Stuck:
        finding = Finding("stuck", f"more than {STUCK_SECONDS:g} s of CPU\n{traceback.format_exc()}")
    except asyncio.CancelledError as error:
        finding = _of(error)
    except Exception as error:  # noqa: BLE001  whatever a door raises is what is looked for
        finding = _of(error)
    seconds = time.process_time() - begun
    passed.entries += 1
    passed.slowest_seconds = max(passed.slowest_seconds, seconds)
    if finding is None and seconds > CPU_SECONDS_MAX:
        finding = Finding("slow", f"{seconds:.2f} s of CPU")
    if finding is None and (grown := _peak_bytes() - peak) > MEMORY_BYTES_MAX:
        finding = Finding("large", f"{grown / 1_048_576:.0f} MiB of memory")
    return finding


def _of(error: BaseException) -> Finding:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    cause = error.__cause__
    ours = [frame for frame in frames if "/tests/" not in frame.filename and "site-packages" not in frame.filename]
    at = f"{ours[-1].filename.rpartition('/')[2]}:{ours[-1].name}" if ours else "?"
    told = "".join(traceback.format_exception(error)[-FRAMES_TOLD:])
    causes = f" from {type(cause).__name__}" if cause is not None else ""
    return Finding(f"{type(error).__name__}{causes} at {at}", told)


@contextmanager
def _alarm():
    """Raise `Stuck` where the process has used too much CPU since."""
    former = signal.signal(signal.SIGPROF, _stuck)
    signal.setitimer(signal.ITIMER_PROF, STUCK_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)


def _stuck(*_):
    raise Stuck


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
