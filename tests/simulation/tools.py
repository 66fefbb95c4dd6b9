"""
The endpoints that the simulated tenants' tools call: what `Outgoing` is to the real reasoner, with seeded trouble.

A request travels by itself: once it was sent, it arrives and takes effect though the process that sent it was killed,
was told to stop, or no longer waits; or it never arrives, and the sender cannot tell the two apart. An endpoint that is
given an idempotency key answers a repetition with what it answered first; one that is not takes each request for a new
one.
"""

import asyncio
import json
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from services.reasoner.adapters.answers import Answer, NotAnswered
from services.reasoner.adapters.http_tools import CALL_ID_HEADER
from tests.simulation.effects import Effects, Request
from tests.simulation.loop import PROCESS
from tests.simulation.plan import Weather
from tests.simulation.playbooks import IDEMPOTENCY_HEADER, READS, canary
from tests.simulation.trace import Trace

SLOW_SECONDS_MAX = 3.0
_UNTOUCHED = {"limited": 429, "busy": 503, "rejected": 422}
"""Answers of an endpoint that did nothing, by their HTTP status; a reader of `busy` cannot know."""
_NEVER_ARRIVES = frozenset({"no_connection", "lost", *_UNTOUCHED})
_ARRIVES = ("unheard", "oversized", "broken", "garbage")
TROUBLES = (*sorted(_NEVER_ARRIVES), *_ARRIVES)
MANUAL_RATE = 0.04
"""Of the answers, those that ask that people take over."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request under way: what trouble it meets, and when it arrives and is answered, seconds from now."""

    request: Request
    trouble: str
    arrives_seconds: float
    takes_seconds: float


class Endpoints:
    """All of them. *effects* judges what is asked of them, and what they do."""

    def __init__(self, chance: Random, weather: Weather, trace: Trace, effects: Effects) -> None:
        self.weather = weather
        self._chance = chance
        self._trace = trace
        self._effects = effects
        self._context = copy_context()
        self._answers: dict[str, bytes] = {}
        self._receipts = 0

    async def request(
        self,
        method: str,
        url: str,
        *,
        tenant: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_seconds: float,
        bytes_max: int,
    ) -> Answer:
        """
        See `Outgoing.request`.

        Raises:
            NotAnswered: as the weather wants it.

        """
        del method, tenant, bytes_max
        sent = self._send(_read(url, headers or {}, params or {}, content))
        await asyncio.sleep(min(sent.takes_seconds, timeout_seconds))
        if sent.takes_seconds >= timeout_seconds:
            raise NotAnswered("timeout", "no answer in time", sent=True)
        match sent.trouble:
            case "no_connection":
                raise NotAnswered("connection", "no connection", sent=False)
            case "lost" | "unheard":
                raise NotAnswered("connection", "the connection broke", sent=True)
            case "oversized":
                raise NotAnswered("oversized", "the answer is too long", sent=True)
            case "broken":
                return Answer(500, httpx.Headers(), b"")
            case "garbage":
                return Answer(200, httpx.Headers({"content-type": "application/json"}), b"{")
            case trouble if trouble in _UNTOUCHED:
                return Answer(_UNTOUCHED[trouble], httpx.Headers(), b"")
        return Answer(200, httpx.Headers({"content-type": "application/json"}), self._answer(sent.request))

    def _send(self, request: Request) -> _Sent:
        trouble = ""
        if self._chance.random() < self.weather.tool_fault_rate:
            trouble = self._chance.choice(TROUBLES)
        takes_seconds = self.weather.tool_seconds * (0.5 + self._chance.random())
        if self._chance.random() < self.weather.tool_slow_rate:
            takes_seconds = SLOW_SECONDS_MAX * self._chance.random()
        sent = _Sent(request, trouble, takes_seconds * self._chance.random(), takes_seconds)
        self._trace.note("request", f"{request} {trouble}".rstrip())
        self._effects.requested(request, PROCESS.get())
        if trouble not in _NEVER_ARRIVES:
            asyncio.get_running_loop().call_later(sent.arrives_seconds, self._arrive, request, context=self._context)
        return sent

    def _arrive(self, request: Request) -> None:
        if request.tool in READS or (request.key and request.key in self._answers):
            return
        self._receipts += 1
        self._trace.note("effect", str(request))
        self._effects.happened(request)
        self._answers[request.key or request.call_id] = self._said({"receipt": f"R{self._receipts}"}, request.tenant)

    def _answer(self, request: Request) -> bytes:
        if request.tool in READS:
            return self._said({"fee": "3.50 euros a month"}, request.tenant)
        return self._answers[request.key or request.call_id]

    def _said(self, data: dict[str, Any], tenant: str) -> bytes:
        said: dict[str, Any] = {**data, "by": canary(tenant)}
        if self._chance.random() < MANUAL_RATE:
            said = {"holdfast": {"data": said, "mode": "manual"}}
        return json.dumps(said).encode()


def _read(url: str, headers: Mapping[str, str], params: Mapping[str, str], content: bytes | None) -> Request:
    parts = urlsplit(url)
    arguments: dict[str, Any] = dict(params) or dict(parse_qsl(parts.query))
    if content:
        arguments = json.loads(content)
    return Request(
        tenant=(parts.hostname or "").partition(".")[0],
        tool=parts.path.strip("/"),
        arguments=json.dumps(arguments, sort_keys=True),
        call_id=headers[CALL_ID_HEADER],
        key=headers.get(IDEMPOTENCY_HEADER, ""),
    )
