from hypothesis import given
from hypothesis import strategies as st

from services.conversations.domain.seen import Fingerprint, body_seen, remember

digits = "0123456789abcdef"
fingerprints = st.builds(
    Fingerprint,
    st.text(digits[:2], min_size=16, max_size=16),
    st.text(digits[:2], min_size=12, max_size=12),
)


@given(events=st.lists(fingerprints, min_size=1, max_size=12), size=st.integers(1, 12))
def test_the_memory_is_that_of_a_list_of_the_newest(events, size):
    """
    Digits of two kinds only, so that an id often occurs across the border of two fingerprints, where it does not
    count.
    """
    seen = ""
    for event in events:
        seen = remember(seen, event, size)
    newest = events[-size:]
    for event in events:
        known = [other.body for other in newest if other.id == event.id]
        assert body_seen(seen, event) == (known[0] if known else None)
