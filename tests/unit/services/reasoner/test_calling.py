"""The tools' part in a turn, over a scripted model and a runner that keeps count."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.reasoner.calling import Calling, Paused, Ready
from services.reasoner.domain.tools.candidates import Toolbox
from services.reasoner.domain.tools.inference import call_of
from services.reasoner.domain.tools.results import Came, failed
from services.reasoner.metrics import ToolMetrics
from services.reasoner.settings import ReasonerSection
from shared.events.conversation import Author
from shared.events.tools import Grant, ToolResult, ToolStatus
from shared.events.turns import Instruction, Matching, Turn, TurnOpened, Utterance
from shared.llm.errors import InvalidAnswer
from shared.llm.scripted import ScriptedModel
from shared.playbook.model import Playbook
from shared.telemetry.spans import Hop, telling

AT = datetime(2026, 1, 2, tzinfo=UTC)


def http(name, **changes):
    return {"id": name, "description": name, "http": {"url": f"https://bank.example/{name}"}} | changes


POST = {"url": "https://bank.example/x", "method": "POST"}
PLAYBOOK = Playbook.model_validate(
    {
        "agent": "bank",
        "profile": {"name": "Bank"},
        "guidelines": [
            {"id": "read", "condition": "c", "tools": ["rates", "balance"]},
            {"id": "pay", "condition": "c", "tools": ["pay"]},
            {"id": "order", "condition": "c", "tools": ["order"]},
            {"id": "anew", "condition": "c", "reevaluate_after": ["balance"]},
        ],
        "tools": [
            http("rates"),
            http("balance", parameters=[{"name": "account", "source": "customer"}]),
            http("pay", parameters=[{"name": "to"}], consequential=True, http=POST | {"idempotency_header": "x-key"}),
            http("order", consequential=True, http=POST),
            http("secret"),
        ],
    }
)


DONE = Came(ToolStatus.DONE, data="a rate")


class Kept(list):
    offer = list.append


class Runner:
    """Notes what is called; answers with the tool's name, or as *came* says."""

    def __init__(self, came=None):
        self.calls = []
        self.at_once = self.most_at_once = 0
        self._came = came or (lambda call: Came(ToolStatus.DONE, data=call.tool))

    async def call(self, _tool, call, **_):
        self.calls.append(call)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self._came(call)


class Desk:
    def __init__(self, script=(), came=None, playbook=PLAYBOOK, **settings):
        self.model, self.runner, self.registry = ScriptedModel(script), Runner(came), CollectorRegistry()
        self.toolbox = Toolbox(playbook)
        self._settings, self._metrics = ReasonerSection(**settings), ToolMetrics(self.registry)
        self.restart()

    def restart(self):
        """Another process takes over: what the former one remembered is gone."""
        self.calling = Calling(self.model, self.runner, self._settings, self._metrics, AT.timestamp)

    async def __call__(self, *active, leg=1, instructions=(), **opened):
        turn = Turn(
            id="turn-1", tenant="acme", conversation="c-1", epoch=1, leg=leg, agent="bank", playbook_version="v",
            opened_at=AT, deadline=AT + timedelta(seconds=60),
        )  # fmt: skip
        said = (Utterance(id="m-1", author=Author.CUSTOMER, text="My account is 1234, pay Ana", at=AT),)
        matching = Matching(active=active, instructions=instructions)
        whole = TurnOpened(**{"turn": turn, "covers": ("m-1",), "transcript": said} | opened)
        return await self.calling.of(whole, matching, self.toolbox, deadline=asyncio.get_running_loop().time() + 30)


def argument(value):
    return {"evidence": value, "value": value, "status": "given" if value else "missing"}


def said(**tools):
    answer = {"customer.needs": "x"}
    for name, values in tools.items():
        answer[name] = {"rationale": "x", "decision": "not_now" if values is None else "call"}
        if values is not None and name != "order":
            argument = {
                name: {"evidence": v, "value": v, "status": "given" if v else "missing"} for name, v in values.items()
            }
            answer[name]["calls"] = [argument]
        elif name != "order":
            answer[name]["calls"] = []
    return answer


def result(tool, status=ToolStatus.DONE, **values):
    return ToolResult(call=call_of("turn-1", tool, values), status=status, at=AT, data=tool)


def granted(tool, claimant="", **values):
    return Grant(call=call_of("turn-1", tool, values), claimant=claimant)


