"""A drafted turn of a small service desk, as the reasoner hands it on."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from services.verifier.domain.case import case_of, rules_of
from services.verifier.metrics import VerifierMetrics
from services.verifier.settings import VerifierSection
from services.verifier.stage import Verifying
from shared.arq.prompt import parse
from shared.events.claims import ReasoningMode
from shared.events.conversation import Author
from shared.events.envelope import Envelope
from shared.events.turns import (
    Draft,
    FactRecord,
    Matching,
    Restated,
    Segment,
    Turn,
    TurnDrafted,
    TurnOpened,
    Utterance,
)
from shared.llm.scripted import ScriptedModel
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Playbook

OPENED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

PLAYBOOK = {
    "agent": "bank",
    "profile": {"name": "Harbour Bank", "tone": "Calm."},
    "guidelines": [
        {"id": "fee", "condition": "The customer asks for fees.", "action": "State the fee"},
        {"id": "sorry", "condition": "It is a complaint", "action": "Say sorry first", "criticality": "high"},
    ],
    "phrases": {"forbidden": ["risk-free"]},
    "verification": {"calibration_share": 0.0},
}

FACTS = (
    FactRecord(id="fee", text="The current account costs 4.50 euros a month.", source="playbook"),
    FactRecord(id="wire", text="An international transfer takes 3 to 5 working days.", source="playbook"),
    FactRecord(id="line", text="The blocking line is 0800 555 0142 and is open day and night.", source="playbook"),
)


@pytest.fixture
def playbook():
    return lambda **changes: Playbook.model_validate(PLAYBOOK | changes)


@pytest.fixture
def claim():
    def make(text, *facts, **changes):
        return Segment(**{"kind": "claim", "text": text, "fact_ids": facts or ("fee",)} | changes)

    return make


@pytest.fixture
def social():
    return lambda text="Thanks for asking!": Segment(kind="social", text=text)


@pytest.fixture
def drafted():
    def make(*segments, active=("fee",), restated=(), arm="", facts=FACTS, turn_id="turn-1", text="What are the fees?"):
        turn = Turn(
            id=turn_id,
            tenant="acme",
            conversation="c-1",
            epoch=2,
            agent="bank",
            playbook_version="v1",
            opened_at=OPENED_AT,
            deadline=OPENED_AT + timedelta(seconds=60),
            arm=arm,
        )
        opened = TurnOpened(
            turn=turn,
            covers=("m-1",),
            transcript=(Utterance(id="m-1", author=Author.CUSTOMER, text=text, at=OPENED_AT),),
            customer_name="Anna Berg",
        )
        draft = Draft(
            mode=ReasoningMode.ARQ,
            segments=segments,
            facts=facts,
            restated=tuple(Restated(guideline_id=name, text=said) for name, said in restated),
        )
        return TurnDrafted(opened=opened, matching=Matching(active=active), draft=draft)

    return make


@pytest.fixture
def case(drafted, playbook):
    def make(*segments, book=None, **changes):
        book = playbook(**(book or {}))
        return case_of(drafted(*segments, **changes), book, rules_of(book))

    return make


@pytest.fixture
def verifying(playbook, drafted):
    """The verifier at work over a scripted model."""

    class Run:
        def __init__(self, script, **changes):
            self.model = ScriptedModel(script)
            self.registry = CollectorRegistry()
            directory = StaticDirectory()
            self.version = directory.put("acme", playbook(**changes))
            self.now = OPENED_AT.timestamp() + 1
            self._work = Verifying(
                self.model, directory, VerifierSection(), VerifierMetrics(self.registry), lambda: self.now
            )

        async def __call__(self, *segments, **changes):
            data = drafted(*segments, **changes)
            turn = data.opened.turn.model_copy(update={"playbook_version": self.version})
            data = data.model_copy(update={"opened": data.opened.model_copy(update={"turn": turn})})
            [(topic, kind, body)] = await self._work.process(
                Envelope("e-1", "/tenants/acme/reasoner", "turn.drafted", OPENED_AT, "c-1", data)
            )
            assert (topic, kind) == ("turns.verified", "turn.verified")
            return body

        @property
        def purposes(self):
            return [request.purpose for request in self.model.requests]

    return Run


@pytest.fixture
def answers():
    """
    A line of a script that answers every blind question by the given (fact number, quote, answer), as asked, and judges
    every guideline by the *evidence* and *verdict*.
    """

    def line(*given, evidence="", verdict="not_applicable"):
        def say(request):
            sections = parse(request.messages[1].content)
            asked = sections["questions"]
            said = []
            for place, question in enumerate(asked):
                fact, quote, answer = given[place % len(given)] if not callable(given[0]) else given[0](question)
                status = "answered" if quote else "not_in_facts"
                said.append(
                    {
                        "question": question["question"],
                        "fact": fact or "none",
                        "quote": quote,
                        "answer": answer,
                        "status": status,
                    }
                )
            judged = [
                {"guideline": one["guideline"], "evidence": evidence, "verdict": verdict}
                for one in sections["guidelines"]
            ]
            return {"answers": said, "guidelines": judged}

        return say

    return line


@pytest.fixture
def script():
    """A script of lines by purpose: each is a line, or a function of the request."""

    def make(**lines):
        def say(request):
            line = lines[request.purpose]
            if isinstance(line, list):
                line = line.pop(0)
            return line(request) if callable(line) else line

        return say

    return make
