"""The promises of the whole pipeline, under everything that a seed can do to it."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.simulation.__main__ import replay
from tests.simulation.approvers import PATTERNS
from tests.simulation.plan import plan_of
from tests.simulation.tools import TROUBLES
from tests.simulation.world import simulate

SEEDS = 500
BLOCK = 25
ROOT = Path(__file__).parents[2]
PRINT_DIGESTS = """
import json
import sys

from tests.simulation.__main__ import quiet
from tests.simulation.world import simulate

quiet()
print("ready", flush=True)
print(*[simulate(seed).digest for seed in json.loads(sys.stdin.read())])
"""


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_every_invariant_holds(first):
    broken = {
        seed: [str(violation) for violation in result.violations]
        for seed in range(first, first + BLOCK)
        if (result := simulate(seed)).violations
    }
    assert broken == {}, f"replay with: make simulate REPLAY={min(broken, default='')}"


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(10763, id="a call of unknown outcome was made again by the turn of a late approval"),
        pytest.param(22183, id="a batch fetched across a rebalance was taken in twice"),
        pytest.param(2691, id="a newer turn fetched across a rebalance did not stop the work on the older one"),
    ],
)
def test_what_a_seed_found_stays_mended(seed):
    assert simulate(seed).violations == ()


def test_after_an_erasure_whichever_body_of_an_id_comes_first_stands():
    """Of an erased conversation no id is remembered; the late copy of its first message meets another body there."""
    result = simulate(4893)

    letters = [line for line in result.trace.lines() if "append" in line and "dead.letters" in line]
    assert [line.split()[-3] for line in letters] == ["id_conflict"]
    assert result.violations == ()


def test_a_seed_gives_the_same_trace_each_time_in_any_process():
    """A second run in one process, and runs in processes that hash strings otherwise, have the same trace's hash."""
    seeds = [seed for seed in range(60) if plan_of(seed).weather.profile == "rough"][:8]
    digests = [simulate(seed).digest for seed in seeds]
    assert [simulate(seed).digest for seed in reversed(seeds)] == digests[::-1]
    # Started at one moment, so that nobody's edit of the code comes between them; for the same reason they are compared
    # with each other and not with this process, which has read the code earlier.
    with ExitStack() as running:
        one, other = _digests([running.enter_context(_process(hash_seed)) for hash_seed in ("1", "2")], seeds)
    assert one == other
    assert len(set(one)) == len(seeds)


def _process(hash_seed):
    return subprocess.Popen(
        [sys.executable, "-c", PRINT_DIGESTS],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _digests(processes, seeds):
    """What *processes* print; all of them have read the code by the time that one runs a seed."""
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * len(processes)
    printed = [process.communicate(json.dumps(seeds))[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return printed


def test_the_seeds_meet_everything_that_may_go_wrong():
    """A simulation that injects nothing proves nothing: among the first seeds each kind of trouble occurs."""
    results = [simulate(seed) for seed in range(60)]
    events = [(what, detail) for result in results for _, _, what, detail in result.trace.events]
    acts = {detail.split()[0] for what, detail in events if what == "act"}
    assert acts >= {
        "kill",
        "freeze",
        "thaw",
        "drain",
        "start",
        "rebalance",
        "expel",
        "pause",
        "publish",
        "compact",
        "gap",
    }
    faults = {detail.partition(":")[0] for what, detail in events if what == "fault"}
    assert faults == {"start", "fetch", "committed", "commit", "send", "transact"}
    model = {detail for what, detail in events if what == "model"}
    failures = {"rate_limited", "server_error", "timeout", "refused", "oversized", "spoilt", "cut"}
    assert model == failures | {"wavers"}
    told = " ".join(detail for what, detail in events if what == "append")
    for kind in ("conversation.erased", "conversation.mode_changed", "forged-", "poison-"):
        assert kind in told
    for reason in (
        "null_value",
        "bad_encoding",
        "bad_json",
        "missing_attribute",
        "bad_key",
        "key_mismatch",
        "misrouted",
    ):
        assert reason in told
    assert "id_conflict" in told
    tools = {word for what, detail in events if what == "request" for word in detail.split()[-1:]}
    assert tools >= set(TROUBLES)
    assert {detail.rpartition(" ")[0] for what, detail in events if what == "approver"} == set(PATTERNS)
    assert sum(result.effects for result in results) > len(results)
    assert sum(result.repeated for result in results) > 0
    assert {result.plan.weather.profile for result in results} == {"calm", "rolling", "rough"}


def test_a_replay_is_readable(capsys):
    assert replay(7) == 0
    printed = capsys.readouterr().out
    assert "seed 7:" in printed
    assert "turn.closed" in printed
    assert "every invariant held" in printed
