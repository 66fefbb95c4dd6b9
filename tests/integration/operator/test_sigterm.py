"""SIGTERM ends the `holdfast` command as Ctrl-C does, in the foreground and in the background."""

import asyncio
import signal
import sys
from functools import partial

import pytest

COMMAND = """
import asyncio
from services.operator import __main__ as holdfast

async def work():
    try:
        print("begun", flush=True)
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0)
        print("tidied up", flush=True)

holdfast.app = lambda: asyncio.run(work())
holdfast.main()
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "interrupts", [signal.default_int_handler, signal.SIG_IGN], ids=["in the foreground", "in the background"]
)
async def test_a_command_is_stopped_and_tidies_up(interrupts):
    """A shell that runs a command in the background has it ignore SIGINT."""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, interrupts),
    )
    assert await command.stdout.readline() == b"begun\n"

    command.send_signal(signal.SIGTERM)
    output, errors = await command.communicate()

    assert output == b"tidied up\n", errors
    assert b"KeyboardInterrupt" in errors, "typer makes 130 of it, where the command is run by it"
    assert b"never awaited" not in errors
