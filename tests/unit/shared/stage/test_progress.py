"""Progress: what is committed never skips an unfinished offset, always fits, and is resumed as it was."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.stage.ports import Committed
from shared.stage.progress import METADATA_CHARS_MAX, SPAN_MAX, Progress, decode, encode

offsets_with_gaps = st.lists(st.integers(1, 5), min_size=1, max_size=60).map(
    lambda gaps: [sum(gaps[: index + 1]) for index in range(len(gaps))]
)


@given(offsets_with_gaps, st.integers(0, 2**32), st.integers(1, 60))
def test_kills_at_any_moment_lose_nothing_and_repeat_only_what_was_under_way(log, seed, span):
    """A process reads, finishes in any order, commits now and then, and dies now and then; its successor resumes."""
    chance = random.Random(seed)
    committed, finished, handled = Committed(0), set(), []
    progress, under_way, unread = Progress(committed, span), [], list(log)
    while unread or under_way:
        action = chance.choice(("read", "read", "finish", "finish", "commit", "die"))
        if action == "read" and unread and progress.fits(unread[0]):
            offset = unread.pop(0)
            if progress.begin(offset):
                handled.append(offset)
                under_way.append(offset)
        elif action == "finish" and under_way:
            offset = under_way.pop(chance.randrange(len(under_way)))
            progress.finish(offset)
            finished.add(offset)
        elif action == "commit":
            committed = progress.committable()
        elif action == "die":
            # Whatever is not in the commit is under way or done since; nothing that is unfinished is skipped.
            skipped = {o for o in log if o < committed.offset} | decode(committed)
            assert skipped <= finished
            finished &= skipped
            progress, under_way = Progress(committed, span), []
            unread = [offset for offset in log if offset >= committed.offset]
    assert set(handled) == finished == set(log)
    assert progress.committable() == Committed(log[-1] + 1)


@given(st.integers(0, 2**40), st.sets(st.integers(1, SPAN_MAX - 1), max_size=400))
def test_decoding_gives_back_what_was_encoded(watermark, distances):
    done = {watermark + distance for distance in distances}
    assert decode(Committed(watermark, encode(watermark, done))) == done


@pytest.mark.parametrize("density", [0.001, 0.1, 0.124, 0.5, 0.9, 1.0])
def test_the_largest_span_always_fits(density):
    chance = random.Random(7)
    done = {offset for offset in range(1, SPAN_MAX) if chance.random() < density} | {SPAN_MAX - 1}
    text = encode(0, done)
    assert len(text) <= METADATA_CHARS_MAX
    assert decode(Committed(0, text)) == done


def test_few_offsets_far_away_cost_few_characters():
    assert len(encode(0, {SPAN_MAX - 1})) <= 8


def test_nothing_beyond_the_watermark_is_an_empty_text():
    assert encode(5, ()) == ""


@given(st.text(max_size=200) | st.text("1bd=+/ABCabc09", max_size=200) | st.binary().map(lambda b: f"1b{b!r}"))
def test_foreign_or_damaged_metadata_never_fails_and_stays_in_the_span(text):
    assert all(7 <= offset < 7 + SPAN_MAX for offset in decode(Committed(7, text)))


@pytest.mark.parametrize("text", ["2bAA==", "parallel-consumer", "1xAA==", "1b!!!", "1", "", "1b" + "A" * 5_000])
def test_metadata_of_another_version_reads_as_empty(text):
    assert decode(Committed(0, text)) == frozenset()


def test_an_offset_is_begun_once():
    progress = Progress(Committed(10))
    assert progress.begin(10)
    assert not progress.begin(10)
    assert not progress.begin(9)


def test_the_span_bounds_what_may_be_begun_beyond_an_unfinished_offset():
    progress = Progress(Committed(0), span_max=10)
    assert progress.begin(0)
    assert progress.fits(9)
    assert not progress.fits(10)
    progress.finish(0)
    assert progress.fits(10)


def test_a_gap_larger_than_the_span_does_not_block():
    """After a long aborted transaction the next offset is far away, and nothing is under way."""
    progress = Progress(Committed(0), span_max=10)
    assert progress.fits(5_000)


def test_offsets_done_in_a_former_life_that_were_compacted_away_are_forgotten():
    progress = Progress(Committed(0, encode(0, {2, 3})))
    assert progress.begin(0)
    assert progress.begin(5)
    progress.finish(0)
    assert progress.committable() == Committed(5, "")
