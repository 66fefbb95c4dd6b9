"""A record on `playbooks` that was made to hurt: it is refused with a reason, and what was in force stays."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.playbook.model import Guideline, Playbook, Profile
from shared.playbook.records import CONTENT_BYTES_MAX, PlaybookKey, pack
from shared.playbook.shelf import Shelf
from shared.playbook.version import canonical, hash_of

TENANT = "acme"
GOOD = Playbook(agent="desk", profile=Profile(name="A"), guidelines=(Guideline(id="a", condition="b"),))


def published(content: bytes, agent: str = "desk") -> tuple[bytes, bytes]:
    return PlaybookKey(TENANT, agent, hash_of(content)).encode(), pack(content)


def head(*versions: str) -> bytes:
    return json.dumps({"version": versions[0], "kept": versions}).encode()


def with_good() -> tuple[Shelf, str]:
    shelf, content = Shelf(), canonical(GOOD)
    version = hash_of(content)
    shelf.apply(*published(content))
    shelf.apply(PlaybookKey(TENANT, "desk").encode(), head(version))
    return shelf, version


def changed(**parts: object) -> bytes:
    return json.dumps(json.loads(canonical(GOOD)) | parts).encode()


def tool(**parts: object) -> dict[str, object]:
    return {"tools": [{"id": "t", "description": "d", "http": {"url": "https://h/"}} | parts]}


HOSTILE = {
    "no JSON": b"\xff\x00",
    "an empty object": b"{}",
    "a list": b"[]",
    "null": b"null",
    "nested deeply": b'{"agent":"desk","guidelines":' + b"[" * 100_000,
    "a URL that no parser takes": changed(**tool(http={"url": "http://["})),
    "a port that is none": changed(**tool(mcp={"url": "http://h:99999/"}, http=None)),
    "a pattern that overflows": changed(**tool(parameters=[{"name": "p", "pattern": "a{99999999999999999}"}])),
    "a pattern with a look-behind": changed(**tool(parameters=[{"name": "p", "pattern": "(?<=a)b"}])),
    "a weight beyond numbers": canonical(GOOD)[:-1] + b',"experiment":{"name":"e","arms":{"a":{"weight":1e400}}}}',
    "a weight that is none": canonical(GOOD)[:-1] + b',"experiment":{"name":"e","arms":{"a":{"weight":NaN}}}}',
    "a default beyond numbers": changed(**tool(parameters=[{"name": "p"}]))[:-1].replace(
        b'"name": "p"', b'"name": "p", "default": -Infinity'
    )
    + b"}",
    "an integer of many digits": changed(guidelines=[]).replace(
        b"[]", b'[{"id":"a","condition":"b","priority":' + b"9" * 100_000 + b"}]"
    ),
    "half a character": changed(facts=[{"id": "a", "text": "x"}]).replace(b'"x"', b'"\\ud83d"'),
    "half a character in a template": changed(canned_replies=[{"id": "a", "text": '{{ "\\ud83d" }}'}]),
    "a million items that are none": b'{"agent":"desk","profile":{"name":"A"},"guidelines":['
    + b"0," * 8_000_000
    + b"0]}",
    "a hundred thousand items that are none": b'{"guidelines":[' + b"0," * 100_000 + b"0]}",
    "a hundred thousand unknown keys": b"{" + b",".join(b'"k%d":0' % n for n in range(100_000)) + b"}",
    "a name that fits no key": changed(agent="DESK"),
    "another agent": changed(agent="other"),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_playbook_that_cannot_be_used_is_refused_and_the_former_one_stays(content: bytes) -> None:
    shelf, version = with_good()
    with pytest.raises(Invalid) as caught:
        shelf.apply(*published(content))
    assert caught.value.reason == "bad_playbook"
    assert len(str(caught.value)) < 1_000
    with pytest.raises(Invalid, match="not held"):
        shelf.apply(PlaybookKey(TENANT, "desk").encode(), head(hash_of(content), version))
    assert shelf.current(TENANT, "desk") == (version, GOOD)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"\xff", b"", "bad_key"),
        (None, b"", "bad_key"),
        (b"k" * 1_000_000, b"", "bad_key"),
        (b"acme:desk:0123456789abcdef:x", b"", "bad_key"),
        (b"acme:desk", b"\xff", "bad_head"),
        (b"acme:desk", b"[]", "bad_head"),
        (b"acme:desk", b'{"version":"a","kept":[]}', "bad_head"),
        (b"acme:desk", b'{"version":"' + b"a" * 1_000_000 + b'","kept":["a"]}', "bad_head"),
        (b"acme:desk", b"[" * 60_000, "bad_head"),
        (b"acme:desk", head("0123456789abcdef"), "unknown_version"),
        (b"acme:desk:0123456789abcdef", pack(canonical(GOOD)), "hash_mismatch"),
        (b"acme:desk:0123456789abcdef", b"", "bad_encoding"),
        (b"acme:desk:0123456789abcdef", canonical(GOOD), "bad_encoding"),
        (b"acme:desk:0123456789abcdef", pack(canonical(GOOD))[:-9], "bad_encoding"),
        (b"acme:desk:0123456789abcdef", pack(b" " * (CONTENT_BYTES_MAX + 1)), "bad_encoding"),
    ],
)
def test_a_record_of_another_kind_is_refused(key: bytes | None, value: bytes, reason: str) -> None:
    shelf, version = with_good()
    with pytest.raises(Invalid) as caught:
        shelf.apply(key, value)
    assert caught.value.reason == reason
    assert shelf.current(TENANT, "desk") == (version, GOOD)


def test_a_head_whose_version_never_comes_leaves_the_next_one_that_is_held_in_force() -> None:
    shelf, version = with_good()
    with pytest.raises(Invalid, match="not held"):
        shelf.apply(b"acme:desk", head("0" * 16, "1" * 16, version))
    assert shelf.current(TENANT, "desk") == (version, GOOD)


def test_a_version_in_force_that_is_retired_stays_until_a_head_says_otherwise() -> None:
    shelf, version = with_good()
    shelf.apply(PlaybookKey(TENANT, "desk", version).encode(), None)
    assert shelf.current(TENANT, "desk") == (version, GOOD)


@given(st.binary(max_size=200), st.one_of(st.none(), st.binary(max_size=200)))
def test_whatever_a_record_holds_it_is_taken_or_refused(key: bytes, value: bytes | None) -> None:
    shelf, version = with_good()
    try:
        shelf.apply(key, value)
    except Invalid:
        assert shelf.current(TENANT, "desk") == (version, GOOD)


@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 3))
def test_a_flipped_byte_of_a_packed_playbook_never_passes_for_the_same_version(at: int, byte: int, cut: int) -> None:
    key, value = published(canonical(GOOD))
    at %= len(value)
    changed_value = value[:at] + bytes([byte]) + value[at + 1 :][: None if cut == 0 else -cut or None]
    try:
        Shelf().apply(key, changed_value)
    except Invalid:
        return
    assert zlib.decompress(changed_value, wbits=31) == canonical(GOOD)
