"""The rehearsal model's rules read the sections that the services' prompts write, and what they answer is accepted."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from services.reasoner.metrics import ReasonerMetrics
from services.reasoner.settings import ReasonerSection
from services.reasoner.stage import Reasoning
from services.verifier.metrics import VerifierMetrics
from services.verifier.settings import VerifierSection
from services.verifier.stage import Verifying
from shared.events.claims import Correction, Verdict
from shared.events.conversation import Author
from shared.events.envelope import Envelope
from shared.events.topics import TURNS_DRAFTED
from shared.events.turns import FinishResult, Matching, Turn, TurnMatched, TurnOpened, Utterance
from shared.llm.base import Completion, Usage
from shared.llm.openai import payload
from shared.llm.rehearsal.answering import answer, read_question
from shared.llm.rehearsal.rules import load_rules
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.settings import LlmSettings
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Playbook

OPENED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

FACTS = [
    ("fee", "The current account costs 4.50 euros a month."),
    ("line", "The blocking line for lost or stolen cards is 0800 555 0142 and is open day and night."),
    ("app", "A card is blocked in the app under Cards, Block card; it takes effect at once."),
    ("wire", "An international transfer takes 3 to 5 working days."),
    ("loan", "Personal loans range from 1000 to 40000 euros at 5.9 percent a year."),
]
PLAYBOOK = {
    "agent": "bank",
    "profile": {"name": "Harbour Bank service desk"},
    "guidelines": [
        {"id": "fee", "condition": "The customer asks what an account costs", "action": "State the monthly fee"},
        {"id": "lost", "condition": "A card was lost", "action": "Give the blocking line", "criticality": "high"},
        {"id": "bye", "condition": "The customer says goodbye", "action": "Say goodbye briefly", "criticality": "low"},
    ],
    "facts": [{"id": name, "text": text} for name, text in FACTS],
}
QUESTIONS = {
    "What does the current account cost a month?": ("fee",),
    "I lost my card, it was stolen!": ("lost",),
    "How long does an international transfer take?": (),
    "Which personal loans are there, and at how many percent a year?": (),
    "Goodbye": ("bye",),
    "Do you sell bicycles?": (),
}


class Rehearsed:
    """The rehearsal model without its server."""

    def __init__(self, settings):
        self._settings = settings
        self._rules = load_rules()
        self.purposes = []

    async def complete(self, request):
        self.purposes.append(request.purpose)
        body = json.dumps(payload(request, LlmSettings())).encode()
        reply = answer(read_question(body), body, self._rules, self._settings)
        return Completion(reply.text, reply.finish, Usage(1, 1, 1), "rehearsal")


class Desk:
    """Reasoner and verifier in a row over the rehearsal model."""

    def __init__(self, *, mode="arq", corrects=True, **rates):
        self.model = Rehearsed(RehearsalSettings(**rates))
        directory = StaticDirectory()
        policy = {"corrects": corrects, "calibration_share": 0}
        self._version = directory.put(
            "acme", Playbook.model_validate(PLAYBOOK | {"mode": mode, "verification": policy})
        )
        registry, clock = CollectorRegistry(), OPENED_AT.timestamp
        self._reasoning = Reasoning(self.model, directory, ReasonerSection(), ReasonerMetrics(registry), clock)
        self._verifying = Verifying(self.model, directory, VerifierSection(), VerifierMetrics(registry), clock)

    async def ask(self, number, text, active):
        """What the stages say in the end of a conversation's only message."""
        turn = Turn(
            id=f"turn-{number}",
            tenant="acme",
            conversation=f"c-{number}",
            epoch=1,
            agent="bank",
            playbook_version=self._version,
            opened_at=OPENED_AT,
            deadline=OPENED_AT + timedelta(seconds=60),
        )
        message = Utterance(id="m", author=Author.CUSTOMER, text=text, at=OPENED_AT)
        opened = TurnOpened(turn=turn, covers=("m",), transcript=(message,))
        body = TurnMatched(opened=opened, matching=Matching(active=active))
        [(topic, _, body)] = await self._reasoning.process(self._event(body))
        if topic == TURNS_DRAFTED:
            [(_, _, body)] = await self._verifying.process(self._event(body))
        return body

    @staticmethod
    def _event(body):
        return Envelope("e", "/tenants/acme", "any", OPENED_AT, "c", body)


