"""
The people who decide on approvals: at once, late, twice, one way and then the other, or not at all.
"""

import asyncio
from contextvars import copy_context
from datetime import UTC, datetime
from random import Random

from pydantic_core import from_json

from shared.events import topics
from shared.events.codec import encode, source_of
from shared.events.conversation import ApprovalGiven
from shared.events.envelope import Address, Envelope
from shared.stage.base import Output, Record
from tests.simulation.broker import SimulatedBroker
from tests.simulation.playbooks import APPROVAL_SECONDS
from tests.simulation.processes import EPOCH_SECONDS

PATTERNS = {
    "given": 5,
    "refused": 2,
    "nobody": 2,
    "given twice": 3,
    "repeated": 2,
    "given, then refused": 2,
    "refused, then given": 2,
    "late": 2,
    "about another": 1,
}
"""How they decide, and how often."""
AFTERWARDS_SECONDS = 4.0
"""After the last of an approval's decisions, or its end, until it has shown what follows."""


class Approvers:
    """Reads `approval.requested` as it is written, and answers on `conversation.decisions`."""

    def __init__(self, broker: SimulatedBroker, loop: asyncio.AbstractEventLoop, chance: Random) -> None:
        self.busy_until = 0.0
        self._digests: dict[str, str] = {}
        self._broker = broker
        self._loop = loop
        self._chance = chance
        self._context = copy_context()
        broker.listeners.append(self._read)

    def _read(self, record: Record) -> None:
        if record.topic == topics.CONVERSATION_RESPONSES and b"approval.requested" in dict(record.headers)["ce_type"]:
            asked = from_json(record.value or b"")
            name = asked["approval_id"]
            self._digests[name] = asked["digest"]
            pattern = self._chance.choices(list(PATTERNS), list(PATTERNS.values()))[0]
            soon = self._chance.choice((0.02, 0.3, 1.0, 2.5))
            self._broker.trace.note("approver", f"{pattern} {name[:8]}")
            self._decide(record, name, pattern, soon)
            self.busy_until = max(self.busy_until, self._loop.time() + APPROVAL_SECONDS + 2 * soon + AFTERWARDS_SECONDS)

    def _decide(self, record: Record, name: str, pattern: str, soon: float) -> None:
        match pattern:
            case "given" | "refused":
                self._tell(record, name, soon, granted=pattern == "given")
            case "given twice":
                self._tell(record, name, soon)
                self._tell(record, name, soon + self._chance.choice((0.0, 0.5, 2.0)), number=2)
            case "repeated":
                self._tell(record, name, soon)
                self._tell(record, name, 2 * soon)
            case "given, then refused":
                self._tell(record, name, soon)
                self._tell(record, name, 1.2 * soon, number=2, granted=False)
            case "refused, then given":
                self._tell(record, name, soon, granted=False)
                self._tell(record, name, 1.2 * soon, number=2)
            case "late":
                self._tell(record, name, APPROVAL_SECONDS + soon - 0.3)
            case "about another":
                self._tell(record, f"{name[:-1]}x", soon)

    def _tell(self, record: Record, name: str, seconds: float, *, number: int = 1, granted: bool = True) -> None:
        address = Address.from_key(record.key)
        digest = self._digests.get(name, "")
        body = ApprovalGiven(approval_id=name, granted=granted, digest=digest, by="a colleague")
        headers, value = encode(
            Envelope(
                id=f"decision-{number}-{name}",
                source=source_of(address.tenant),
                type="approval.given",
                time=datetime.fromtimestamp(EPOCH_SECONDS + self._loop.time() + seconds, UTC),
                subject=address.conversation,
                data=body,
            )
        )
        output = Output(topics.CONVERSATION_DECISIONS, address.key, value, headers)
        self._loop.call_later(seconds, self._broker.append, output, record.partition, context=self._context)
