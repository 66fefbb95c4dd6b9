"""How a service's process starts, is told to stop, and ends. Each test runs a real process."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

SERVICE = """
import asyncio, sys
from contextlib import asynccontextmanager
from shared.errors import Fatal
from shared.stage.process import StageProcessSettings, run

class App:
    def __init__(self, process):
        self.health = process.health

    async def run(self, stop):
        {body}

@asynccontextmanager
async def build(settings, process):
    yield App(process)
    print("closed", flush=True)

sys.exit(run("probe", StageProcessSettings, build))
"""
WAIT = "self.health.ready = True; print('running', flush=True); await stop.wait()"


@pytest.fixture
def start():
    """Starts the service with *body* as its work; the process is gone when the test ends."""
    started = []

    def start(body, **environ):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVICE.format(body=body)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOLDFAST_TELEMETRY_LOG_FORMAT": "json", **environ},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until_running(process):
    assert process.stdout.readline() == "running\n"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_with_nought(start, signum):
    process = start(WAIT)
    wait_until_running(process)
    process.send_signal(signum)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "closed\n")


def test_a_second_interrupt_exits_at_once(start):
    process = start(WAIT + "; print('draining', flush=True); await asyncio.Event().wait()")
    wait_until_running(process)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "draining\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130


def test_fatal_exits_with_one_and_one_clear_line(start):
    process = start("raise Fatal('the key is refused; set HOLDFAST_LLM_API_KEY')")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    lines = [line for line in err.splitlines() if '"critical"' in line]
    assert len(lines) == 1
    assert "the key is refused; set HOLDFAST_LLM_API_KEY" in lines[0]
    assert "Traceback" not in err


def test_a_bug_exits_with_one_and_its_trace(start):
    process = start("raise ZeroDivisionError")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ZeroDivisionError" in err


@pytest.mark.parametrize(
    "body",
    [
        "raise MemoryError",
        "asyncio.get_running_loop().call_soon(lambda: (_ for _ in ()).throw(MemoryError)); await stop.wait()",
    ],
    ids=["its work", "a callback"],
)
def test_want_of_memory_ends_with_three_and_tidies_nothing_up(start, body):
    process = start(f"import asyncio; {body}")
    out, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "the process gets no more memory" in err
    assert "closed" not in out


def test_a_misspelt_setting_exits_with_two_and_its_name(start):
    process = start(WAIT, HOLDFAST_STAGE_DRAIN_SECOND="3")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert "HOLDFAST_STAGE_DRAIN_SECOND" in err
    assert "HOLDFAST_STAGE_DRAIN_SECONDS" in err
    assert len(err.splitlines()) == 1


def served(process):
    """The telemetry server's address, as the start-up log tells it."""
    for line in process.stderr:
        if found := re.search(r"http://[\d.:]+", line):
            return found.group()
    raise AssertionError("the log names no address")


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_metrics_liveness_and_readiness_are_served(start):
    process = start(WAIT)
    url = served(process)
    wait_until_running(process)
    assert status(f"{url}/healthz")[0] == 200
    assert status(f"{url}/readyz")[0] == 200
    assert 'service="probe"' in status(f"{url}/metrics")[1]


def test_a_stuck_loop_turns_liveness_red(start):
    process = start(
        "import time; print('running', flush=True); time.sleep(60)", HOLDFAST_TELEMETRY_LIVENESS_LIMIT_SECONDS="0.2"
    )
    url = served(process)
    wait_until_running(process)
    while status(f"{url}/healthz")[0] != 503:
        pass
    assert status(f"{url}/readyz")[0] == 503
