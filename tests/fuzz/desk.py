"""
The two tenants whose desk the doors lead to, their playbook, and a turn of it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from services.reasoner.domain.tools.blueprints import NAME as TOOLS_QUESTION
from shared.events.conversation import Author
from shared.events.turns import Turn, TurnOpened, Utterance
from shared.llm.base import Completion, Request, Usage
from shared.llm.rehearsal.answering import Question, answer
from shared.llm.rehearsal.rules import Rule, load_rules
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Playbook
from tests.fuzz.door import CANARY, OTHER, OWNER

AGENT = "desk"
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1_000)
HOST = "tools.example"
QUESTION = "I lost my card. What does the account cost, and how long does a transfer take?"
KEY_FILE = "token"
KEY = "word-of-the-desk-4711"


def document(tenant: str = OWNER) -> dict[str, Any]:
    """The playbook of *tenant*, as its file has it: something of every kind."""
    mark = f" ({CANARY})" if tenant == OTHER else ""
    why = {"name": "why", "choices": ["lost", "stolen", "other"], "default": "other"}
    account = {"name": "account", "pattern": "[0-9]{4}", "required": False, "source": "customer"}
    return {
        "agent": AGENT,
        "profile": {"name": f"Harbour desk{mark}", "description": "Answers customers.", "tone": "Calm."},
        "guidelines": [
            {
                "id": "cost",
                "condition": "The customer asks what the account costs",
                "action": "State the monthly fee",
                "tools": ["tariff", "rates"],
            },
            {
                "id": "card",
                "condition": "The customer lost a card",
                "action": "Say how to block the card",
                "criticality": "high",
                "tools": ["block", "notice"],
            },
            {
                "id": "transfer",
                "condition": "The customer asks how long a transfer takes",
                "action": "Say how long a transfer takes",
                "reevaluate_after": ["tariff"],
            },
        ],
        "glossary": [{"term": "tariff", "meaning": "The price list", "synonyms": ["price list"]}],
        "facts": [
            {"id": "fee", "text": f"The account costs 3.50 euros a month.{mark}"},
            {"id": "block", "text": "A lost card is blocked in the app, or by calling 0800 555 010."},
            {"id": "days", "text": "A transfer takes 2 days."},
        ],
        "variables": [{"name": "account_kind", "description": "What account it is"}],
        "tools": [
            _tool("tariff", "Look the fee up", "http", method="GET"),
            _tool("rates", "Look the rates up", "mcp"),
            _tool("block", "Block a card", "http", method="POST", parameters=[why, account], consequential=True),
            _tool("notice", "Send a notice", "mcp", parameters=[why], consequential=True, approval=True),
        ],
        "retrievers": [{"id": "pages", "url": f"https://{HOST}/pages", "headers": {"x-key": f"secret:{KEY_FILE}"}}],
        "phrases": {"forbidden": ["risk-free"], "required": []},
        "fallbacks": {"failed": f"No answer now.{mark}", "expired": "Too late.", "hand_off": "A colleague comes."},
        "limits": {"settle_seconds": 0.5, "deadline_seconds": 30.0, "window_messages": 8, "message_bytes": 4_000},
        "verification": {"calibration_share": 0.0},
    }


def _tool(name: str, description: str, way: str, *, method: str = "", **declared: Any) -> dict[str, Any]:
    called: dict[str, Any] = {
        "url": f"https://{HOST}/{name}",
        "headers": {"authorization": f"secret:{KEY_FILE}"},
    }
    if method:
        called["method"] = method
    if method == "POST":
        called["idempotency_header"] = "idempotency-key"
    return {"id": name, "description": description, way: called, **declared}


@lru_cache(maxsize=1)
def directory() -> StaticDirectory:
    """The playbooks of both tenants."""
    found = StaticDirectory()
    for tenant in (OWNER, OTHER):
        found.put(tenant, Playbook.model_validate(document(tenant)))
    return found


def playbook() -> Playbook:
    """The owner's."""
    return in_force()[1]


def in_force(tenant: str = OWNER) -> tuple[str, Playbook]:
    """The version and the content of *tenant*'s playbook."""
    found = directory().current(tenant, AGENT)
    if found is None:
        raise LookupError(f"{tenant} has no playbook")
    return found


def opened(tenant: str = OWNER, conversation: str = "c-1", **changes: Any) -> TurnOpened:
    """A turn of the owner's, opened a moment ago."""
    turn = Turn(
        id="turn-1",
        tenant=tenant,
        conversation=conversation,
        epoch=1,
        agent=AGENT,
        playbook_version=in_force(tenant)[0],
        opened_at=NOW,
        deadline=NOW + timedelta(seconds=30),
    )
    transcript = (
        Utterance(id="m-0", author=Author.CUSTOMER, text="Hello", at=NOW),
        Utterance(id="t-0", author=Author.ASSISTANT, text="Hello, how can I help?", at=NOW),
        Utterance(id="m-1", author=Author.CUSTOMER, text=QUESTION, at=NOW),
    )
    return TurnOpened(**{"turn": turn, "covers": ("m-1",), "transcript": transcript, "customer_name": "Ada"} | changes)


class Rehearsed:
    """The rehearsal model in process: a `LanguageModel`."""

    async def complete(self, request: Request) -> Completion:
        """The rules' answer to *request*."""
        text = answered(request.schema_name, tuple(message.content for message in request.messages), request.schema)
        return Completion(text, "stop", Usage(100, len(text) // 4, calls=1), "rehearsal")


def answered(name: str, texts: tuple[str, ...], schema: Mapping[str, Any]) -> str:
    """What the rehearsal model says; a call of every tool where it is asked about tools."""
    body = "\x1e".join((name, *texts)).encode("utf-8", "replace")
    said = answer(Question(name, schema, texts, 0), body, _rules(), RehearsalSettings()).text
    if name != TOOLS_QUESTION:
        return said
    held = json.loads(said)
    for decision in held.values():
        for call in decision.get("calls", ()) if isinstance(decision, dict) else ():
            call["why"] = {"evidence": "", "value": "lost", "status": "given"}
    return json.dumps(held)


@lru_cache(maxsize=1)
def _rules() -> dict[str, Rule]:
    return load_rules()
