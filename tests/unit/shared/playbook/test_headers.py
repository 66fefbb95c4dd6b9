"""Headers that a playbook declares: which names and values a request may be given, and where a mistake is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.playbook.finding import PlaybookError
from shared.playbook.knowledge import Retriever
from shared.playbook.loading import read_text
from shared.playbook.tools import HttpCall, McpCall

OF_THE_CONNECTION = [
    "host", "Host", "content-length", "Content-Length", "transfer-encoding", "Transfer-Encoding", "connection",
    "upgrade", "te", "TE", "trailer", "expect", "proxy-authorization", "Proxy-Connection", "proxy-anything",
    "keep-alive", "HTTP2-Settings",
]  # fmt: skip
NO_NAMES = ["", " ", "x y", "x:", ":authority", "x\r\nhost", "x\n", "ü", "x\x00", "x(", "\u0445-key", "a" * 129]
NO_VALUES = [
    "key\r\nhost: b", "key\nb", "key\rb", "key\x00b", "key\x7f", "schlüssel", "“key”", "key ", " key", "\tkey",
    "key" * 3_000, "key\ud83d",
]  # fmt: skip


@pytest.mark.parametrize("declared", [HttpCall, McpCall], ids=lambda model: model.__name__)
@pytest.mark.parametrize("name", OF_THE_CONNECTION + NO_NAMES)
def test_a_header_of_the_connection_or_without_a_proper_name_is_refused(declared, name):
    with pytest.raises(ValidationError, match="header"):
        declared(url="https://x.example/", headers={name: "1"})


@pytest.mark.parametrize("value", NO_VALUES, ids=ascii)
def test_a_value_that_is_no_field_value_is_refused_without_being_quoted(value):
    with pytest.raises(ValidationError) as refused:
        Retriever(id="docs", url="https://x.example/", headers={"x-key": value})
    assert "key" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize("name", OF_THE_CONNECTION)
def test_the_header_of_the_key_may_not_be_the_connections_either(name):
    with pytest.raises(ValidationError, match="connection itself"):
        HttpCall(url="https://x.example/", idempotency_header=name)


def test_two_headers_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="twice"):
        HttpCall(url="https://x.example/", headers={"X-Key": "1", "x-key": "2"})


@pytest.mark.parametrize("value", ["", "a", "a b", "a\tb", "Bearer secret:bank", 'W/"x"', "a" * 8_192, "~!@#$%^&*()"])
def test_ordinary_headers_are_taken_as_they_are(value):
    headers = {"x-key": value, "Content-Type": "application/json", "accept": "*/*", "X_Other.1": "1"}
    assert HttpCall(url="https://x.example/", headers=headers).headers == headers


@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_taken_stays_one_line_of_one_header(name, value):
    try:
        headers = HttpCall(url="https://x.example/", headers={name: value}).headers
    except ValidationError:
        return
    line = "".join(f"{name}: {value}" for name, value in headers.items())
    assert line.isascii()
    assert line.splitlines() == [line]


def test_a_check_names_the_header_by_its_line():
    text = """\
agent: bank
profile: {name: Bank}
tools:
  - id: rate
    description: Look up a rate
    http:
      url: https://x.example/
      headers:
        x-one: "1"
        Content-Length: "57"
"""
    with pytest.raises(PlaybookError) as refused:
        read_text(text.encode(), "bank.yaml")
    [finding] = refused.value.findings
    assert (finding.line, "Content-Length" in finding.reason) == (10, True)
