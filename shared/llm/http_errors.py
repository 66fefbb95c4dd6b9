"""
What can go wrong on the way to a model, each told as what the caller should do about it.

No text of a request or an answer, and no part of a key, enters an error: providers echo both in their messages. The
message itself goes to the debug log, with the key cut out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import aiohttp
import httpx
from pydantic_core import from_json

from shared.errors import HoldfastError
from shared.events.base import INTEGER_MAX
from shared.llm.errors import ModelRefused, ModelUnavailable
from shared.llm.remedies import remedy_for
from shared.llm.retry_after import retry_after_seconds

Meaning = Literal["timeout", "connection", "misconfigured", "defect"]

TRANSPORT_ERRORS: Final[Mapping[type[Exception], Meaning]] = {
    httpx.HTTPError: "connection",
    httpx.RequestError: "connection",
    httpx.TransportError: "connection",
    httpx.TimeoutException: "timeout",
    httpx.ConnectTimeout: "timeout",
    httpx.ReadTimeout: "timeout",
    httpx.WriteTimeout: "timeout",
    httpx.PoolTimeout: "timeout",
    httpx.NetworkError: "connection",
    httpx.ConnectError: "connection",
    httpx.ReadError: "connection",
    httpx.WriteError: "connection",
    httpx.CloseError: "connection",
    httpx.ProxyError: "connection",
    httpx.ProtocolError: "connection",
    httpx.RemoteProtocolError: "connection",
    httpx.DecodingError: "connection",
    httpx.UnsupportedProtocol: "misconfigured",
    httpx.InvalidURL: "misconfigured",
    # A header that cannot be sent: a key with a line break in it.
    httpx.LocalProtocolError: "misconfigured",
    # Redirects are not followed and statuses not raised; streams and cookies are used in one place. Meeting one is our
    # defect.
    httpx.TooManyRedirects: "defect",
    httpx.HTTPStatusError: "defect",
    httpx.CookieConflict: "defect",
    httpx.StreamError: "defect",
    httpx.StreamConsumed: "defect",
    httpx.StreamClosed: "defect",
    httpx.ResponseNotRead: "defect",
    httpx.RequestNotRead: "defect",
}
"""Every exception class that httpx exports → what it means here; a test holds it complete."""

WORD_LENGTH_MAX = 64
WORDS_MAX = 6
NESTING_MAX = 3
QUOTA_WORDS = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_error", "enforced_spend_limit_reached"},
)
QUOTA_MESSAGE = re.compile(r"credit balance is too low|usage limit|spend limit", re.IGNORECASE)
TOO_LONG_WORDS = frozenset({"context_length_exceeded", "request_too_large", "string_above_max_length"})
TOO_LONG_MESSAGE = re.compile(
    r"maximum context length|prompt is too long|input is too long|context (?:window|size|limit|length)"
    r"|maximum (?:number of tokens|model length)|`?inputs`? tokens \+ `?max_new_tokens`? must be",
    re.IGNORECASE,
)
AUTH_MESSAGE = re.compile(r"api key (?:not valid|is invalid|not found)|(?:invalid|incorrect) api key", re.IGNORECASE)
AUTH_STATUSES = frozenset({401, 403})
# 408 and 409 (lock time-out) and 425 are transient; the vendors' own clients retry them too.
UNAVAILABLE_STATUSES: Final[Mapping[int, str]] = {
    408: "timeout",
    409: "server_error",
    425: "server_error",
    429: "rate_limited",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
SERVER_ERROR_STATUS_MIN = 500
ERROR_STATUSES = range(400, 600)
UPSTREAM_FAILED = 502
"""What an error in a success counts as where it names no status: whoever answered could not be answered."""
WORD_STATUSES: Final[Mapping[str, int]] = {
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "content_filter": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "RESOURCE_EXHAUSTED": 429,
    "overloaded_error": 529,
    "api_error": 500,
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """
    The error document of an answer: `words` are its types and codes, `message` the provider's own text (never to be
    raised), `parameter` what it says of the request is wrong.
    """

    words: tuple[str, ...] = ()
    message: str = ""
    parameter: str = ""


def from_transport(error: Exception, *, where: str) -> HoldfastError | None:
    """
    The error to raise for an exception of httpx or aiohttp met at *where*; None if it is a defect of ours, to be let
    through.
    """
    meaning = _meaning(error)
    kind = type(error.__cause__ or error).__name__
    if meaning == "defect":
        return None
    if meaning == "misconfigured":
        return ModelRefused(
            "bad_request", f"{where}: the request cannot be sent ({kind}); check HOLDFAST_LLM_URL and _KEY"
        )
    if meaning == "timeout":
        return ModelUnavailable("timeout", f"{where}: no answer in time ({kind}); see HOLDFAST_LLM_*_TIMEOUT_SECONDS")
    return ModelUnavailable("connection", f"{where}: the connection failed ({kind}); is the endpoint up and reachable?")


def from_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    where: str,
    now: datetime,
    longest_seconds: float,
) -> HoldfastError:
    """
    The error to raise for an answer with a status that is no success; *now* and *longest_seconds* as in
    `retry_after_seconds`.
    """
    wait_seconds = retry_after_seconds(headers, now=now, longest_seconds=longest_seconds)
    return _error(status, read_rejection(body), f"{where}: status {status}", wait_seconds)


def from_answer(error: object) -> HoldfastError:
    """
    The error to raise for *error*, which a success holds instead of an answer: a gateway had begun to answer when the
    endpoint behind it failed.
    """
    rejection = _rejection(error)
    statuses = [int(word) for word in rejection.words if word.isascii() and word.isdigit()]
    statuses = [status for status in statuses if status in ERROR_STATUSES]
    statuses += [WORD_STATUSES[word] for word in rejection.words if word in WORD_STATUSES]
    return _error(statuses[0] if statuses else UPSTREAM_FAILED, rejection, "an error in a success", None)


def _error(status: int, rejection: Rejection, told: str, wait_seconds: float | None) -> HoldfastError:
    told += f" ({', '.join(rejection.words)})" if rejection.words else ""
    unavailable = status in UNAVAILABLE_STATUSES or status >= SERVER_ERROR_STATUS_MIN
    if unavailable and not _is_quota(status, rejection) and not _is_too_long(status, rejection):
        kind = UNAVAILABLE_STATUSES.get(status, "server_error")
        return ModelUnavailable(kind, told, retry_after_seconds=wait_seconds)
    kind, advice = _refusal(status, rejection)
    remedy = remedy_for(rejection.parameter, rejection.message, rejection.words) if kind == "bad_request" else None
    if remedy is not None:
        advice = f"a parameter is refused: set {remedy.setting}"
    return ModelRefused(kind, f"{told}; {advice}", remedy=remedy)


def _refusal(status: int, rejection: Rejection) -> tuple[str, str]:
    """The kind of a refusal, and what to do about it."""
    if _is_quota(status, rejection):
        return "quota", "the account's quota is used up: raise it or change HOLDFAST_LLM_KEY"
    if _is_too_long(status, rejection):
        return "too_long", "the prompt does not fit the model"
    if status in AUTH_STATUSES or AUTH_MESSAGE.search(rejection.message):
        return "auth", "check HOLDFAST_LLM_KEY and what it may use"
    if status == httpx.codes.NOT_FOUND:
        return "not_found", "check HOLDFAST_LLM_URL and HOLDFAST_LLM_MODEL"
    if httpx.codes.is_redirect(status):
        return "bad_request", "the endpoint redirects: set HOLDFAST_LLM_URL to where it leads"
    return "bad_request", "the debug log has the endpoint's own message"


def read_rejection(body: bytes) -> Rejection:
    """
    The types, codes and message of an error document, in any of the shapes in use: OpenAI `{"error": {...}}`, vLLM's
    flat one, Anthropic's with `details`, Ollama's `{"error": "text"}`, Gemini's list of one, FastAPI's `detail`; an
    empty one for anything else.
    """
    try:
        document = from_json(body)
    except ValueError:
        return Rejection()
    return _rejection(document)


def _rejection(document: object) -> Rejection:
    error = _innermost(document)
    if isinstance(error, str):
        return Rejection(message=error)
    if not isinstance(error, dict):
        return Rejection()
    details = error.get("details")
    found = [
        *(error.get(name) for name in ("type", "code", "status", "error_type")),
        details.get("error_code") if isinstance(details, dict) else None,
    ]
    message, parameter = error.get("message", error.get("msg")), error.get("param")
    words = dict.fromkeys(word for word in map(_word, found) if word)
    return Rejection(
        words=tuple(words)[:WORDS_MAX],
        message=message if isinstance(message, str) else "",
        parameter=_word(parameter) or _place(error.get("loc")),
    )


def _innermost(document: object) -> object:
    """What tells of the error: an object or a text, under `error` or `detail`, alone or first in a list."""
    for _ in range(NESTING_MAX):
        if isinstance(document, list) and document:
            document = document[0]
        elif isinstance(document, dict) and (inner := document.get("error") or document.get("detail")):
            document = inner
    return document


def _place(loc: object) -> str:
    """The field that FastAPI names as `["body", "max_tokens"]`."""
    return _word(loc[-1]) if isinstance(loc, list) and loc else ""


def _meaning(error: Exception) -> Meaning:
    cause = error.__cause__
    # The transport reports a connection that the server closed as a connect time-out; only real time-outs are
    # TimeoutErrors.
    if isinstance(cause, aiohttp.ClientConnectionError) and not isinstance(cause, TimeoutError):
        return "connection"
    for kind in type(error).__mro__:
        if kind in TRANSPORT_ERRORS:
            return TRANSPORT_ERRORS[kind]
    # The transport lets some of aiohttp's own errors through (a malformed answer, for one).
    return "connection" if isinstance(error, aiohttp.ClientError | OSError) else "defect"


def _is_quota(status: int, rejection: Rejection) -> bool:
    return (
        status == httpx.codes.PAYMENT_REQUIRED
        or not QUOTA_WORDS.isdisjoint(rejection.words)
        or (status in {400, 403} and QUOTA_MESSAGE.search(rejection.message) is not None)
    )


def _is_too_long(status: int, rejection: Rejection) -> bool:
    return (
        status == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        or not TOO_LONG_WORDS.isdisjoint(rejection.words)
        or TOO_LONG_MESSAGE.search(rejection.message) is not None
    )


def _word(value: object) -> str:
    """*value* if it is a plain word such as `invalid_api_key`; anything else might carry text of a request."""
    text = str(value) if isinstance(value, str) or (isinstance(value, int) and abs(value) < INTEGER_MAX) else ""
    return text if re.fullmatch(r"[A-Za-z0-9_.-]+", text) and len(text) <= WORD_LENGTH_MAX else ""
