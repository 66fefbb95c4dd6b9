import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.events.envelope import Address, derived_id

tenants = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
conversations = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(0x21)), "\x7f"]),
    min_size=1,
    max_size=128,
)


@given(tenants, conversations)
def test_every_address_is_read_back_from_its_key(tenant, conversation):
    """Also where the conversation's name holds colons."""
    address = Address(tenant, conversation)

    assert Address.from_key(address.key) == address


@given(st.binary(max_size=300) | st.none())
def test_any_bytes_are_an_address_or_invalid(key):
    try:
        outcome = Address.from_key(key).key
    except Invalid as error:
        outcome = error.reason

    assert outcome in {key, "bad_key"}


def test_derived_identifiers_repeat_and_do_not_run_into_each_other():
    assert derived_id("turn", "acme", 1) == derived_id("turn", "acme", 1)
    assert derived_id("a", "bc") != derived_id("ab", "c")


def test_a_derived_identifier_never_changes_between_releases():
    """Identifiers are how repeated records are recognised, also across an upgrade."""
    assert derived_id("turn", "acme", "c-1", 1) == "509f4f12-ec75-5e05-a193-cc8fce8dd984"


def test_a_key_names_its_reason():
    with pytest.raises(Invalid, match="missing"):
        Address.from_key(None)
