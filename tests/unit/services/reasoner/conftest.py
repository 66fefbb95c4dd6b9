"""A turn of a small service desk, as the matcher hands it on."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from services.reasoner.metrics import ReasonerMetrics
from services.reasoner.settings import ReasonerSection
from services.reasoner.stage import Reasoning
from shared.events.conversation import Author
from shared.events.envelope import Envelope
from shared.events.turns import Matching, Turn, TurnMatched, TurnOpened, Utterance
from shared.llm.scripted import ScriptedModel
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Playbook

OPENED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

PLAYBOOK = {
    "agent": "bank",
    "profile": {"name": "Harbour Bank", "description": "Answers customers.", "tone": "Calm."},
    "guidelines": [
        {"id": "fee", "condition": "The customer asks what an account costs.", "action": "State the monthly fee"},
        {"id": "lost", "condition": "A card was lost", "action": "Give the blocking line", "criticality": "high"},
        {"id": "thanks", "condition": "The customer says thanks", "action": "Say welcome", "criticality": "low"},
        {"id": "angry", "condition": "The customer is angry"},
    ],
    "glossary": [{"term": "blocking line", "meaning": "The line that blocks cards", "synonyms": ["card hotline"]}],
    "facts": [
        {"id": "line", "text": "The blocking line is 0800 555 0142."},
        {"id": "fee", "text": "The current account costs 4.50 euros a month."},
    ],
    "phrases": {"forbidden": ["risk-free"], "required": []},
}


@pytest.fixture
def playbook():
    return lambda **changes: Playbook.model_validate(PLAYBOOK | changes)


@pytest.fixture
def opened():
    def make(text="What does the account cost?", **changes):
        turn = Turn(
            id="turn-1",
            tenant="acme",
            conversation="c-1",
            epoch=2,
            agent="bank",
            playbook_version="v1",
            opened_at=OPENED_AT,
            deadline=OPENED_AT + timedelta(seconds=60),
            arm=changes.pop("arm", ""),
        )
        transcript = (
            Utterance(id="m-0", author=Author.CUSTOMER, text="Hello", at=OPENED_AT),
            Utterance(id="t-0", author=Author.ASSISTANT, text="Hello, how can I help?", at=OPENED_AT),
            Utterance(id="m-1", author=Author.CUSTOMER, text=text, at=OPENED_AT),
        )
        return TurnOpened(**{"turn": turn, "covers": ("m-1",), "transcript": transcript} | changes)

    return make


@pytest.fixture
def matched(opened):
    def make(*active, text="What does the account cost?", **changes):
        return TurnMatched(opened=opened(text, **changes), matching=Matching(active=active))

    return make


@pytest.fixture
def event(matched):
    def make(*active, **changes):
        return Envelope("e-1", "/tenants/acme/matcher", "turn.matched", OPENED_AT, "c-1", matched(*active, **changes))

    return make


@pytest.fixture
def reasoning(playbook):
    """The reasoner at work over a scripted model; the version that is in force is written into the turn by `run`."""

    class Run:
        def __init__(self, script, **changes):
            self.model = ScriptedModel(script)
            self.registry = CollectorRegistry()
            directory = StaticDirectory()
            self.version = directory.put("acme", playbook(**changes))
            self.now = OPENED_AT.timestamp() + 1
            self._work = Reasoning(
                self.model, directory, ReasonerSection(), ReasonerMetrics(self.registry), lambda: self.now
            )

        async def __call__(self, event):
            turn = event.data.opened.turn.model_copy(update={"playbook_version": self.version})
            opened = event.data.opened.model_copy(update={"turn": turn})
            data = event.data.model_copy(update={"opened": opened})
            [product] = await self._work.process(
                Envelope(event.id, event.source, event.type, event.time, event.subject, data)
            )
            return product

    return Run
