"""
`holdfast evaluate` against an endpoint that takes its time, and interrupted on the way.
"""

import asyncio
import os
import signal
import sys
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.operator.cli import app
from services.operator.evaluation.kept import read_results
from services.operator.evaluation.result import Result
from services.operator.evaluation.scenario import read_scenarios
from services.operator.evaluation.scripted import scripted_rules
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings

pytestmark = pytest.mark.timeout(150)

SAMPLE = Path(str(files("services.operator"))) / "samples" / "scenarios" / "bank.yaml"
SECONDS_MAX = 90.0
SHORT = {
    "HOLDFAST_LLM_FIRST_BYTE_TIMEOUT_SECONDS": "1",
    "HOLDFAST_LLM_TOTAL_TIMEOUT_SECONDS": "1",
    "HOLDFAST_MATCHER_MODEL_WAIT_MAX_SECONDS": "1",
}
"""What a service is tuned to; an evaluation's own option counts instead."""


def endpoint(seconds):
    """A model that answers as labelled, *seconds* after it is asked."""
    scenarios, _ = read_scenarios(SAMPLE)
    return RehearsalServer(RehearsalSettings(base_latency_seconds=seconds), rules=scripted_rules(scenarios))


def environ(folder, url):
    return {"HOLDFAST_OPERATOR_FOLDER": str(folder / "folder"), "HOLDFAST_LLM_URL": url, **SHORT}


def arguments(folder, *more):
    return ["evaluate", str(SAMPLE), "--results", str(folder / "results.jsonl"), *map(str, more)]


async def evaluated(folder, server, *more):
    runner = CliRunner(env=environ(folder, server.url))
    done = await asyncio.to_thread(runner.invoke, app, arguments(folder, *more))
    return done, read_results(folder / "results.jsonl", Result)


async def test_an_answer_that_takes_longer_than_the_services_limits_is_waited_for(tmp_path):
    async with endpoint(2.5) as server:
        done, results = await evaluated(tmp_path, server, "--answer-seconds-max", 40)
    assert done.exit_code == 0, done.output
    assert results
    assert all(result.is_right and result.seconds >= 2.5 for result in results.values())


async def test_an_answer_that_takes_too_long_is_given_up_and_is_no_right_one(tmp_path):
    async with endpoint(60.0) as server:
        done, results = await asyncio.wait_for(evaluated(tmp_path, server, "--answer-seconds-max", 1), SECONDS_MAX)
    assert done.exit_code == 1, done.output
    assert results
    assert not any(result.is_right for result in results.values())
    assert all(result.failure or result.unknown for result in results.values())
    assert max(result.seconds for result in results.values()) < 60


async def test_what_was_played_before_an_interruption_is_kept_and_the_rest_is_played(tmp_path):
    scenarios, _ = read_scenarios(SAMPLE)
    async with endpoint(1.0) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.operator"),
            *arguments(tmp_path, "--open-max", 1, "--answer-seconds-max", 40),
            env=os.environ | environ(tmp_path, server.url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Tests that run in the background of a shell have SIGINT ignored, and hand that down.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        kept = tmp_path / "results.jsonl"
        async with asyncio.timeout(SECONDS_MAX):
            while not kept.exists() or not read_results(kept, Result):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            output, _ = await process.communicate()
        first = read_results(kept, Result)
        assert process.returncode not in (0, None), output
        assert b"Traceback" not in output
        assert 0 < len(first) < len(scenarios)
        answered = server.requests_answered

        done, results = await evaluated(tmp_path, server, "--answer-seconds-max", 40)
        assert done.exit_code == 0, done.output
        assert f"{len(first)} plays kept" in " ".join(done.output.split())
        assert len(results) == len(scenarios)
        assert first.items() <= results.items()
        # The one under way is asked again; nothing that was kept is.
        spent = sum(result.calls for key, result in results.items() if key not in first)
        assert server.requests_answered - answered <= spent + 1