async def test_without_a_candidate_no_model_is_asked_and_former_results_stay():
    desk = Desk()
    former = (result("pay"),)
    assert await desk("anew", results=former) == Ready(former)
    assert desk.model.requests == []


async def test_tools_that_read_are_called_at_once_and_their_results_are_at_hand():
    desk = Desk([said(balance={"account": "1234"})])
    found = await desk("read", leg=6)
    assert isinstance(found, Ready)
    assert [(r.call.tool, r.status, r.data) for r in found.results] == [
        ("rates", "done", "rates"),
        ("balance", "done", "balance"),
    ]
    assert found.spent.calls == 1
    assert desk.runner.calls[1].arguments == {"account": "1234"}


async def test_a_tool_without_parameters_that_only_reads_costs_no_model_call():
    desk = Desk()
    found = await desk("read", results=(result("balance"),))
    assert [r.call.tool for r in found.results] == ["balance", "rates"]
    assert found.spent.calls == 0


async def test_a_result_that_bears_on_the_matching_ends_the_leg():
    desk = Desk([said(balance={"account": "1234"})])
    found = await desk("read")
    assert isinstance(found, Paused)
    assert [r.call.tool for r in found.results] == ["rates", "balance"]
    assert (found.calls, found.claims) == ((), ())


async def test_a_step_of_a_journey_goes_on_after_its_tool():
    step = Instruction(id="look.up", condition="c", action="a", tool="rates")
    found = await Desk()("look.up", instructions=(step,))
    assert isinstance(found, Paused)


async def test_a_call_that_changes_something_is_handed_to_the_ledger_and_not_made():
    desk = Desk([said(pay={"to": "Ana"})])
    found = await desk("pay")
    assert found == Paused(calls=(call_of("turn-1", "pay", {"to": "Ana"}),))
    assert desk.runner.calls == []


async def test_what_was_read_beside_it_is_handed_over_with_it():
    desk = Desk([said(balance={"account": "1234"}, pay={"to": "Ana"})])
    found = await desk("read", "pay")
    assert [call.tool for call in found.calls] == ["pay"]
    assert [r.call.tool for r in found.results] == ["rates", "balance"]


async def test_what_lacks_a_value_is_not_called_and_comes_back_as_a_problem():
    desk = Desk([said(pay={"to": ""})])
    found = await desk("pay")
    assert isinstance(found, Ready)
    assert [(p.tool, p.parameter, p.problem) for p in found.problems] == [("pay", "to", "missing")]
    assert desk.registry.get_sample_value("holdfast_tool_parameter_problems_total", {"kind": "missing"}) == 1


async def test_an_answer_that_names_a_tool_outside_the_matched_set_is_thrown_away():
    obeying = said(pay=None) | {"secret": {"rationale": "they told me to", "decision": "call"}}
    desk = Desk([obeying, obeying])
    with pytest.raises(InvalidAnswer):
        await desk("pay")
    assert desk.runner.calls == []


async def test_calls_of_a_turn_are_bounded_over_its_legs():
    desk = Desk(tool_calls_max=2)
    assert await desk("read", results=(result("pay"), result("order"))) == Ready((result("pay"), result("order")))
    found = await Desk([said(balance={"account": "1234"})], tool_calls_max=1)("read", leg=6)
    assert [r.call.tool for r in found.results] == ["rates"]


async def test_calls_that_read_run_side_by_side_up_to_a_limit():
    names = [f"t{number}" for number in range(6)]
    declared = {"agent": "a", "profile": {"name": "A"}, "tools": [http(name) for name in names]}
    declared["guidelines"] = [{"id": "all", "condition": "c", "tools": names}]
    desk = Desk(playbook=Playbook.model_validate(declared), tool_calls_at_once_max=3)
    found = await desk("all")
    assert [r.call.tool for r in found.results] == names
    assert desk.runner.most_at_once == 3


async def test_a_granted_call_is_executed_under_its_id_and_its_result_handed_in():
    desk = Desk()
    found = await desk(grants=(granted("pay", to="Ana"),))
    [came] = found.results
    assert (came.call.id, came.status) == (call_of("turn-1", "pay", {"to": "Ana"}).id, "done")
    assert desk.runner.calls == [came.call]
    assert desk.model.requests == []


async def test_a_repeated_leg_repeats_a_call_whose_tool_knows_its_id():
    desk = Desk()
    one, _, two = (
        await desk(grants=(granted("pay", to="Ana"),)),
        desk.restart(),
        await desk(grants=(granted("pay", to="Ana"),)),
    )
    assert one.results == two.results
    assert desk.runner.calls[0].id == desk.runner.calls[1].id


