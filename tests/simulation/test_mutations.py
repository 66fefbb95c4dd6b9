"""The simulation finds planted bugs, and by an invariant that they break."""

import inspect

import pytest

from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.test_simulation import SEEDS
from tests.simulation.world import simulate


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_planted_bug_is_found_among_the_seeds_that_sound_code_passes(
    mutation: Mutation, monkeypatch, record_property
):
    monkeypatch.setattr(*mutation.patch())
    found = next(((seed, its) for seed in range(SEEDS) if (its := simulate(seed).violations)), None)
    assert found is not None, f"{SEEDS} seeds did not find it"
    seed, violations = found
    record_property("found_by_seed", seed)
    assert {violation.invariant for violation in violations} & mutation.invariants, list(map(str, violations))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_planted_bug_is_called_as_what_it_replaces_is(mutation: Mutation):
    """One that is not would raise at each call, which costs a turn, and plant nothing."""
    owner, name, planted = mutation.patch()
    replaced = getattr(owner, name)
    if inspect.isroutine(replaced) and "arguments" not in inspect.signature(planted).parameters:
        assert list(inspect.signature(planted).parameters) == list(inspect.signature(replaced).parameters)


SET_APART = [mutation for mutation in MUTATIONS if mutation.invariants == {"I17"}]


@pytest.mark.parametrize("mutation", SET_APART, ids=lambda mutation: mutation.name)
def test_a_conversation_at_which_the_ledger_fails_ends_no_process(mutation: Mutation, monkeypatch):
    """It is set apart, which is what the simulation sees of it."""
    monkeypatch.setattr(*mutation.patch())
    seen = [violation for seed in range(20) for violation in simulate(seed).violations]
    assert {violation.invariant for violation in seen} == {"I17"}, list(map(str, seen))


def test_the_planted_bugs_are_as_many_as_promised():
    assert len(MUTATIONS) >= 8
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
