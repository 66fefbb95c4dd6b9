"""
`holdfast toolworld`: a server with tools for playbooks to try.
"""

import asyncio
import signal
from typing import Annotated

import typer

from services.operator.toolworld.server import Manners, ToolWorld

PORT = 8_092


def command(
    port: Annotated[int, typer.Option(help="on loopback; 0 takes a free one")] = PORT,
    honours_keys: Annotated[bool, typer.Option(help="recognise a repeated call by its key")] = True,
    latency: Annotated[float, typer.Option(help="seconds that each call takes", min=0)] = 0.05,
    failure_rate: Annotated[float, typer.Option(help="share of calls that are turned away (503)", min=0, max=1)] = 0.0,
    lost_answer_rate: Annotated[float, typer.Option(help="share of calls done but not answered", min=0, max=1)] = 0.0,
    seed: Annotated[int, typer.Option(help="of what fails")] = 1,
) -> None:
    """
    Serve the tools of the sample playbook `toolworld.yaml`: a bank's balance and fraud report, a taxi rank's rides.

    `GET /effects` counts what was really done, by the key of each call.
    """
    manners = Manners(honours_keys, latency, failure_rate, lost_answer_rate, seed)
    asyncio.run(_serve(ToolWorld(manners, port=port)))


async def _serve(world: ToolWorld) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await world.start()
    print(f"{world.url}/tools/NAME; what was done: {world.url}/effects", flush=True)
    try:
        await stop.wait()
    finally:
        await world.stop()
