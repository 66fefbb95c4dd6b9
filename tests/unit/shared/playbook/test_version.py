"""Versions: the same content is the same version, anything else another."""

from hypothesis import given
from hypothesis import strategies as st

from shared.playbook.model import Guideline, Playbook, Profile
from shared.playbook.version import VERSION_CHARS, canonical, from_canonical, version_of

text = st.text(min_size=1, max_size=40)
guidelines = st.lists(
    st.builds(Guideline, id=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True), condition=text, action=text),
    max_size=4,
).map(tuple)


def playbook(items: tuple[Guideline, ...]) -> Playbook:
    return Playbook(agent="desk", profile=Profile(name="Ada"), guidelines=items)


@given(guidelines)
def test_content_survives_and_keeps_its_version(items: tuple[Guideline, ...]) -> None:
    original = playbook(items)
    again = from_canonical(canonical(original))
    assert again == original
    assert version_of(again) == version_of(original)


@given(guidelines, guidelines)
def test_different_content_has_a_different_version(one: tuple[Guideline, ...], two: tuple[Guideline, ...]) -> None:
    assert (version_of(playbook(one)) == version_of(playbook(two))) == (one == two)


def test_a_version_is_sixteen_hexadecimal_digits_and_pinned() -> None:
    """The hash is part of what is on the topic: a change of it would orphan every open turn."""
    version = version_of(playbook((Guideline(id="a", condition="b", action="c"),)))
    assert len(version) == VERSION_CHARS
    assert version == "8dd9544e4f02e3af"


def test_a_default_written_out_is_the_same_content() -> None:
    assert version_of(playbook((Guideline(id="a", condition="b", priority=0),))) == version_of(
        playbook((Guideline(id="a", condition="b"),)),
    )
