"""
`make simulate`: many seeds, until one breaks an invariant; or one seed, with its trace.

    python -m tests.simulation --seeds 50000 --jobs 2
    python -m tests.simulation --replay 4711
"""

import argparse
import gc
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

import structlog

from tests.simulation.world import Result, simulate

SEEDS_A_PIECE = 20
"""What a process runs before it reports."""
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What a stretch of seeds came to; `failed` is its first seed that broke an invariant, with what it broke."""

    seeds: int
    turns: int
    processes: int
    virtual_seconds: float
    effects: int
    profiles: Counter[str]
    failed: tuple[int, tuple[str, ...]] | None


def main() -> int:
    """Run what the command line asks for; 1 where an invariant broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--replay", type=int, help="run this seed alone and print what happened in it")
    asked = parser.parse_args()
    if asked.replay is not None:
        quiet()
        return replay(asked.replay)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return search(asked.first, asked.seeds, asked.jobs)
    except KeyboardInterrupt:
        print("stopped before the end; no invariant broke in the seeds that are counted above")
        return 130


def quiet() -> None:
    """Errors that a simulation causes are no news: rendering them would take most of its time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def work() -> None:
    """Begin a process of the search: the first process alone hears Ctrl-C, and ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    quiet()


def replay(seed: int) -> int:
    """Print the plan, the trace and the verdict of *seed*."""
    result = simulate(seed)
    plan = result.plan
    print(f"seed {seed}: {plan.weather}")
    print(f"{plan.partitions} partitions, {plan.replicas}, settle {plan.settle_seconds:g} s, span {plan.span_max}")
    print("  seconds  process            what         detail")
    print("\n".join(result.trace.lines()))
    print(_told(result))
    return 1 if result.violations else 0


def search(first: int, seeds: int, jobs: int) -> int:
    """Run *seeds* seeds from *first* on in *jobs* processes, and stop at the first that breaks an invariant."""
    begun = told_at = time.monotonic()
    done = Piece(0, 0, 0, 0.0, 0, Counter(), None)
    for piece in _pieces(first, seeds, jobs):
        done = _sum(done, piece)
        if piece.failed is not None or time.monotonic() - told_at >= PROGRESS_SECONDS or done.seeds >= seeds:
            told_at = time.monotonic()
            rate = done.seeds / (told_at - begun)
            print(
                f"{done.seeds:,} of {seeds:,} seeds, {rate:.1f} a second: {done.turns:,} turns, {done.effects:,} "
                f"effects of tools, {done.processes:,} processes, {done.virtual_seconds / 3_600:,.1f} h of virtual "
                f"time, {_counts(done.profiles)}",
                flush=True,
            )
        if piece.failed is not None:
            seed, broken = piece.failed
            print(f"seed {seed} breaks an invariant:", *broken, sep="\n  ")
            print(f"replay it with: make simulate REPLAY={seed}")
            return 1
    print(f"no invariant broke in {done.seeds:,} seeds ({first} to {first + seeds - 1})")
    return 0


def run_piece(first: int, seeds: int) -> Piece:
    """Run *seeds* seeds from *first* on, as far as the first that breaks an invariant."""
    done = Piece(0, 0, 0, 0.0, 0, Counter(), None)
    for seed in range(first, first + seeds):
        result = simulate(seed)
        failed = (seed, tuple(map(str, result.violations))) if result.violations else None
        profiles = Counter({result.plan.weather.profile: 1})
        done = _sum(
            done, Piece(1, result.turns, result.processes, result.virtual_seconds, result.effects, profiles, failed)
        )
        if failed is not None:
            break
    return done


def _pieces(first: int, seeds: int, jobs: int) -> Iterator[Piece]:
    end = first + seeds
    starts = iter(range(first, end, SEEDS_A_PIECE))
    pool = ProcessPoolExecutor(max_workers=jobs, initializer=work)

    def more(count: int) -> set[Future[Piece]]:
        return {pool.submit(run_piece, at, min(SEEDS_A_PIECE, end - at)) for at in islice(starts, count)}

    try:
        running = more(2 * jobs)
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
            running |= more(len(finished))
    finally:
        pool.shutdown(cancel_futures=True)


def _sum(one: Piece, other: Piece) -> Piece:
    return Piece(
        one.seeds + other.seeds,
        one.turns + other.turns,
        one.processes + other.processes,
        one.virtual_seconds + other.virtual_seconds,
        one.effects + other.effects,
        one.profiles + other.profiles,
        one.failed or other.failed,
    )


def _counts(profiles: Counter[str]) -> str:
    return ", ".join(f"{count:,} {profile}" for profile, count in sorted(profiles.items()))


def _told(result: Result) -> str:
    verdict = "; ".join(map(str, result.violations)) or "every invariant held"
    return (
        f"seed {result.seed}: {result.turns} turns, {result.processes} processes, {result.virtual_seconds:.1f} virtual "
        f"seconds, trace {result.digest}: {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
