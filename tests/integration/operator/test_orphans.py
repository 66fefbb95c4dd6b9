"""What an operator started ends with it, even where it is killed and can stop nothing."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

OPERATOR = """
import asyncio, sys
from pathlib import Path
from services.operator.adapters.fleet import Fleet

async def main():
    fleet = Fleet(Path(sys.argv[1]), {})
    broker = await fleet.start("broker", "shared.broker.embedded", "--port", "0")
    while "listening" not in broker.log_tail():
        await asyncio.sleep(0.05)
    print(broker.process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_the_children_of_a_killed_operator_end(tmp_path, number):
    operator = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OPERATOR, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    child = psutil.Process(int(await operator.stdout.readline()))

    os.kill(operator.pid, number)
    await operator.wait()

    await asyncio.to_thread(child.wait, 30)
    assert not child.is_running()
