"""
A verifier process of its own to verify by, brought up for one run and taken down again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.operator.adapters.stack import Broker, StackPlan, running
from services.operator.settings import OperatorSettings
from services.operator.verification.result import Result
from services.operator.verification.runner import TENANT, Plan, Play, run

NAMESPACE = "verification."
BUDGET_SHARE = 0.9
"""Of a turn's time that the model may use: the rest is for the way there and back."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What the verifier's process used for a session, from its first draft to its last."""

    cpu_seconds: float


async def verify(
    settings: OperatorSettings,
    todo: Sequence[Play],
    plan: Plan,
    keep: Callable[[Result], None],
    *,
    broker: Broker,
    model_url: str,
) -> Spending:
    """
    Verify *todo* by one verifier that asks the model at *model_url*, on topics of its own.

    Raises:
        Fatal: something did not come up, or the verifier ended by itself.

    """
    seconds = f"{plan.turn_seconds_max:g}"
    first = todo[0]
    stack_plan = StackPlan(
        folder=Path(settings.operator.folder) / "verify",
        tenant=TENANT,
        playbook=first.domain.playbook(first.agent, first.variant),
        broker=broker,
        stages=("verifier",),
        model_url=model_url,
        environ={
            "HOLDFAST_TELEMETRY_LOG_LEVEL": "warning",
            "HOLDFAST_LLM_FIRST_BYTE_TIMEOUT_SECONDS": seconds,
            "HOLDFAST_LLM_TOTAL_TIMEOUT_SECONDS": seconds,
            "HOLDFAST_VERIFIER_MODEL_SHARE": f"{BUDGET_SHARE:g}",
        },
        ready_seconds_max=settings.operator.ready_seconds_max,
    )
    # Topics of its own: a running Holdfast must not verify these drafts.
    kafka = settings.kafka.model_copy(update={"namespace": settings.kafka.namespace + NAMESPACE})
    async with running(stack_plan, kafka) as stack:
        [member] = stack.services.members.values()
        before = member.cpu_seconds()
        await stack.guard(run(stack.kafka, todo, plan, keep))
        return Spending(member.cpu_seconds() - before)
