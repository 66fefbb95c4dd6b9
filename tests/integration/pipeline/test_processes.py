"""
The services as processes: they stop politely, tell their health, and export metrics that Prometheus takes.
"""

import asyncio
import json
import shutil
import signal
from uuid import uuid4

import httpx
import pytest

from services.operator.adapters.fleet import Fleet
from services.operator.adapters.stack import STAGES

pytestmark = pytest.mark.timeout(120)

START_SECONDS_MAX = 20.0


async def get(member, path):
    async with httpx.AsyncClient(timeout=5.0) as client:
        return await client.get(f"http://127.0.0.1:{member.environ['HOLDFAST_TELEMETRY_PORT']}/{path}")


async def answers(member, path):
    """The first answer of a process that is starting."""
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            try:
                return await get(member, path)
            except httpx.HTTPError:
                await asyncio.sleep(0.1)


async def test_under_load_sigterm_ends_every_service_with_exit_code_0_and_no_outcome_is_lost(start_pipeline):
    async with start_pipeline(rehearsal={"base_latency_seconds": 0.3}, replicas=2) as pipeline:
        body = json.dumps({"agent": "bank", "author": "customer", "text": "How long does a transfer take?"}).encode()
        ids = await asyncio.gather(*(pipeline.put(f"c-{uuid4().hex[:8]}", body) for _ in range(40)))
        leaving = [pipeline.stack.services.members.pop(f"{stage}-1") for stage in STAGES]
        for member in leaving:
            member.send(signal.SIGTERM)
        codes = [await asyncio.wait_for(member.wait(), 30) for member in leaving]
        for event_id in ids:
            await pipeline.outcome(event_id)
        report = pipeline.watch.auditor.report()

    assert codes == [0, 0, 0, 0]
    assert report.findings == ()


async def test_every_service_exports_metrics_that_promtool_accepts(start_pipeline):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    async with start_pipeline() as pipeline:
        body = json.dumps({"agent": "bank", "author": "customer", "text": "Hello"}).encode()
        await pipeline.outcome(await pipeline.put("c-1", body))
        texts = {stage: (await get(pipeline.stack.services.members[f"{stage}-1"], "metrics")).text for stage in STAGES}
    for stage, text in texts.items():
        check = await asyncio.create_subprocess_exec(
            promtool, "check", "metrics", stdin=-1, stdout=-1, stderr=asyncio.subprocess.STDOUT
        )
        told, _ = await check.communicate(text.encode())
        assert (check.returncode, told.decode()) == (0, ""), stage


@pytest.mark.parametrize("stage", STAGES)
async def test_without_broker_and_model_a_service_lives_but_is_not_ready(tmp_path, stage):
    fleet = Fleet(
        tmp_path, {"HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "HOLDFAST_LLM_URL": "http://127.0.0.1:1"}
    )
    member = await fleet.start(stage, f"services.{stage}")
    try:
        alive = await answers(member, "healthz")
        ready = await get(member, "readyz")
    finally:
        codes = await fleet.stop()

    assert (alive.status_code, ready.status_code) == (200, 503)
    assert codes == {stage: 0}


@pytest.mark.parametrize("stage", STAGES)
async def test_a_misspelt_setting_stops_a_service_with_its_name(tmp_path, stage):
    fleet = Fleet(tmp_path, {"HOLDFAST_KAFKA_BOOTSTRAP_SERVER": "127.0.0.1:1"})
    member = await fleet.start(stage, f"services.{stage}")
    code = await asyncio.wait_for(member.wait(), START_SECONDS_MAX)

    assert code == 2
    assert "did you mean HOLDFAST_KAFKA_BOOTSTRAP_SERVERS?" in member.log_tail()
