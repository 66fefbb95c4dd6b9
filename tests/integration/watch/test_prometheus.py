"""
A real Prometheus, with the shipped rules, scrapes a real stack: targets, series, recorded indicators, and an alert that
a fault awakes.
"""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from ruamel.yaml import YAML

from services.operator.adapters.publisher import Publisher, posted
from services.operator.adapters.stack import STAGES, Stack, StackPlan, running
from services.operator.adapters.watch import Watch
from shared.broker.clients import KafkaSettings
from shared.broker.local import free_port_base
from shared.events.envelope import Address
from shared.playbook.loading import load

SHIPPED = Path(__file__).parents[3] / "deploy/prometheus"
SAMPLES = Path(str(files("services.operator"))) / "samples"
TENANT = "harbour"
SECONDS_MAX = 45.0

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="the prometheus binary (Debian: prometheus) is not installed"
)


def prepare(stack: Stack, folder: Path) -> None:
    """Write the shipped configuration to *folder*, but for where targets are and how often they are asked."""
    shipped = YAML(typ="safe", pure=True).load((SHIPPED / "prometheus.yml").read_text(encoding="utf-8"))
    shipped["global"] = {"scrape_interval": "2s", "evaluation_interval": "1s"}
    shipped["rule_files"] = [str(SHIPPED / pattern) for pattern in shipped["rule_files"]]
    [job] = shipped["scrape_configs"]
    del job["dns_sd_configs"], job["relabel_configs"]
    job["static_configs"] = [
        {
            "targets": [f"127.0.0.1:{member.environ['HOLDFAST_TELEMETRY_PORT']}"],
            "labels": {"job": member.module.removeprefix("services.")},
        }
        for member in stack.services.members.values()
    ]
    folder.mkdir()
    with (folder / "prometheus.yml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(shipped, file)


class Prometheus:
    """What is asked of the server; every question is repeated until its answer is as it should be."""

    def __init__(self, client: httpx.AsyncClient, log: Path) -> None:
        self._client = client
        self._log = log

    async def ask(self, path: str, **parameters: str) -> dict:
        response = await self._client.get(f"/api/v1/{path}", params=parameters)
        return response.raise_for_status().json()["data"]

    async def values(self, query: str) -> dict[str, float]:
        """The result's values, by job or stage."""
        found = (await self.ask("query", query=query))["result"]
        return {held["metric"].get("job", held["metric"].get("stage", "")): float(held["value"][1]) for held in found}

    async def until(self, query: str, wanted: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        found: dict[str, float] = {}
        limit = time.monotonic() + SECONDS_MAX
        while time.monotonic() < limit:
            try:
                found = await self.values(query)
            except httpx.HTTPError:
                found = {}  # it has only just been started: not yet listening, or 503 while it opens its data
            if wanted(found):
                return found
            await asyncio.sleep(0.5)
        tail = self._log.read_text(errors="replace")[-2_000:]
        pytest.fail(f"{query} is {found} after {SECONDS_MAX:g} s; Prometheus says:\n{tail}")


@asynccontextmanager
async def prometheus(stack: Stack, folder: Path) -> AsyncIterator[Prometheus]:
    """Run the server on loopback for as long as the block lasts."""
    prepare(stack, folder)
    address = f"127.0.0.1:{free_port_base()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=10.0) as client:
            yield Prometheus(client, folder / "prometheus.log")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def answered(stack: Stack, agent: str) -> None:
    """A customer asks, and is answered."""
    async with Publisher(stack.kafka) as publisher, Watch(stack.kafka, tenant=TENANT) as watch:
        address, message = Address(TENANT, "watched"), str(uuid4())
        outcome = watch.expect(message, "", time.time_ns() // 1_000_000)
        asked = posted(address, agent, "I lost my card, what should I do?", event_id=message)
        await publisher.publish([(address, asked)])
        await asyncio.wait_for(outcome, SECONDS_MAX)


@pytest.mark.timeout(180)
async def test_prometheus_sees_a_running_stack_and_a_process_that_dies(tmp_path):
    playbook = load(SAMPLES / "bank.yaml").playbook
    plan = StackPlan(folder=tmp_path / "stack", tenant=TENANT, playbook=playbook, partitions=2)
    async with running(plan, KafkaSettings()) as stack, prometheus(stack, tmp_path / "watch") as server:
        up = await server.until("up", lambda found: len(found) == len(STAGES) and all(found.values()))
        assert up.keys() == set(STAGES)

        await answered(stack, playbook.agent)

        everywhere = set(STAGES)
        thinking = everywhere - {"conversations"}
        for query, jobs in {
            "sum by (job) (messaging_client_consumed_messages_total) > 0": everywhere,
            "sum by (job) (holdfast_stage_queue_seconds_count) > 0": everywhere,
            "sum by (job) (holdfast_last_progress_timestamp_seconds) > 0": everywhere,
            "sum by (job) (holdfast_event_age_seconds_count) > 0": thinking,
            "sum by (job) (gen_ai_client_token_usage_sum) > 0": {"matcher", "reasoner"},
            "sum by (job) (holdfast_circuit_state == 0)": thinking,
            'sum by (job) (holdfast_event_outcomes_total{outcome="answered"}) >= 1': {"conversations"},
            "sum by (job) (holdfast_verifications_total) >= 1": {"verifier"},
        }.items():
            await server.until(query, lambda found, jobs=jobs: found.keys() >= jobs)
        await server.until("holdfast:sli_budget:ratio", bool)

        groups = (await server.ask("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert len(rules) > 40
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}, [r for r in rules if r["health"] == "err"]
        # Nothing died yet, so nobody is about to be called for it.
        down = 'ALERTS{alertname=~"HoldfastProcessDown|HoldfastStageDown"}'
        await server.until(down, lambda found: not found)

        stack.services.members["verifier-1"].send(signal.SIGKILL)

        await server.until(down, lambda found: found == {"verifier": 1.0})
