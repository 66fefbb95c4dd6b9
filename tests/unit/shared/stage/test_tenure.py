import pytest

from shared.errors import Fatal, Retryable
from shared.stage.commit_group import StateFailedError
from shared.stage.errors import OwnershipLost, UnreadableStateError
from shared.stage.settings import StageSettings
from shared.stage.tenure import Restarts, Tenure


@pytest.fixture
def begin():
    def begin(**changes):
        settings = StageSettings(**changes)
        return Tenure(settings, Restarts("tally", settings))

    return begin


def failed(key=b"k"):
    return StateFailedError(key, "KeyError")


def test_a_task_that_another_process_took_waits_ever_longer_before_it_takes_it_back(begin):
    """A zombie must have time to hear of the rebalance; else the two fence each other without end."""
    tenure = begin(ledger_takeover_wait_seconds=1.0)
    waits = [tenure.wait_after(OwnershipLost("fenced"), 0) for _ in range(10)]

    assert 0.5 <= waits[0] <= 1.0
    assert 1.0 <= waits[1] <= 2.0
    assert max(waits) <= 10.0


def test_a_commit_makes_the_waits_short_again(begin):
    tenure = begin(retry_wait_seconds=0.1)
    for _ in range(5):
        tenure.wait_after(Retryable("away"), 0)
    tenure.committed()

    assert tenure.wait_after(Retryable("away"), 0) <= 0.1


def test_passing_errors_never_stop_the_process_and_their_wish_is_heard(begin):
    tenure = begin()

    assert all(tenure.wait_after(Retryable("away", retry_after_seconds=30.0), 0) >= 30.0 for _ in range(100))


def test_unexpected_errors_stop_the_process_when_there_are_too_many_at_once(begin):
    tenure = begin(restarts_max=2, restarts_window_seconds=60)
    for now in (0, 50, 100, 150):
        tenure.wait_after(ValueError("bug"), now)

    with pytest.raises(Fatal, match="3 unexpected errors within 60 s"):
        tenure.wait_after(ValueError("bug"), 151)


def test_a_state_that_cannot_be_written_opens_the_task_anew_at_once(begin):
    tenure = begin()

    assert tenure.wait_after(failed(), 0) == 0
    assert tenure.condemned == {}


def test_the_second_time_its_key_is_condemned_until_a_transaction_has_said_so(begin):
    tenure = begin()
    for key in (b"a", b"b", b"a"):
        tenure.wait_after(failed(key), 0)
    assert list(tenure.condemned) == [b"a"]

    tenure.committed()
    assert tenure.condemned == {}


def test_states_that_cannot_be_written_never_stop_the_process(begin):
    tenure = begin(restarts_max=0)

    for number in range(100):
        assert tenure.wait_after(failed(str(number % 7).encode()), 0) == 0


def test_a_fatal_error_is_fatal(begin):
    with pytest.raises(Fatal, match="no such topic"):
        begin().wait_after(Fatal("no such topic"), 0)


def test_a_changelog_that_cannot_be_decoded_keeps_its_own_task_closed_for_ever_and_no_other():
    settings = StageSettings(restarts_max=0, ledger_unreadable_wait_seconds=9)
    tenure = Tenure(settings, Restarts("conversations", settings))
    error = UnreadableStateError("conversation.state", 3, 41, "CorruptRecordException")
    assert [tenure.wait_after(error, now) for now in range(20)] == [9.0] * 20
    assert "conversation.state-3 cannot be decoded at offset 41" in str(error)
