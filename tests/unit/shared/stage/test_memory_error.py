"""Each case is a process of its own: its end is what is looked at."""

import subprocess
import sys
from textwrap import indent

import pytest

from shared.stage.memory_error import EXIT_OUT_OF_MEMORY

BEGIN = """
import asyncio, threading
from shared.stage.memory_error import end_on_memory_error

def fail(kind):
    raise kind()
"""


def ended(body, *, loop="asyncio.new_event_loop"):
    """What became of a process that does *body* once it is told to end for want of memory."""
    told = "    end_on_memory_error(asyncio.get_running_loop())"
    main = f"async def main():\n{told}\n{indent(body, '    ')}"
    start = f"import uvloop\nwith asyncio.Runner(loop_factory={loop}) as runner:\n    runner.run(main())"
    program = f"{BEGIN}\n{main}\n{start}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)


CASES = {
    "a callback": "asyncio.get_running_loop().call_soon(fail, {kind})\nawait asyncio.sleep(0.3)",
    "a thread": "threading.Thread(target=fail, args=({kind},)).start()\nawait asyncio.sleep(0.3)",
    "a finalizer": "class Held:\n    def __del__(self):\n        fail({kind})\nHeld()\nawait asyncio.sleep(0.3)",
}


@pytest.mark.parametrize("loop", ["asyncio.new_event_loop", "uvloop.new_event_loop"], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("where", CASES)
def test_a_memory_error_that_nobody_catches_ends_the_process_at_once_wherever_it_is_met(where, loop):
    end = ended(CASES[where].format(kind="MemoryError"), loop=loop)
    assert end.returncode == EXIT_OUT_OF_MEMORY
    assert "the process gets no more memory, and ends" in end.stderr


@pytest.mark.parametrize("where", CASES)
def test_any_other_error_is_told_as_before_and_ends_nothing(where):
    end = ended(CASES[where].format(kind="LookupError"))
    assert end.returncode == 0
    assert "LookupError" in end.stderr


def test_a_memory_error_that_is_caught_ends_nothing():
    end = ended("try:\n    fail(MemoryError)\nexcept MemoryError:\n    pass")
    assert (end.returncode, end.stderr) == (0, "")
