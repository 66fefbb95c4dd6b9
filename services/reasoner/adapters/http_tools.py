"""
Tools that are HTTP endpoints: a call as a request, its answer as a result.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final
from urllib.parse import quote

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from services.reasoner.adapters.answers import Answer, NotAnswered, Refused
from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.secrets import SecretMissing, Secrets
from services.reasoner.domain.tools.results import Came, answered, executed, failed, rejected, unknown
from services.reasoner.settings import OutgoingSection
from shared.errors import HoldfastError
from shared.events.tools import ToolCall
from shared.events.values import bounded
from shared.llm.retry_after import retry_after_seconds
from shared.playbook.tools import HttpCall, Tool

CALL_ID_HEADER: Final = "x-holdfast-call-id"
"""Joins a tool's logs with ours; what makes a repetition harmless is the tool's own idempotency header."""
BODIED: Final = frozenset({"POST", "PUT", "PATCH"})
REPEATABLE: Final = frozenset({"GET", "PUT", "DELETE"})
"""Methods that mean the same once and twice (RFC 9110 §9.2.2)."""
BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
UNTOUCHED: Final = frozenset({425, 429})
"""Of these the ones that say that nothing was done."""
_PLACE: Final = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)\}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as a request, without its headers."""

    url: str
    params: Mapping[str, str]
    body: bytes | None


class _Busy(HoldfastError):
    """An attempt that may succeed when it is made again, and what it comes to if it is not."""

    def __init__(self, came: Came, wait_seconds: float | None = None) -> None:
        super().__init__(came.error)
        self.came = came
        self.wait_seconds = wait_seconds


class _NoRequest(HoldfastError):
    """A value that cannot stand in a request."""


class HttpTools:
    """Calls tools that are declared by `http`."""

    def __init__(
        self, outgoing: Outgoing, secrets: Secrets, settings: OutgoingSection, *, random: Random | None = None
    ) -> None:
        self._outgoing = outgoing
        self._secrets = secrets
        self._settings = settings
        self._random = random or Random()

    async def call(self, tool: Tool, call: ToolCall, *, tenant: str, deadline: float) -> Came:
        """
        What *call* of *tool* came to, by *deadline* (the event loop's clock, seconds); never raises for the tool.

        A call is made again only where that is harmless: where the endpoint recognises its id, or it only reads by a
        method that may be repeated. What is not repeated and may have been executed is `unknown` if it changes
        something.
        """
        http = _declared(tool)
        repeatable = bool(http.idempotency_header) or (not tool.consequential and http.method in REPEATABLE)
        try:
            asked = request_of(http, call.arguments)
            headers = self._secrets.headers(http.headers) | {CALL_ID_HEADER: call.id}
            if http.idempotency_header:
                headers[http.idempotency_header.lower()] = call.id
            retrying = AsyncRetrying(
                retry=retry_if_exception_type(_Busy),
                wait=self._wait,
                stop=lambda state: self._is_last(state, repeatable, deadline),
                sleep=asyncio.sleep,
                reraise=True,
            )
            came: Came = await retrying(self._attempt, tool, asked, headers, tenant, deadline)
        except _Busy as busy:
            return busy.came
        except (Refused, SecretMissing, _NoRequest) as error:
            log.warning("a tool was not called", tool=tool.id, reason=str(error))
            return failed(str(error))
        return came

    async def _attempt(
        self, tool: Tool, asked: Asked, headers: Mapping[str, str], tenant: str, deadline: float
    ) -> Came:
        http = _declared(tool)
        remaining_seconds = deadline - asyncio.get_running_loop().time()
        if remaining_seconds <= 0:
            return failed("no time was left for the call")
        try:
            answer = await self._outgoing.request(
                http.method,
                asked.url,
                tenant=tenant,
                params=asked.params,
                headers=headers if asked.body is None else {"content-type": "application/json", **headers},
                content=asked.body,
                timeout_seconds=min(http.timeout_seconds, remaining_seconds),
                bytes_max=min(http.result_bytes_max, self._settings.answer_bytes_max),
            )
        except NotAnswered as error:
            maybe_done = error.sent and tool.consequential
            came = unknown(str(error)) if maybe_done else failed(str(error))
            if error.reason in {"oversized", "encoded"}:
                # Executed, and answered the same the next time.
                return came
            raise _Busy(came) from error
        return self._read(tool, answer)

    def _read(self, tool: Tool, answer: Answer) -> Came:
        kind = answer.headers.get("content-type", "")
        if answer.status in BUSY:
            came = rejected(answer.status, kind, answer.content)
            if tool.consequential and answer.status not in UNTOUCHED:
                came = unknown(came.error)
            raise _Busy(came, self._asked_wait(answer))
        if 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110 §15.3
            came = answered(kind, answer.content, text_speaks=tool.text_speaks)
            return executed(came, consequential=tool.consequential)
        return rejected(answer.status, kind, answer.content)

    def _asked_wait(self, answer: Answer) -> float | None:
        longest = self._settings.retry_after_max_seconds
        return retry_after_seconds(answer.headers, now=datetime.now(UTC), longest_seconds=longest)

    def _wait(self, state: RetryCallState) -> float:
        first = self._settings.retry_wait_first_seconds
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _Busy) and error.wait_seconds is not None:
            return error.wait_seconds + self._random.uniform(0, first)
        return self._random.uniform(0, first * 2 ** (state.attempt_number - 1))

    def _is_last(self, state: RetryCallState, repeatable: bool, deadline: float) -> bool:
        ends = asyncio.get_running_loop().time() + state.upcoming_sleep
        return not repeatable or state.attempt_number > self._settings.retries_max or ends >= deadline


def request_of(http: HttpCall, arguments: Mapping[str, object]) -> Asked:
    """
    The request that *arguments* make: values in the address are percent-encoded whole, so that none can leave its
    place in it; the rest goes into the query or the body.

    Raises:
        HoldfastError: a value in the address is missing, or would lead to another path even when it is encoded; or a
            value is none that JSON holds.

    """
    try:
        arguments = {name: bounded(value) for name, value in arguments.items()}
    except ValueError as error:
        raise _NoRequest(f"no request can be made of the values: {error}") from None
    in_url = set(_PLACE.findall(http.url))
    url = _PLACE.sub(lambda found: _segment(found[1], arguments.get(found[1])), http.url)
    bodied = http.method in BODIED
    rest = {name: value for name, value in arguments.items() if name not in in_url}
    in_query = {name: _shown(value) for name, value in rest.items() if name in http.query or not bodied}
    body = {name: value for name, value in rest.items() if name not in in_query}
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() if bodied else None
    return Asked(url, in_query, content)


def _segment(name: str, value: object) -> str:
    text = _shown(value)
    # Encoded dots count as dots (RFC 3986 §6.2.2.2), so `..` would lead to the path above.
    if text.strip(".") == "":
        raise _NoRequest(f"the value of {name!r} cannot stand in an address")
    return quote(text, safe="")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _declared(tool: Tool) -> HttpCall:
    if tool.http is None:
        raise TypeError(f"tool {tool.id} is not declared by `http`")
    return tool.http
