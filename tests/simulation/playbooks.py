"""
The playbooks of the simulated tenants, and what a process knows of them at a time.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from shared.playbook.model import Playbook
from shared.playbook.version import canonical, hash_of
from tests.simulation.plan import TENANTS

AGENT = "desk"
DEADLINE_SECONDS = 6.0
MESSAGE_BYTES_MAX = 400
APPROVAL_SECONDS = 3.0
IDEMPOTENCY_HEADER = "idempotency-key"
READS = frozenset({"tariff"})
"""The tools that change nothing."""
APPROVED = frozenset({"refund"})
"""The tools that a person must allow."""
TOOL_TIMEOUT_SECONDS = 1.5


def canary(tenant: str) -> str:
    """A word that only *tenant*'s records may hold."""
    return f"canary-of-{tenant}"


@lru_cache(maxsize=64)
def edition(tenant: str, number: int, settle_seconds: float) -> tuple[str, Playbook]:
    """The version and the content of edition *number* of *tenant*'s playbook."""
    mark = canary(tenant)
    document = {
        "agent": AGENT,
        "profile": {"name": f"Desk {number} {mark}"},
        "guidelines": [
            {
                "id": "cost",
                "condition": "The customer asks what the account costs",
                "action": "State the monthly fee",
                "tools": ["tariff"],
            },
            {
                "id": "card",
                "condition": "The customer lost a card",
                "action": "Say how to block the card",
                "criticality": "high",
                "tools": ["block"],
            },
            {
                "id": "refund",
                "condition": "The customer wants a refund",
                "action": "Say what became of the refund",
                "reevaluate_after": ["tariff"] if number % 2 else [],
                "tools": ["refund"],
            },
            {
                "id": "courier",
                "condition": "The customer wants a courier",
                "action": "Say what became of the courier",
                "tools": ["courier"],
            },
            {
                "id": "transfer",
                "condition": "The customer asks how long a transfer takes",
                "action": "Say how long a transfer takes",
            },
        ],
        "facts": [
            {"id": "fee", "text": f"The account costs {3 + number}.50 euros a month, says {mark}."},
            {"id": "block", "text": "A lost card is blocked in the app, or by calling 0800 555 010."},
            {"id": "days", "text": "A transfer takes 2 days."},
        ],
        "tools": _tools(tenant, number),
        "fallbacks": {
            "failed": f"No answer {number} {mark}",
            "expired": f"Too late {number} {mark}",
            "hand_off": f"A colleague comes {number} {mark}",
            "approval_requested": "" if number % 3 == 1 else f"Asked {number} {mark}",
            "too_large": "" if number % 2 else f"Too long {mark}",
        },
        "limits": {
            "settle_seconds": settle_seconds,
            "deadline_seconds": DEADLINE_SECONDS,
            "window_messages": 6,
            "message_bytes": MESSAGE_BYTES_MAX,
        },
        "verification": {
            "when_failed": "hand_off" if number % 3 == 2 else "fallback",
            "variant": ("two_step", "factored", "joint")[number % 3],
            "calibration_share": 0.0,
        },
        "mode": ("arq", "direct", "cot")[number % 3],
    }
    playbook = Playbook.model_validate(document)
    return hash_of(canonical(playbook)), playbook


def _tools(tenant: str, number: int) -> list[dict[str, Any]]:
    """
    One that reads, one whose endpoint recognises a repeated call, one whose endpoint does not, and one that a person
    must allow, whose endpoint does by some editions.
    """
    why = {"name": "why", "choices": ["lost", "stolen", "other"], "default": "other"}
    return [
        _tool(tenant, "tariff", "Look the fee up", "GET", idempotent=False),
        _tool(tenant, "block", "Block a card", "POST", idempotent=True, parameters=[why], consequential=True),
        _tool(tenant, "courier", "Send a courier", "POST", idempotent=False, parameters=[why], consequential=True),
        _tool(
            tenant,
            "refund",
            "Pay a refund",
            "PUT",
            idempotent=number % 2 == 0,
            parameters=[why],
            consequential=True,
            approval=True,
            approval_seconds=APPROVAL_SECONDS,
        ),
    ]


def _tool(
    tenant: str, name: str, description: str, method: str, *, idempotent: bool, **declared: Any
) -> dict[str, Any]:
    http = {
        "url": f"https://{tenant}.example/{name}",
        "method": method,
        "idempotency_header": IDEMPOTENCY_HEADER if idempotent else "",
        "timeout_seconds": TOOL_TIMEOUT_SECONDS,
    }
    return {"id": name, "description": description, "http": http, **declared}


class Press:
    """What was published when; edition *first* of every tenant is there from the beginning."""

    def __init__(self, first: int, settle_seconds: float) -> None:
        self._first = first
        self._settle_seconds = settle_seconds
        self._published: dict[str, list[tuple[float, str, Playbook]]] = {
            tenant: [(0.0, *edition(tenant, first, settle_seconds))] for tenant in TENANTS
        }

    def publish(self, tenant: str, now: float) -> str:
        """Put another edition in force; its version."""
        issues = self._published[tenant]
        issues.append((now, *edition(tenant, self._first + len(issues), self._settle_seconds)))
        return issues[-1][1]

    def known(self, tenant: str, as_of: float) -> list[tuple[float, str, Playbook]]:
        """What was published by *as_of*, the oldest first."""
        return [issue for issue in self._published.get(tenant, ()) if issue[0] <= as_of]


class Reading:
    """A `Directory`: what a process has read of the press by the time that *as_of* tells."""

    def __init__(self, press: Press, as_of: Callable[[], float]) -> None:
        self._press = press
        self.as_of = as_of

    def current(self, tenant: str, agent: str) -> tuple[str, Playbook] | None:
        known = self._press.known(tenant, self.as_of()) if agent == AGENT else []
        return (known[-1][1], known[-1][2]) if known else None

    def version(self, tenant: str, agent: str, version: str) -> Playbook | None:
        known = self._press.known(tenant, self.as_of()) if agent == AGENT else []
        return next((playbook for _, its, playbook in known if its == version), None)
