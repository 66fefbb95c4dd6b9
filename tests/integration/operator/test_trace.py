"""A conversation of a running Holdfast is traced from the topics."""

import json

import pytest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


async def test_both_turns_are_told_with_every_decision(holdfast_running):
    await holdfast_running.ask("to-trace", "What does the current account cost a month?")
    await holdfast_running.ask("to-trace", "I lost my card, what should I do?")

    done = await holdfast_running.holdfast("trace", "acme:to-trace")
    last = await holdfast_running.holdfast("trace", "to-trace", "--tenant", "acme", "--turn", "2", "--json")

    assert done.exit_code == last.exit_code == 0, done.output + last.output
    assert "turn 1" in done.output
    assert "turn 2" in done.output
    assert "4.50" in done.output
    (turn,) = json.loads(last.stdout)
    assert turn["turn"]["epoch"] == 2
    assert turn["matching"]["active"]
    assert turn["closed"]["outcome"] == "answered"
    assert turn["response"]["text"]


async def test_a_conversation_that_is_not_there_is_told(holdfast_running):
    done = await holdfast_running.holdfast("trace", "acme:nobody")

    assert done.exit_code != 0
    assert "hold no turn of acme:nobody" in str(done.exception)
