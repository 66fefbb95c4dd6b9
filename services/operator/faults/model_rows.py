"""
Faults of the model's endpoint.
"""

from collections.abc import Sequence

from services.operator.faults import model_proxy
from services.operator.faults.model_proxy import Misbehaviour
from services.operator.faults.world import Disturbance, Row, World

Phase = tuple[Misbehaviour, float, float]
"""What a share of the requests meets, and for how many seconds."""
CALM_SECONDS = 5.0


def phases(*those: Phase) -> Disturbance:
    """One after the other, with a calm stretch between."""

    async def disturb(world: World) -> None:
        await _run(world, those)

    return disturb


async def _run(world: World, those: Sequence[Phase]) -> None:
    for fault, share, seconds in those:
        if not await world.wait(CALM_SECONDS):
            break
        with world.model.misbehaving(fault, share):
            await world.wait(seconds)
    world.figures["faulty answers"] = f"{world.model.faulty:,} of {world.model.faulty + world.model.passed:,}"


_LIMITED = model_proxy.answering((429,), ("0", "1", "120", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"))

ROWS = (
    Row(
        "model-429",
        "429 for 20 %, 80 %, all; Retry-After of every kind",
        phases((_LIMITED, 0.2, 15.0), (_LIMITED, 0.8, 10.0), (_LIMITED, 1.0, 10.0)),
        expires=True,
    ),
    Row(
        "model-5xx",
        "500, 502, 503, 529 for 10 % and half",
        phases(
            (model_proxy.answering((500, 502, 503, 529)), 0.1, 20.0),
            (model_proxy.answering((500, 502, 503, 529)), 0.5, 15.0),
        ),
        expires=True,
    ),
    Row(
        "model-silent",
        "no byte, a byte every 5 s, an answer that stops in the middle",
        phases((model_proxy.silence, 0.2, 12.0), (model_proxy.trickle, 0.2, 12.0), (model_proxy.stall, 0.2, 12.0)),
        environ={"HOLDFAST_LLM_FIRST_BYTE_TIMEOUT_SECONDS": "3", "HOLDFAST_LLM_CHUNK_TIMEOUT_SECONDS": "3"},
        expires=True,
    ),
    Row(
        "model-garbage",
        "no JSON, no completion, nonsense, cut off, refused, 1 MB",
        phases((model_proxy.garbage, 0.3, 40.0)),
        expires=True,
    ),
)
