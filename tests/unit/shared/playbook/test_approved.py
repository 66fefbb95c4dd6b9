"""Which approved texts a turn may use, and with what; which variables are true."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.events.composition import Composition
from shared.events.tools import ToolCall, ToolResult
from shared.events.turns import JourneyPosition, Matching, Turn, TurnOpened
from shared.playbook.approved import composition_of, eligible, known_values
from shared.playbook.model import Playbook
from shared.playbook.variables import variables_of

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLAYBOOK = Playbook.model_validate(
    {
        "agent": "desk",
        "profile": {"name": "Desk"},
        "guidelines": [
            {"id": "free", "condition": "a", "composition": "fluid"},
            {"id": "warm", "condition": "b", "composition": "composed"},
            {"id": "law", "condition": "c", "composition": "strict"},
        ],
        "facts": [{"id": "hours", "text": "Open from 9."}],
        "variables": [
            {"name": "balance", "fresh_seconds": 60},
            {"name": "tier", "scope": "customer"},
            {"name": "city", "scope": "tenant", "value": "Oslo"},
        ],
        "canned_replies": [
            {"id": "any", "text": "Hello."},
            {"id": "of-law", "text": "By law.", "guidelines": ["law"]},
            {"id": "of-way", "text": "Next.", "journey": "way"},
        ],
    }
)


def opened(**changes):
    turn = Turn(
        id="t", tenant="x", conversation="c", epoch=1, agent="desk", playbook_version="v", opened_at=AT, deadline=AT
    )
    return TurnOpened(**{"turn": turn, "covers": (), "transcript": ()} | changes)


@pytest.mark.parametrize(
    ("whole", "active", "wins"),
    [
        ("fluid", (), "fluid"),
        ("fluid", ("free", "warm"), "composed"),
        ("fluid", ("law", "free", "warm"), "strict"),
        ("strict", ("free",), "strict"),
        ("composed", ("free",), "composed"),
    ],
)
def test_the_strictest_wins(whole, active, wins):
    playbook = PLAYBOOK.model_copy(update={"composition": Composition(whole)})
    known = {guideline.id: guideline for guideline in playbook.guidelines}
    assert composition_of(playbook, [known[name] for name in active]) is Composition(wins)


@pytest.mark.parametrize(
    ("active", "journeys", "begun", "ids"),
    [
        ((), {}, None, ["any"]),
        (("law",), {}, None, ["any", "of-law"]),
        ((), {"way": JourneyPosition(path=("a",))}, None, ["any", "of-way"]),
        ((), {}, {"way": JourneyPosition(path=("a",))}, ["any", "of-way"]),
        ((), {"other": JourneyPosition(path=("a",))}, None, ["any"]),
    ],
)
def test_a_text_may_be_used_where_its_guideline_is_active_or_its_journey_under_way(active, journeys, begun, ids):
    matching = Matching(active=active, journeys=begun)
    assert [reply.id for reply in eligible(PLAYBOOK, opened(journeys=journeys), matching)] == ids


def test_code_fills_names_variables_facts_and_what_tools_that_worked_brought():
    call = ToolCall(id="c", tool="t", arguments={})
    results = [
        ToolResult(call=call, status="done", fields={"eta": "5", "std.variables.tier": "forged", "facts": "x"}, at=AT),
        ToolResult(call=call, status="failed", fields={"late": "1"}, at=AT),
    ]
    known = known_values(PLAYBOOK, opened(customer_name=" Ada ", variables={"tier": "gold"}), results)
    assert {name: held.value for name, held in known.items()} == {
        "std.agent.name": "Desk",
        "std.customer.name": "Ada",
        "std.variables.tier": "gold",
        "std.variables.city": "Oslo",
        "facts.hours": "Open from 9.",
        "eta": "5",
    }
    assert known["std.variables.tier"].fact_id == "variable.tier"


def test_a_variable_is_stated_while_it_is_fresh():
    told = {"balance": "5", "tier": "gold"}
    for seconds, outdated in ((60, ()), (61, ("balance",))):
        times = {"balance": AT - timedelta(seconds=seconds), "tier": AT - timedelta(days=900)}
        found = variables_of(opened(variables=told, variables_set_at=times), PLAYBOOK)
        assert found.outdated == outdated
        assert ("balance" in found.current) is not bool(outdated)
        assert found.current["tier"] == "gold"


def test_a_variable_whose_time_nobody_knows_is_out_of_date_if_freshness_matters():
    assert variables_of(opened(variables={"balance": "5"}), PLAYBOOK).outdated == ("balance",)


def test_no_event_changes_a_variable_of_the_tenant():
    assert variables_of(opened(variables={"city": "Rome", "new": "x"}), PLAYBOOK).current == {
        "city": "Oslo",
        "new": "x",
    }


@pytest.mark.parametrize("bad", [{"name": "x", "scope": "tenant"}, {"name": "x", "value": "y"}, {"name": "a b"}])
def test_a_variable_has_one_source(bad):
    with pytest.raises(ValueError, match=r"name|value"):
        Playbook.model_validate({"agent": "a", "profile": {"name": "A"}, "variables": [bad]})
