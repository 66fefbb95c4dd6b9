from hypothesis import given
from hypothesis import strategies as st

from shared.broker.embedded.batches import Header
from shared.broker.embedded.codes import Code
from shared.broker.embedded.idempotence import Producers, Verdict

APPEND = Verdict(Code.NONE)


def header(sequence, count=1, *, epoch=0, producer=1):
    return Header(0, 0, 0, 2, 0, 0, count - 1, 0, 0, producer, epoch, sequence, count)


def appended(producers, *headers):
    for base, one in enumerate(headers):
        assert producers.check(one) == APPEND
        producers.remember(one, base * 100)


def test_batches_in_sequence_are_appended():
    appended(Producers(10), header(0, 3), header(3, 2), header(5))


def test_any_of_the_last_five_batches_is_answered_with_its_first_offset():
    producers = Producers(10)
    sent = [header(i) for i in range(6)]
    appended(producers, *sent)
    assert [producers.check(one).duplicate_of for one in sent[1:]] == [100, 200, 300, 400, 500]
    assert producers.check(sent[0]).code is Code.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_gap_is_out_of_order():
    producers = Producers(10)
    appended(producers, header(0))
    assert producers.check(header(2)).code is Code.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_an_older_epoch_is_refused_and_a_newer_begins_at_zero():
    producers = Producers(10)
    appended(producers, header(0, epoch=3))
    assert producers.check(header(1, epoch=2)).code is Code.INVALID_PRODUCER_EPOCH
    assert producers.check(header(1, epoch=4)).code is Code.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producers.check(header(0, epoch=4)) == APPEND


def test_a_marker_fences_an_epoch_that_never_wrote():
    producers = Producers(10)
    producers.fence(1, 5)
    assert producers.check(header(0, epoch=4)).code is Code.INVALID_PRODUCER_EPOCH


def test_sequences_wrap_after_two_to_the_thirty_first():
    producers = Producers(10)
    appended(producers, header(2**31 - 2, 2), header(0))
    assert producers.check(header(1)) == APPEND


def test_the_longest_silent_producer_is_forgotten_first():
    producers = Producers(2)
    for producer in (1, 2, 3):
        producers.remember(header(0, producer=producer), 0)
    assert producers.check(header(7, producer=1)) == APPEND
    assert producers.check(header(0, producer=2)).duplicate_of == 0


@given(st.lists(st.integers(0, 4), max_size=60))
def test_whatever_is_sent_again_each_batch_is_appended_once(choices):
    """A client sends its next batch or repeats one of its last five; the log takes each once, in order."""
    producers = Producers(10)
    log: list[int] = []
    sent = 0
    for back in choices:
        sequence = sent if back == 0 or sent == 0 else max(0, sent - back)
        one = header(sequence)
        verdict = producers.check(one)
        if verdict.duplicate_of is None:
            assert verdict.code is Code.NONE
            producers.remember(one, len(log))
            log.append(sequence)
        else:
            assert log[verdict.duplicate_of] == sequence
        sent = max(sent, sequence + 1)
    assert log == list(range(sent))
