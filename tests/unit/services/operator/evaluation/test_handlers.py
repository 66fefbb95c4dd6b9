"""Every judgement has a player, and a reply is put to the verifier as a draft that cites itself."""

from datetime import UTC, datetime

import pytest

from services.operator.evaluation.handlers import HANDLERS, Means, classified, performed, reply_as_draft
from services.operator.evaluation.plays import Plan, plays
from services.operator.evaluation.runner import by_stages
from services.operator.evaluation.scenario import Judged
from shared.events.turns import Adherence, FinishResult, GuidelineVerdict, Turn, TurnFinished, Verification
from shared.llm.base import Usage
from shared.llm.errors import InvalidAnswer, ModelUnavailable

NOW = datetime(2026, 5, 4, tzinfo=UTC)
SAID = [{"source": "customer", "text": "Hello"}, {"source": "agent", "text": "Hello, it costs 5 euros"}]
PLAN = Plan("m")


@pytest.fixture
def reply(make_scenario):
    scenario = make_scenario(conversation=SAID, expected={"judged": "performed", "ids": ["a"]})
    return plays([scenario], PLAN, {})[0]


@pytest.fixture
def kind(make_scenario):
    scenario = make_scenario(conversation=[], expected={"judged": "classified", "kind": "continuous", "ids": ["a"]})
    return plays([scenario], PLAN, {})[0]


class Desk:
    def __init__(self, outcome):
        self._outcome = outcome

    async def outcome(self, body, _seconds_max):
        return self._outcome(body)


async def version(_play):
    return "v"


def means(outcome=None, reviewer=None):
    return Means(Desk(outcome), version, lambda: reviewer)


def test_every_judgement_has_a_player_and_its_services(reply, kind):
    assert set(HANDLERS) == set(Judged)
    assert by_stages([reply, kind, reply]) == {("verifier",): [reply, reply], (): [kind]}


def test_the_last_message_is_the_draft_and_the_rest_the_conversation(reply):
    drafted = reply_as_draft(reply, "v", NOW, 60)
    assert drafted.draft.text == SAID[-1]["text"]
    assert [one.text for one in drafted.opened.transcript] == ["Hello"]
    assert drafted.matching.active == ("a", "b")
    assert drafted.draft.segments[0].fact_ids == (drafted.draft.facts[0].id,)


def finished(turn: Turn, *verdicts, reason=""):
    found = [Adherence(guideline_id=name, verdict=verdict) for name, verdict in zip("ab", verdicts, strict=False)]
    record = Verification(passed=True, verified_by="model", adherence=tuple(found))
    return TurnFinished(turn=turn, stage="verifier", result=FinishResult.VERIFIED, reason=reason, verification=record)


@pytest.mark.parametrize(
    ("verdicts", "right", "unknown"),
    [
        ((GuidelineVerdict.PERFORMED, GuidelineVerdict.PARTLY), True, 0),
        ((GuidelineVerdict.PERFORMED, GuidelineVerdict.PERFORMED), False, 0),
        ((GuidelineVerdict.PERFORMED, GuidelineVerdict.UNJUDGED), False, 1),
    ],
)
async def test_what_the_verifier_finds_performed_is_compared(reply, verdicts, right, unknown):
    result = await performed(means(lambda body: finished(body.opened.turn, *verdicts)), reply, PLAN)
    assert (result.is_right, result.unknown, result.failure) == (right, unknown, "")


async def test_a_verifier_that_had_no_model_decided_nothing(reply):
    failing = means(lambda body: finished(body.opened.turn, reason="model_timeout"))
    assert (await performed(failing, reply, PLAN)).failure == "model_timeout"
    assert (await performed(means(lambda _: None), reply, PLAN)).failure == "no_answer"


class Reviewer:
    name = "m"
    usage = Usage(7, 3, 1)

    def __init__(self, *kinds, error=None):
        self._kinds, self._error = kinds, error

    async def kinds(self, _guidelines, *, request_id):
        assert request_id
        if self._error:
            raise self._error
        return [frozenset(one) for one in self._kinds]


async def test_the_judged_kind_alone_is_compared(kind):
    result = await classified(means(reviewer=Reviewer({"continuous"}, {"agent_intention"})), kind, PLAN)
    assert result.is_right
    assert (result.calls, result.input_tokens, result.output_tokens) == (1, 7, 3)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (InvalidAnswer("schema", "no", usage=Usage()), "review_schema"),
        (ModelUnavailable("timeout", "late"), "model_timeout"),
    ],
)
async def test_a_model_without_an_answer_fails_the_play_and_not_the_run(kind, error, failure):
    assert (await classified(means(reviewer=Reviewer(error=error)), kind, PLAN)).failure == failure
