"""
The day before a test: what services would have written, and Prometheus remembered, had they run through it in health.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.operator.adapters.publisher import event
from services.operator.adapters.stack import Stack
from shared.broker.clients import producer
from shared.events.claims import ClaimJudged, ClaimKind, Correction, Judge, ReasoningMode, Verdict
from shared.events.codec import encode
from shared.events.envelope import Address
from shared.events.topics import CLAIMS_JUDGED

CLAIMS = 6_000
CLAIMS_BEGIN, CLAIMS_END = timedelta(hours=22), timedelta(hours=2)
"""Ago: in the observer's window of a day, and in none of its shorter ones."""
VERIFIED_A_SECOND = 20
SAMPLE_SECONDS = 5


async def judge_claims(stack: Stack, tenant: str, agent: str) -> None:
    """Write `CLAIMS` claims to `claims.judged`, all of them right as they were drafted."""
    now, step = datetime.now(UTC), (CLAIMS_BEGIN - CLAIMS_END) / CLAIMS
    topic = f"{stack.kafka.namespace}{CLAIMS_JUDGED}"
    async with producer(stack.kafka) as client:
        sent = []
        for number in range(CLAIMS):
            address = Address(tenant, f"yesterday-{number}")
            judged = replace(
                event(address, "claim.judged", _right(agent, number)), time=now - CLAIMS_BEGIN + number * step
            )
            headers, value = encode(judged)
            sent.append(await client.send(topic, value, key=address.key, headers=list(headers)))
        await asyncio.gather(*sent)


async def remember_verifications(data: Path, *, seconds: int) -> None:
    """Give a Prometheus that is to keep its samples in *data* *seconds* of drafts that passed verification."""
    data.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(_samples(int(datetime.now(UTC).timestamp()), seconds))
    file = data.with_suffix(".openmetrics")
    file.write_text(f"{text}\n# EOF\n", encoding="utf-8")
    command = ("promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(file), str(data))
    made = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, said = await made.communicate()
    assert made.returncode == 0, said.decode()


def _samples(now: int, seconds: int) -> Iterator[str]:
    yield "# TYPE holdfast_verifications counter"
    for ago in range(seconds, 0, -SAMPLE_SECONDS):
        count = (seconds - ago) * VERIFIED_A_SECOND
        yield f'holdfast_verifications_total{{job="verifier",instance="yesterday",result="passed"}} {count} {now - ago}'


def _right(agent: str, number: int) -> ClaimJudged:
    return ClaimJudged(
        turn_id=f"yesterday-{number}",
        epoch=1,
        agent=agent,
        position=1,
        claims=1,
        kind=ClaimKind.FACT,
        draft_verdict=Verdict.SUPPORTED,
        final_verdict=Verdict.SUPPORTED,
        correction=Correction.NONE,
        judge=Judge.CODE,
        mode=ReasoningMode.ARQ,
        corrects=True,
        playbook_version="yesterday",
        model="rehearsal",
    )
