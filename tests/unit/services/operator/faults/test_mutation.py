"""What a hostile sender makes of a valid document."""

import json
from random import Random

import pytest

from services.operator.faults.mutation import mutated, mutated_headers, mutated_text

DOCUMENT = json.dumps({"a": 1, "b": ["x", {"c": None}], "text": json.dumps({"k": [1, 2]})}).encode()
OTHERS = (b'{"z": 1}', b"[]", b"no JSON")
HEADERS = (("ce_id", b"1"), ("ce_type", b"message.posted"))


def many(count=2_000):
    return [mutated(DOCUMENT, Random(number), OTHERS) for number in range(count)]


def test_a_seed_gives_the_same_bytes_each_time():
    assert many(200) == many(200)


def test_nearly_every_document_is_changed():
    assert sum(one == DOCUMENT for one in many()) < 100


def test_most_changed_documents_are_still_json():
    def is_json(one):
        try:
            json.loads(one)
        except (ValueError, RecursionError):
            return False
        return True

    assert sum(map(is_json, many())) > 1_000


@pytest.mark.parametrize("mark", [b"[[[[[[[[", b"\\ud800", b"NaN", b'"z"', b"\xff", b"0" * 400])
def test_every_kind_of_nonsense_comes(mark):
    assert any(mark in one for one in many(6_000))


def test_a_document_within_a_text_is_changed_inside():
    inner = [json.loads(one)["text"] for one in many(300) if b'"text": "{' in one and _readable(one)]
    assert len({text for text in inner if isinstance(text, str)}) > 5


def _readable(one):
    try:
        return "text" in json.loads(one)
    except (ValueError, RecursionError, TypeError):
        return False


@pytest.mark.parametrize("document", [b"", b"no JSON", b"\xff\xfe", b"[]", b"null"])
def test_any_document_can_be_changed(document):
    assert all(isinstance(mutated(document, Random(number)), bytes) for number in range(300))


def test_headers_are_added_dropped_emptied_and_changed():
    seen = [mutated_headers(HEADERS, Random(number)) for number in range(500)]
    assert any(len(headers) > 256 for headers in seen)
    assert any(len(headers) < len(HEADERS) for headers in seen)
    assert any(value is None for headers in seen for _, value in headers)


def test_headers_may_be_made_of_none():
    assert mutated_headers((), Random(1))


def test_a_text_keeps_within_a_bound():
    assert all(len(mutated_text("x" * 150_000, Random(number))) <= 200_000 for number in range(50))
