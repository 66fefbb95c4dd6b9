"""
What a person's approval holds for: the tool as the playbook declared it and the arguments, as they were shown.

Their digest goes out with the request and comes back with the decision. A call that was allowed is carried only by a
turn whose playbook declares the tool the same way. Under another declaration the approval lapses: the call is
forgotten, and the turn answers its message anew, so that whatever is still wanted is asked for as it is now.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import to_json

from services.conversations.domain.calls import Call, Standing
from services.conversations.domain.instants import at
from services.conversations.domain.step import Step
from shared.events.conversation import ApprovalGiven
from shared.playbook.model import Playbook
from shared.playbook.tools import Tool
from shared.text.visible import cleaned

BY_BYTES_MAX = 128
REASON_BYTES_MAX = 512
"""What is kept of a decision's name and reason, as JSON; `DECISION_BYTES_RESERVED` in calls.py has room for both."""


def digest_of(tool: Tool, arguments: Mapping[str, Any]) -> str:
    """
    SHA-256, hexadecimal, of *tool*'s declaration with *arguments*. What a declaration leaves at its default does not
    count, so that a field which a later release adds changes no digest.
    """
    what = {"tool": tool.model_dump(mode="json", exclude_defaults=True), "arguments": arguments}
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def shown_digest(step: Step, call: Call) -> str:
    """
    The digest that *call* was asked for under. An older release kept none: then by its version's playbook, and empty
    where that is gone.
    """
    if call.digest:
        return call.digest
    playbook = step.playbooks.version(step.address.tenant, call.agent, call.version)
    tool = _tool(playbook, call.tool) if playbook else None
    return digest_of(tool, call.arguments) if tool else ""


def rebound(step: Step, agent: str, playbook: Playbook | None) -> frozenset[str]:
    """The ids of *agent*'s calls that are allowed and not carried, and that *playbook* would make another way."""
    owed = (call for call in step.state.calls if call.is_owed and call.standing == Standing.GRANTED)
    return frozenset(call.id for call in owed if call.agent == agent and not holds(step, call, playbook))


def holds(step: Step, call: Call, playbook: Playbook | None) -> bool:
    """Whether *playbook* declares the tool of *call* as the person saw it who allowed it."""
    tool = _tool(playbook, call.tool) if playbook else None
    return tool is not None and digest_of(tool, call.arguments) == shown_digest(step, call)


def decision_of(given: ApprovalGiven, now_ms: int) -> dict[str, Any]:
    """What is kept of *given* for the record of the turns that follow from it."""
    return {
        "approval_id": given.approval_id,
        "granted": given.granted,
        "by": _within(given.by, BY_BYTES_MAX),
        "reason": _within(given.reason, REASON_BYTES_MAX),
        "decided_at": at(now_ms).isoformat(),
    }


def decisions(calls: Iterable[Call], agent: str) -> list[dict[str, Any]]:
    """The decisions about *agent*'s *calls* that nobody was told of yet, each once."""
    made = {call.id: call for call in calls if call.agent == agent and call.decision and not call.told}
    return [(call.decision or {}) | {"tool": call.tool} for call in made.values()]


def _tool(playbook: Playbook, name: str) -> Tool | None:
    return next((tool for tool in playbook.tools if tool.id == name), None)


def _within(text: str, bytes_max: int) -> str:
    kept = cleaned(text)[:bytes_max]
    while len(to_json(kept)) > bytes_max:
        kept = kept[: max(0, len(kept) - 8)]
    return kept
