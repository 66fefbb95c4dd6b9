from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.conversations.domain.transcript import EMPTY, Window, entry_of, transcript_of
from shared.events.conversation import Author
from shared.events.turns import Utterance

WIDE = Window(messages=1_000, tokens=1_000_000, size_bytes=10_000_000)


def entry(text, sequence=None):
    return entry_of(Utterance(id="m", author=Author.CUSTOMER, text=text, at=datetime(2026, 1, 1, tzinfo=UTC)), sequence)


def grown(*entries, window=WIDE):
    transcript = EMPTY
    for added in entries:
        transcript = transcript.with_entry(added, window)
    return transcript


def test_tokens_are_a_quarter_of_the_characters_rounded_up():
    assert [entry("x" * n).tokens for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_tokens_limit_the_window_and_the_newest_message_always_fits():
    window = Window(messages=10, tokens=10, size_bytes=10_000)
    transcript = grown(entry("a" * 20), entry("b" * 20), entry("c" * 4), window=window)
    assert [e.tokens for e in transcript.entries] == [5, 1]
    assert transcript.omitted == 1
    assert len(grown(entry("x" * 400), entry("y" * 400), window=window).entries) == 1


def test_bytes_limit_what_is_kept():
    size = len(entry("x").utterance)
    transcript = grown(*[entry("x")] * 5, window=Window(10, 10_000, size_bytes=3 * size))
    assert (len(transcript.entries), transcript.omitted) == (3, 2)


def test_a_straggler_from_before_all_that_is_kept_goes_to_the_end():
    transcript = grown(*[entry("x", n) for n in range(5, 9)], window=Window(3, 10_000, 10_000))
    assert transcript.with_entry(entry("late", 1), WIDE).entries[-1].sequence == 1


@given(
    sequences=st.lists(st.none() | st.integers(0, 9), max_size=20),
    window=st.builds(Window, st.integers(1, 6), st.integers(1, 20), st.integers(100, 2_000)),
)
def test_nothing_is_lost_count_of_and_the_sums_are_right(sequences, window):
    transcript = grown(*[entry("text" * 3, n) for n in sequences], window=window)
    assert len(transcript.entries) + transcript.omitted == len(sequences)
    assert transcript == transcript_of(transcript.entries, transcript.omitted)


@given(sequences=st.permutations(range(12)))
def test_numbered_messages_end_in_the_order_of_their_numbers_however_they_come(sequences):
    assert [e.sequence for e in grown(*[entry("x", n) for n in sequences]).entries] == list(range(12))
