"""The fold over the `playbooks` topic: what is in force after which records."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.playbook.directory import StaticDirectory
from shared.playbook.model import Guideline, Playbook, Profile
from shared.playbook.records import CONTENT_BYTES_MAX, Head, PlaybookKey, pack, succession, unpack
from shared.playbook.shelf import OLD_VERSIONS_PARSED_MAX, Shelf
from shared.playbook.version import canonical, version_of


def playbook(action: str, *, agent: str = "desk", ids: tuple[str, ...] = ("a",)) -> Playbook:
    guidelines = tuple(Guideline(id=name, condition="it rains", action=action) for name in ids)
    return Playbook(agent=agent, profile=Profile(name="Ada"), guidelines=guidelines)


def key(version: str = "") -> bytes:
    return PlaybookKey("acme", "desk", version).encode()


def put(shelf: Shelf, *books: Playbook) -> list[str]:
    """Publish *books* one after the other; their versions."""
    versions: list[str] = []
    for book in books:
        versions.insert(0, version_of(book))
        shelf.apply(key(versions[0]), pack(canonical(book)))
        shelf.apply(key(), Head(version=versions[0], kept=tuple(versions)).model_dump_json().encode())
    return versions


def in_force(shelf: Shelf) -> str | None:
    current = shelf.current("acme", "desk")
    return current[0] if current else None


def test_the_head_decides_what_is_in_force_and_old_versions_stay_readable() -> None:
    shelf = Shelf()
    new, old = put(shelf, playbook("one"), playbook("two"))
    assert in_force(shelf) == new
    assert shelf.version("acme", "desk", old) == playbook("one")
    assert shelf.version("acme", "desk", new) == playbook("two")
    assert shelf.kept("acme", "desk") == (new, old)


def test_content_without_a_head_is_not_in_force() -> None:
    shelf = Shelf()
    version = version_of(playbook("one"))
    assert shelf.apply(key(version), pack(canonical(playbook("one")))) == "published"
    assert in_force(shelf) is None
    assert shelf.version("acme", "desk", version) == playbook("one")


def test_a_retired_version_is_gone_and_the_one_in_force_stays() -> None:
    shelf = Shelf()
    new, old = put(shelf, playbook("one"), playbook("two"))
    assert shelf.apply(key(old), None) == "retired"
    assert shelf.version("acme", "desk", old) is None
    assert in_force(shelf) == new


def test_a_withdrawn_agent_has_nothing_in_force() -> None:
    shelf = Shelf()
    put(shelf, playbook("one"))
    assert shelf.apply(key(), None) == "withdrawn"
    assert in_force(shelf) is None
    assert shelf.agents() == ()


BAD = {
    "bad_key": (b"no key", b"{}"),
    "bad_encoding": (key("0" * 16), b"not gzip"),
    "hash_mismatch": (key("0" * 16), pack(canonical(playbook("one")))),
    "bad_head": (key(), b'{"version": "x"}'),
    "unknown_version": (key(), Head(version="f" * 16, kept=("f" * 16,)).model_dump_json().encode()),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_record_is_refused_and_what_was_in_force_stays(reason: str) -> None:
    shelf = Shelf()
    (version,) = put(shelf, playbook("one"))
    with pytest.raises(Invalid) as caught:
        shelf.apply(*BAD[reason])
    assert caught.value.reason == reason
    assert in_force(shelf) == version


@pytest.mark.parametrize("book", [playbook("x", agent="other"), playbook("x", ids=("a", "a"))])
def test_content_for_another_agent_or_with_errors_is_refused(book: Playbook) -> None:
    with pytest.raises(Invalid) as caught:
        Shelf().apply(key(version_of(book)), pack(canonical(book)))
    assert caught.value.reason == "bad_playbook"


def test_after_a_restart_the_newest_good_version_is_in_force_again() -> None:
    """The head names a version that was refused: the same records mean the same to a process that starts anew."""
    shelf = Shelf()
    (good,) = put(shelf, playbook("one"))
    head = Head(version="f" * 16, kept=("f" * 16, good)).model_dump_json().encode()
    for fresh in (shelf, Shelf()):
        fresh.apply(key(good), pack(canonical(playbook("one"))))
        with pytest.raises(Invalid, match="not held"):
            fresh.apply(key(), head)
        assert in_force(fresh) == good


def test_content_is_packed_alike_every_time_and_bombs_are_refused() -> None:
    assert pack(b"text") == pack(b"text")
    assert unpack(pack(b"text")) == b"text"
    for bad in (pack(b"0" * (CONTENT_BYTES_MAX + 1)), gzip.compress(b"text")[:-3], b""):
        with pytest.raises(Invalid, match="cut short"):
            unpack(bad)


def test_old_versions_are_parsed_on_demand_and_forgotten_by_age_of_use() -> None:
    shelf = Shelf()
    versions = put(shelf, *(playbook(f"action {n}") for n in range(OLD_VERSIONS_PARSED_MAX + 8)))
    for version in versions[1:]:
        assert shelf.version("acme", "desk", version) is not None
    assert len(shelf._old) == OLD_VERSIONS_PARSED_MAX
    assert shelf.version("acme", "desk", versions[-1]) is shelf.version("acme", "desk", versions[-1])


def test_tenants_do_not_see_each_other() -> None:
    shelf = Shelf()
    (version,) = put(shelf, playbook("one"))
    assert shelf.current("other", "desk") is None
    assert shelf.version("other", "desk", version) is None


@given(st.lists(st.sampled_from("abcdef"), max_size=30), st.integers(1, 4))
def test_succession_keeps_the_newest_and_retires_each_version_once(published: list[str], keep: int) -> None:
    kept: tuple[str, ...] = ()
    held: set[str] = set()
    for version in published:
        head, retired = succession(version, kept, keep)
        held = (held | {version}) - set(retired)
        kept = head.kept
        assert head.version == version == kept[0]
        assert held == set(kept)
        assert len(kept) <= keep


def test_the_static_directory_behaves_like_the_topic() -> None:
    directory = StaticDirectory(keep=2)
    one, two, three = (directory.put("acme", playbook(text)) for text in ("one", "two", "three"))
    assert directory.current("acme", "desk") == (three, playbook("three"))
    assert directory.version("acme", "desk", two) == playbook("two")
    assert directory.version("acme", "desk", one) is None
    with pytest.raises(Invalid):
        directory.put("acme", playbook("x", ids=("a", "a")))
    directory.withdraw("acme", "desk")
    assert directory.current("acme", "desk") is None
