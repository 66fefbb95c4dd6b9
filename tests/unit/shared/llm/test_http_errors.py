"""
Every way in which HTTP fails has one meaning, and no error carries a text of a request or a part of a key.
"""

import inspect
import json
from datetime import UTC, datetime

import aiohttp
import httpx
import pytest

from shared.errors import Retryable
from shared.llm.errors import ModelRefused, ModelUnavailable
from shared.llm.http_errors import TRANSPORT_ERRORS, from_status, from_transport, read_rejection

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def exported_exceptions() -> set[type[Exception]]:
    exported = (getattr(httpx, name) for name in httpx.__all__)
    return {kind for kind in exported if inspect.isclass(kind) and issubclass(kind, Exception)}


def make(kind: type[Exception]) -> Exception:
    """An instance, whatever its constructor asks for."""
    error = kind.__new__(kind)
    Exception.__init__(error, "sk-secret")
    return error


def status(code: int, document: object = None, **headers: str) -> Exception:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return from_status(code, httpx.Headers(headers), body, where="POST x", now=NOW, longest_seconds=120.0)


def test_every_exception_that_httpx_exports_has_a_meaning():
    assert set(TRANSPORT_ERRORS) == exported_exceptions()


@pytest.mark.parametrize("kind", sorted(TRANSPORT_ERRORS, key=lambda kind: kind.__name__))
def test_an_exception_becomes_what_the_map_says_and_tells_nothing_of_its_text(kind):
    told = from_transport(make(kind), where="POST x")
    meaning = TRANSPORT_ERRORS[kind]
    if meaning == "defect":
        assert told is None
        return
    assert "sk-secret" not in str(told)
    assert kind.__name__ in str(told)
    assert isinstance(told, ModelRefused if meaning == "misconfigured" else ModelUnavailable)
    assert told.kind == ("bad_request" if meaning == "misconfigured" else meaning)


def test_a_subclass_is_told_by_its_nearest_ancestor():
    class Newer(httpx.ReadTimeout):
        pass

    assert from_transport(make(Newer), where="POST x").kind == "timeout"


def test_a_connection_closed_by_the_server_is_no_time_out():
    error = httpx.ConnectTimeout("")
    error.__cause__ = aiohttp.ServerDisconnectedError()
    assert from_transport(error, where="POST x").kind == "connection"


def test_a_real_connect_time_out_stays_one():
    error = httpx.ConnectTimeout("")
    error.__cause__ = aiohttp.ConnectionTimeoutError()
    assert from_transport(error, where="POST x").kind == "timeout"


def test_what_the_transport_lets_through_of_aiohttp_is_a_broken_connection():
    assert from_transport(make(aiohttp.ClientResponseError), where="POST x").kind == "connection"


@pytest.mark.parametrize(
    ("code", "document", "kind"),
    [
        (408, None, "timeout"),
        (409, None, "server_error"),
        (425, None, "server_error"),
        (429, {"error": {"type": "rate_limit_exceeded", "code": "rate_limit_exceeded"}}, "rate_limited"),
        (500, {"error": {"type": "api_error"}}, "server_error"),
        (502, b"<html>", "server_error"),
        (503, None, "overloaded"),
        (504, None, "timeout"),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, "overloaded"),
        (599, None, "server_error"),
        (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded"}}], "rate_limited"),
        (503, {"detail": [7]}, "overloaded"),
    ],
)
def test_a_passing_state_is_unavailable(code, document, kind):
    error = status(code, document)
    assert isinstance(error, ModelUnavailable)
    assert isinstance(error, Retryable)
    assert error.kind == kind


@pytest.mark.parametrize(
    ("code", "document", "kind"),
    [
        (401, {"error": {"code": "invalid_api_key"}}, "auth"),
        (403, {"error": {"type": "permission_error"}}, "auth"),
        (404, {"error": {"code": "model_not_found"}}, "not_found"),
        (402, None, "quota"),
        (429, {"error": {"type": "insufficient_quota", "code": "insufficient_quota"}}, "quota"),
        (
            429,
            {"error": {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}},
            "quota",
        ),
        (400, {"error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}}, "quota"),
        (400, {"error": {"code": "context_length_exceeded"}}, "too_long"),
        (400, {"object": "error", "message": "This model's maximum context length is 8192 tokens"}, "too_long"),
        (400, {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}, "too_long"),
        (413, b"", "too_long"),
        (400, {"message": "Input is too long for requested model."}, "too_long"),
        (400, {"error": {"message": "The prompt is longer than the maximum model length of 4096."}}, "too_long"),
        (400, [{"error": {"code": 400, "message": "exceeds the maximum number of tokens allowed (8)"}}], "too_long"),
        (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 4096", "error_type": "validation"}, "too_long"),
        (422, {"detail": "Input is too long"}, "too_long"),
        (500, {"error": {"message": "context length exceeded"}}, "too_long"),
        (400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid one."}}], "auth"),
        (307, None, "bad_request"),
        (422, {"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}, "bad_request"),
        (400, [[[[]]]], "bad_request"),
        (400, {"error": {"error": {"error": {"error": {}}}}}, "bad_request"),
        (400, {"error": {"code": 10**30, "type": ["x"], "message": 7, "param": {}}}, "bad_request"),
        (400, {"error": {"code": "invalid_schema"}}, "bad_request"),
        (400, {"error": "unknown field"}, "bad_request"),
        (422, [], "bad_request"),
        (301, None, "bad_request"),
        (418, None, "bad_request"),
    ],
)
def test_what_will_be_rejected_again_is_refused(code, document, kind):
    error = status(code, document)
    assert isinstance(error, ModelRefused)
    assert not isinstance(error, Retryable)
    assert error.kind == kind


def test_the_wait_that_a_rate_limit_asks_for_is_kept():
    assert status(429, None, **{"retry-after": "7"}).retry_after_seconds == 7.0
    assert status(429, None).retry_after_seconds is None


def test_the_endpoints_own_message_never_enters_the_error():
    error = status(
        400, {"error": {"message": "bad: my PIN is 1234", "type": "invalid request with spaces", "code": "a_code"}}
    )
    assert "PIN" not in str(error)
    assert "spaces" not in str(error)
    assert "a_code" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"null", b"[1]", b'{"error": 3}', b'{"error": {"details": 1, "code": []}}']
)
def test_an_error_document_in_no_known_shape_reads_as_empty(body):
    assert read_rejection(body).words == ()