async def asked(desk, times=1):
    """*times* rounds of all questions, each a little different."""
    questions = [(f"{text} ({n})", active) for n in range(times) for text, active in QUESTIONS.items()]
    return [await desk.ask(n, text, active) for n, (text, active) in enumerate(questions)]


@pytest.mark.parametrize("mode", ["arq", "cot", "direct"])
async def test_every_question_gets_a_verified_reply_in_every_mode(mode):
    desk = Desk(mode=mode)
    finished = await asked(desk)
    assert [body.result for body in finished] == [FinishResult.VERIFIED] * len(QUESTIONS)
    assert "4.50 euros" in finished[0].text
    assert "0800 555 0142" in finished[1].text
    assert "3 to 5 working days" in finished[2].text
    assert finished[4].text == "Goodbye, and take care."
    assert finished[5].text.endswith("?")


async def test_nothing_wrong_takes_at_most_one_call_beyond_the_draft():
    desk = Desk()
    finished = await asked(desk, times=5)
    assert max(body.verification.spent.calls for body in finished) == 1
    assert {claim.draft_verdict for body in finished for claim in body.verification.claims} == {Verdict.SUPPORTED}
    assert set(desk.model.purposes) == {"draft", "verify"}


async def test_no_hallucination_leaves_and_every_one_is_on_record():
    desk = Desk(hallucination_rate=1.0)
    finished = await asked(desk, times=5)
    claims = [claim for body in finished for claim in body.verification.claims]
    assert {claim.draft_verdict for claim in claims} == {Verdict.CONTRADICTED, Verdict.UNSUPPORTED}
    assert {Correction.VALUE_RESTORED, Correction.EDITED} <= {claim.correction for claim in claims}
    for body in finished:
        assert body.result in {FinishResult.VERIFIED, FinishResult.FAILED}
        assert "gold members" not in body.text
        assert "voucher" not in body.text
        assert "branch manager" not in body.text


async def test_the_share_of_failing_claims_is_the_hallucination_rate():
    desk = Desk(hallucination_rate=0.2, corrects=False)
    claims = [claim for body in await asked(desk, times=60) for claim in body.verification.claims]
    failed = sum(claim.draft_verdict is not Verdict.SUPPORTED for claim in claims)
    assert len(claims) > 200
    assert failed / len(claims) == pytest.approx(0.2, abs=0.06)


async def test_a_verifier_that_misses_everything_lets_additions_out_but_no_wrong_number():
    desk = Desk(hallucination_rate=1.0, verifier_miss_rate=1.0)
    finished = await asked(desk, times=5)
    text = " ".join(body.text for body in finished)
    assert "gold members" in text or "voucher" in text or "branch manager" in text
    for body in finished:
        for claim in body.verification.claims:
            assert claim.draft_verdict in {Verdict.CONTRADICTED, Verdict.SUPPORTED}


async def test_the_same_turn_is_answered_the_same_again():
    first, second = [await asked(Desk(hallucination_rate=0.5), times=2) for _ in range(2)]
    assert [body.text for body in first] == [body.text for body in second]


async def test_many_turns_at_once_do_not_disturb_each_other():
    desk = Desk()
    finished = await asyncio.gather(*(desk.ask(n, text, active) for n, (text, active) in enumerate(QUESTIONS.items())))
    assert [body.turn.id for body in finished] == [f"turn-{n}" for n in range(len(QUESTIONS))]