async def claim(desk):
    found = await desk(grants=(granted("order"),))
    [asked] = found.claims
    assert found.results == ()
    assert desk.runner.calls == []
    return asked.claimant


async def test_a_call_whose_tool_knows_no_id_is_claimed_first_and_made_by_the_claimant():
    desk = Desk()
    word = await claim(desk)
    found = await desk(grants=(granted("order", word),), leg=2)
    assert [(r.call.tool, r.status) for r in found.results] == [("order", "done")]
    assert len(desk.runner.calls) == 1


async def test_a_claimed_call_is_made_once_however_often_its_leg_is_repeated():
    desk = Desk()
    word = await claim(desk)
    found = [await desk(grants=(granted("order", word),), leg=2) for _ in range(3)]
    assert [f.results[0].status for f in found] == ["done", "unknown", "unknown"]
    assert len(desk.runner.calls) == 1


async def test_a_process_that_did_not_claim_a_call_does_not_make_it():
    desk = Desk()
    word = await claim(desk)
    desk.restart()
    found = await desk(grants=(granted("order", word),), leg=2)
    assert found.results[0].status == "unknown"
    assert desk.runner.calls == []
    labels = {"tool": "order", "status": "unknown"}
    assert desk.registry.get_sample_value("holdfast_tool_calls_total", labels) == 1


async def test_the_word_of_one_call_opens_no_other():
    desk = Desk()
    word = await claim(desk)
    grant = Grant(call=call_of("turn-2", "order", {}), claimant=word)
    found = await desk(grants=(grant,), leg=2)
    assert found.results[0].status == "unknown"
    assert desk.runner.calls == []


async def test_a_claim_cannot_be_guessed():
    desk = Desk()
    words = {await claim(desk) for _ in range(50)}
    assert len(words) == 50
    assert min(map(len, words)) >= 32


async def test_a_call_that_is_cut_off_while_it_runs_is_not_made_again():
    """The task is lost after the request was sent: whoever repeats the leg finds the word used."""

    def cut_off(_call):
        raise asyncio.CancelledError

    desk = Desk(came=cut_off)
    word = await claim(desk)
    with pytest.raises(asyncio.CancelledError):
        await desk(grants=(granted("order", word),), leg=2)
    found = await desk(grants=(granted("order", word),), leg=2)
    assert found.results[0].status == "unknown"
    assert len(desk.runner.calls) == 1


@pytest.mark.parametrize("name", ["secret", "unheard-of"])
async def test_a_grant_for_what_changes_nothing_or_does_not_exist_fails(name):
    desk = Desk()
    found = await desk(grants=(granted(name),))
    assert found.results[0].status == "failed"
    assert desk.runner.calls == []


async def test_calls_are_counted_and_logged_without_their_arguments():
    desk = Desk(came=lambda _call: Came(ToolStatus.FAILED, error="HTTP 404 Not Found"))
    with capture_logs() as logs:
        await desk(grants=(granted("pay", to="Ana Berg"),))
    assert desk.registry.get_sample_value("holdfast_tool_calls_total", {"tool": "pay", "status": "failed"}) == 1
    assert desk.registry.get_sample_value("holdfast_tool_call_duration_seconds_count", {"tool": "pay"}) == 1
    [line] = [line for line in logs if line["event"] == "tool called"]
    assert (line["tool"], line["status"]) == ("pay", "failed")
    assert "Ana" not in repr(logs)


def test_names_of_tools_are_bounded_in_metrics():
    registry = CollectorRegistry()
    metrics = ToolMetrics(registry)
    for number in range(100):
        metrics.call(f"tool-{number}", "done", 0.1)
    assert registry.get_sample_value("holdfast_tool_calls_total", {"tool": "other", "status": "done"}) == 36


async def test_a_call_is_a_span_below_its_hop_without_arguments_and_result():
    spans = Kept()
    failing = Desk([said(balance={"account": "1234"})], lambda call: failed("no") if call.tool == "balance" else DONE)

    with telling(spans, Hop("process", "consumer", "", {})):
        await failing("read")

    _, rates, balance = sorted(spans, key=lambda span: span.name, reverse=True)
    assert [(span.name, span.error) for span in (rates, balance)] == [
        ("execute_tool rates", ""),
        ("execute_tool balance", "failed"),
    ]
    assert rates.attributes["gen_ai.tool.call.id"] == call_of("turn-1", "rates", {}).id
    assert "1234" not in repr(spans)
