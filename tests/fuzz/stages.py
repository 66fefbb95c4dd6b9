"""
The door of running stages: a whole Holdfast of real processes, to which a hostile tenant does all that it can, beside
a good one; judged as every row of the fault matrix is.
"""

import asyncio
import json
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from services.operator.adapters.samples import bank_playbook, sample_texts
from services.operator.adapters.stack import Broker
from services.operator.commands.matrix import line
from services.operator.faults import hostile_rows
from services.operator.faults.hostile_endpoint import HostileEndpoint, calling
from services.operator.faults.mutation import mutated
from services.operator.faults.post import LoadPlan
from services.operator.faults.running import MatrixPlan, run_row
from services.operator.faults.world import Row, World
from shared.broker.clients import KafkaSettings

STAGES = "stages"
INPUTS_A_SECOND = 45.0
MESSAGES_EVERY = 20
PLAYBOOKS_EVERY = 15
TOOLS_AGAIN_EVERY = 200
MODEL_SHARE = 0.05
GOOD_A_SECOND = 4.0
_SAID = json.dumps(
    {
        "id": "c-1",
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"checks": [], "x": 1}'}}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
).encode()


async def hostile_model(_: web.Request, source: random.Random) -> web.StreamResponse:
    """An answer that was a completion before it was changed."""
    return web.Response(body=mutated(_SAID, source), content_type="application/json")


async def fuzz_stages(inputs: int, seed: int, folder: Path) -> int:
    """Let *inputs* hostile inputs into running stages, and print what became of them; 1 where something broke."""
    row = Row(
        "stages",
        "a tenant that is hostile in all that it can be",
        disturb=lambda world: _disturb(world, inputs),
        load=hostile_rows.good_alone,
        judge=_judged,
        environ=hostile_rows.ENVIRON,
        judged=hostile_rows.GOOD,
        exact=False,
        expires=True,
    )
    seconds = inputs / INPUTS_A_SECOND
    plan = MatrixPlan(
        folder=folder / "stages",
        playbook=bank_playbook(),
        load=LoadPlan(sample_texts(), max(20, round(seconds * GOOD_A_SECOND)), 50, seed=seed),
        rate=GOOD_A_SECOND,
        broker=Broker.EMBEDDED,
        replicas=1,
        latency_seconds=0.02,
    )
    result = await run_row(row, plan, KafkaSettings(), lambda phase: print(phase, flush=True))
    print(line(replace(result, what="")))
    return 1 if result.broken else 0


async def _disturb(world: World, inputs: int) -> None:
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(HostileEndpoint(seed=1))
        attacker = await stack.enter_async_context(hostile_rows.attacking(world))
        stack.enter_context(world.model.misbehaving(hostile_model, MODEL_SHARE))
        tools = calling(world.playbook, endpoint.url)
        begun = asyncio.get_running_loop().time()
        count = 0
        while count + endpoint.asked + world.model.faulty < inputs:
            if count % TOOLS_AGAIN_EVERY == 0:
                await attacker.put_in_force(tools)
            if count % MESSAGES_EVERY == 0:
                await attacker.message()
            elif count % PLAYBOOKS_EVERY == 0:
                await attacker.playbook()
            else:
                await attacker.record()
            count += 1
            await asyncio.sleep(max(0.0, begun + count / INPUTS_A_SECOND - asyncio.get_running_loop().time()))
            if count % 1_000 == 0:
                print(f"{count + endpoint.asked + world.model.faulty:,} of {inputs:,} inputs", flush=True)
        await world.over.wait()
        world.figures["hostile inputs"] = (
            f"{count:,} records, {endpoint.asked:,} answers of tools, {world.model.faulty:,} of the model"
        )


async def _judged(world: World) -> None:
    hostile_rows.no_process_ended(world)
