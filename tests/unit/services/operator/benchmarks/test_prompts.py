"""What two prompts share, the playbook that is measured, and which goals count."""

import pytest

from services.operator.adapters.samples import bank_playbook
from services.operator.benchmarks.prompts import Figures, StageCost, playbook, rows, shared_share
from shared.playbook.checking import check
from shared.playbook.finding import errors


@pytest.mark.parametrize(
    ("earlier", "later", "share"),
    [("", "", 0), ("", "ab", 0), ("ab", "", 0), ("abxx", "abcd", 0.5), ("abcd", "abcd", 1), ("abcdefgh", "abcd", 1)],
)
def test_the_share_is_of_the_later_prompt(earlier, later, share):
    assert shared_share(earlier, later) == share


@pytest.mark.parametrize("tools", [False, True])
def test_the_playbook_has_as_many_guidelines_and_passes_the_check(tools):
    made = playbook(bank_playbook(), 100, tools=tools)
    assert len(made.guidelines) == 100
    assert len(made.tools) == (3 if tools else 0)
    assert not errors(check(made))


def test_more_calls_or_tokens_than_the_goal_are_told():
    stage = StageCost("draft", 2.5, 9_001, 0.5, 0.25)
    found = Figures((stage,), 2.5, 9_001)
    assert found.missed(tools=False) == ["more than 2 calls", "input tokens"]
    assert found.missed(tools=True) == ["input tokens"]
    assert rows(found)[0] == ("draft", "2.50", "9,001", "50%", "25%")
