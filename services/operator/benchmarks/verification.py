"""
What verification costs: calls and tokens of a reply of many claims in each variant, and the speed of the code gate.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.operator.adapters.stack import Broker
from services.operator.settings import OperatorSettings
from services.operator.verification.composed import composed
from services.operator.verification.drafts import Domain
from services.operator.verification.result import ClaimResult, Result
from services.operator.verification.runner import TENANT, Plan, drafted, plays
from services.operator.verification.scripted import Rates, scripted_rules
from services.operator.verification.session import verify
from shared.errors import Fatal
from shared.events.claims import Judge
from shared.events.envelope import Address
from shared.llm.rehearsal.server import RehearsalServer
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.playbook.model import Variant

SEED = 1
GATE_SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True)
class Cost:
    """
    Means a reply in one variant; `cpu_ms` is the verifier process's own. `calls_unflagged` is of replies of which code
    flagged no claim, neither at the gate nor when it compared the blind answers; None where there is no such reply.
    """

    variant: Variant
    replies: int
    calls: float
    calls_p95: int
    calls_all_right: float
    calls_unflagged: float | None
    input_tokens: float
    output_tokens: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class GateSpeed:
    """Drafts that the gate decided in a second of one core."""

    drafts: int
    claims: int
    per_second: float


async def cost(
    settings: OperatorSettings,
    domains: Sequence[Domain],
    variant: Variant,
    *,
    claims: int,
    error_share: float,
    replies: int,
    broker: Broker,
) -> Cost:
    """Verify composed drafts with a verifier model that is never wrong, and count."""
    longer = composed(domains, claims=claims, error_share=error_share, drafts=replies, seed=SEED)
    plan = Plan("bench", (variant,), open_max=32)
    found: list[Result] = []
    async with RehearsalServer(RehearsalSettings(), rules=scripted_rules(domains, Rates())) as server:
        todo = plays(longer, plan, {})
        spending = await verify(settings, todo, plan, found.append, broker=broker, model_url=server.url)
    calls = sorted(result.calls for result in found)
    right = [result.calls for result in found if result.is_all_right]
    unflagged = [result.calls for result in found if not any(map(_is_flagged, result.claims))]
    return Cost(
        variant=variant,
        replies=len(found),
        calls=sum(calls) / len(calls),
        calls_p95=calls[min(len(calls) - 1, round(0.95 * len(calls)))],
        calls_all_right=sum(right) / len(right) if right else 0.0,
        calls_unflagged=sum(unflagged) / len(unflagged) if unflagged else None,
        input_tokens=sum(result.input_tokens for result in found) / len(found),
        output_tokens=sum(result.output_tokens for result in found) / len(found),
        cpu_ms=1_000 * spending.cpu_seconds / len(found),
    )


async def gate_speed(settings: OperatorSettings, domains: Sequence[Domain]) -> GateSpeed:
    """
    The gate alone, on the labelled drafts, in a process of its own.

    Raises:
        Fatal: the process did not end well.

    """
    drafts, claims, seconds = 0, 0, 0.0
    for domain in domains:
        plan = Plan("bench")
        todo = plays([domain], plan, {})
        now = datetime.now(UTC)
        bodies = [drafted(play, Address(TENANT, f"g-{play.number}"), "v", now, plan.turn_seconds_max) for play in todo]
        given = {
            "playbook": domain.playbook("bench", Variant.TWO_STEP).model_dump(mode="json"),
            "drafts": [body.model_dump(mode="json") for body in bodies],
        }
        told = await _measured(await asyncio.to_thread(_written, settings, given))
        drafts += int(told["drafts"])
        claims += int(told["claims"])
        seconds += told["seconds"]
    return GateSpeed(drafts, claims, drafts / seconds)


def _is_flagged(claim: ClaimResult) -> bool:
    """Whether code did not let the claim pass by itself."""
    return claim.flagged or claim.judge is not Judge.CODE


def _written(settings: OperatorSettings, given: Mapping[str, object]) -> Path:
    folder = Path(settings.operator.folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "gate-drafts.json"
    file.write_text(json.dumps(given), encoding="utf-8")
    return file


async def _measured(file: Path) -> dict[str, float]:
    arguments = (sys.executable, "-P", "-m", "services.verifier.gate_speed", str(file))
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), GATE_SECONDS_MAX)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Fatal(f"the gate's benchmark took more than {GATE_SECONDS_MAX:g} s") from None
    if process.returncode:
        raise Fatal(f"the gate's benchmark failed:\n{errors.decode(errors='replace')[-2_000:]}")
    found: dict[str, float] = json.loads(output)
    return found
