"""
`make fuzz`: hostile inputs at each door, drawn from a seed, until one breaks something or so many have passed.

    python -m tests.fuzz --door records --inputs 100000
    python -m tests.fuzz --replay .fuzz/records-1-209.json
    python -m tests.fuzz --replay records:209
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import structlog

from tests.fuzz.door import Door
from tests.fuzz.doors import DOORS
from tests.fuzz.entry import Entry, dump
from tests.fuzz.journal import Journal, read
from tests.fuzz.jumping_loop import JumpingLoop
from tests.fuzz.search import Search
from tests.fuzz.stages import STAGES, fuzz_stages
from tests.fuzz.watchman import Passed, walk

DECODED_SHARE_MIN = 0.3
PROGRESS_SECONDS = 5.0
GROWTH_BYTES_MAX = 256 * 1_048_576
"""By which the process may grow after its first entries, over a whole search."""
WARM_ENTRIES = 2_000


def main() -> int:
    """Run what the command line asks for; 1 where something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--door", choices=["all", *DOORS, STAGES], default="all", help="all: each but the stages")
    parser.add_argument("--inputs", type=int, default=100_000, help="at each door")
    parser.add_argument("--seconds", type=float, default=0.0, help="at each door at most; 0: as long as it takes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="where state and findings are kept")
    parser.add_argument("--replay", help="a finding's file, or DOOR:NUMBER: let these entries in and tell what breaks")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if asked.door == STAGES:
        return asyncio.run(fuzz_stages(asked.inputs, asked.seed, asked.folder.absolute()))
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        if asked.replay:
            return runner.run(replay(asked.replay, asked.seed))
        doors = list(DOORS.values()) if asked.door == "all" else [DOORS[asked.door]]
        try:
            held = [runner.run(fuzz(door, asked)) for door in doors]
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here")
            return 130
    return 0 if all(held) else 1


async def fuzz(door: Door, asked: argparse.Namespace) -> bool:
    """Search *door*; whether all held."""
    journal, search = Journal(asked.folder), Search(door, asked.seed)
    journal.resume(search)
    if not await _valid_ones_pass(door):
        return False
    begun = told_at = time.monotonic()
    warm_bytes = grown = 0
    while search.passed.entries < asked.inputs and not (0 < asked.seconds < time.monotonic() - begun):
        if found := await search.walk():
            print(f"{door.name}: {found.finding.kind}\n{found.finding.told}")
            print(f"  kept in {journal.save(search, found)}", flush=True)
        if not warm_bytes and search.passed.entries >= WARM_ENTRIES:
            warm_bytes = psutil.Process().memory_info().rss
        if time.monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = time.monotonic()
            journal.keep(search)
            print(told(search, asked.inputs), flush=True)
    journal.keep(search)
    grown = psutil.Process().memory_info().rss - warm_bytes if warm_bytes else 0
    print(told(search, asked.inputs))
    return _judged(search, grown)


def _judged(search: Search, grown: int) -> bool:
    passed = search.passed
    share = passed.decoded / max(passed.entries, 1)
    if share < DECODED_SHARE_MIN:
        print(f"{search.door.name}: only {share:.0%} passed the first decoder; {DECODED_SHARE_MIN:.0%} must")
    if grown > GROWTH_BYTES_MAX:
        print(f"{search.door.name}: the process grew by {grown / 1_048_576:.0f} MiB")
    return share >= DECODED_SHARE_MIN and grown <= GROWTH_BYTES_MAX and not search.kinds


async def _valid_ones_pass(door: Door) -> bool:
    """Valid entries break nothing; and what is loaded at the first of them is loaded."""
    for sample in door.samples():
        if broken := await walk(door, [sample], Passed()):
            print(f"{door.name}: a valid entry ({sample.kind}) breaks something: {broken[1].told}")
            return False
    return True


def told(search: Search, inputs: int) -> str:
    """How far *search* is, in one line."""
    passed = search.passed
    share = passed.decoded / max(passed.entries, 1)
    return (
        f"{search.door.name}: {passed.entries:,} of {inputs:,} inputs, {share:.0%} past the first decoder, slowest "
        f"{passed.slowest_seconds * 1_000:.0f} ms of CPU, {len(search.kinds)} kinds of fault"
    )


async def replay(name: str, seed: int) -> int:
    """Let the entries of a finding in, print them and what breaks."""
    door, entries = _named(name, seed)
    await _valid_ones_pass(door)
    print(dump(entries))
    broken = await walk(door, entries, Passed())
    print("nothing breaks" if broken is None else f"entry {broken[0]}: {broken[1].kind}\n{broken[1].told}")
    return 0 if broken is None else 1


def _named(name: str, seed: int) -> tuple[Door, Sequence[Entry]]:
    if Path(name).exists():
        door, entries = read(Path(name))
        return DOORS[door], entries
    door, _, number = name.partition(":")
    return DOORS[door], list(Search(DOORS[door], seed).entries(int(number)))


if __name__ == "__main__":
    sys.exit(main())
