"""
A real Prometheus beside a running stack, with the shipped rules: as they are, or with their minutes made seconds.
"""

import asyncio
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from services.operator.adapters.stack import Stack
from shared.broker.local import free_port_base

SHIPPED = Path(__file__).parents[3] / "deploy/prometheus"
SECONDS_MAX = 45.0
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
RANGE = re.compile(r"(\[|\boffset )(\d+)([smhd])(?!\w)")
"""A duration in a query: a range or an offset. Windows in names and labels are words, and stay."""


def read(file: Path) -> dict:
    """A YAML document."""
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def shortened(duration: str, factor: int) -> str:
    """*duration*, as in `5m`, divided by *factor*, in milliseconds."""
    milliseconds, rest = divmod(int(duration[:-1]) * UNITS[duration[-1]] * 1000, factor)
    assert not rest, f"{duration} / {factor} is no whole number of milliseconds"
    return f"{milliseconds}ms"


def scaled(document: dict, factor: int) -> dict:
    """
    A rule file with every duration divided by *factor*: ranges and offsets of queries, `for`, and groups' intervals.
    Thresholds stay as they are, those that count seconds (`time() - … > 120`) included.
    """
    groups = []
    for group in document["groups"]:
        rules = []
        for rule in group["rules"]:
            short = lambda found: found[1] + shortened(found[2] + found[3], factor)  # noqa: E731  read where it is used
            changed = {**rule, "expr": RANGE.sub(short, rule["expr"])}
            if "for" in rule:
                changed["for"] = shortened(rule["for"], factor)
            rules.append(changed)
        changed_group = {**group, "rules": rules}
        if "interval" in group:
            changed_group["interval"] = shortened(group["interval"], factor)
        groups.append(changed_group)
    return {**document, "groups": groups}


def prepare(stack: Stack, folder: Path, factor: int) -> None:
    """Write the shipped configuration to *folder*, but for the targets, how often they are asked, and the pace."""
    shipped = read(SHIPPED / "prometheus.yml")
    shipped["global"] = {"scrape_interval": "2s" if factor == 1 else "1s", "evaluation_interval": "1s"}
    (folder / "rules").mkdir(parents=True)
    for file in (SHIPPED / "rules").glob("*.yaml"):
        with (folder / "rules" / file.name).open("w", encoding="utf-8") as written:
            YAML(typ="safe").dump(scaled(read(file), factor), written)
    [job] = shipped["scrape_configs"]
    del job["dns_sd_configs"], job["relabel_configs"]
    job["static_configs"] = [
        {
            "targets": [f"127.0.0.1:{member.environ['HOLDFAST_TELEMETRY_PORT']}"],
            "labels": {"job": member.name.partition("-")[0]},
        }
        for member in stack.services.members.values()
    ]
    with (folder / "prometheus.yml").open("w", encoding="utf-8") as written:
        YAML(typ="safe").dump(shipped, written)


class Prometheus:
    """What is asked of the server; every question is repeated until its answer is as it should be."""

    def __init__(self, client: httpx.AsyncClient, log: Path) -> None:
        self._client = client
        self._log = log

    async def ask(self, path: str, **parameters: str) -> dict:
        response = await self._client.get(f"/api/v1/{path}", params=parameters)
        return response.raise_for_status().json()["data"]

    async def values(self, query: str, by: str = "") -> dict[str, float]:
        """The result's values, by the label *by*; else by job or stage."""
        found = (await self.ask("query", query=query))["result"]
        return {
            held["metric"].get(by or "job", held["metric"].get("stage", "")): float(held["value"][1]) for held in found
        }

    async def until(
        self, query: str, wanted: Callable[[dict[str, float]], bool], *, by: str = "", seconds_max: float = SECONDS_MAX
    ) -> dict[str, float]:
        found: dict[str, float] = {}
        limit = time.monotonic() + seconds_max
        while time.monotonic() < limit:
            try:
                found = await self.values(query, by)
            except httpx.HTTPError:
                found = {}  # it has only just been started: not yet listening, or 503 while it opens its data
            if wanted(found):
                return found
            await asyncio.sleep(0.5)
        tail = self._log.read_text(errors="replace")[-2_000:]
        pytest.fail(f"{query} is {found} after {seconds_max:g} s; Prometheus says:\n{tail}")


@asynccontextmanager
async def prometheus(stack: Stack, folder: Path, factor: int = 1) -> AsyncIterator[Prometheus]:
    """Run the server on loopback for as long as the block lasts, its rules *factor* times as fast as shipped."""
    prepare(stack, folder, factor)
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


@pytest.fixture
def watched():
    """Starts a Prometheus beside a stack; skips where there is none (Debian: prometheus)."""
    if shutil.which("prometheus") is None:
        pytest.skip("the prometheus binary (Debian: prometheus) is not installed")
    return prometheus


@pytest.fixture
def rules():
    """The shipped rule files, and what makes them faster: (documents, `scaled`)."""
    return [read(file) for file in sorted((SHIPPED / "rules").glob("*.yaml"))], scaled
