"""
The language model of the simulation: the rehearsal model's rules, asked in process, with what an endpoint does wrong.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any

from services.reasoner.domain.tools.blueprints import NAME as TOOLS_QUESTION
from shared.llm.base import Completion, Request, Usage
from shared.llm.errors import DeadlineExceeded, InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.rehearsal.answering import Question, answer
from shared.llm.rehearsal.rules import Rule, load_rules
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.tokens import estimate_tokens
from tests.simulation.loop import PROCESS
from tests.simulation.plan import Weather
from tests.simulation.trace import Trace
from tests.simulation.watcher import Watcher

SLOW_SECONDS_MAX = 8.0
WAIT_SECONDS_MAX = 2.0
NOT_NOW_RATE = 0.2
_WHY = ("lost", "stolen", "other")
_SETTINGS = RehearsalSettings(hallucination_rate=0.25)
_SPOILT = ("", "{", '{"segments": 3}', "Sure! Here is your answer.", "null", '{"checks": [NaN]}')


class SimulatedModel:
    """The endpoint of all processes: a `LanguageModel`."""

    def __init__(self, chance: Random, weather: Weather, trace: Trace, watcher: Watcher) -> None:
        self._chance = chance
        self.weather = weather
        self._trace = trace
        self._watcher = watcher

    async def complete(self, request: Request) -> Completion:
        """
        The rules' answer, or what the endpoint does instead.

        Raises:
            ModelUnavailable, ModelRefused: as the weather wants it.

        """
        self._watcher.asked(request, PROCESS.get())
        self._trace.note("ask", f"{request.purpose} {request.schema_name} turn {request.request_id[:8]}")
        await self._take_time(request)
        if self._chance.random() < self.weather.model_fault_rate:
            return self._fail(request)
        texts = tuple(message.content for message in request.messages)
        text = _answered(request.schema_name, texts, _Schema(request.schema))
        if request.schema_name == TOOLS_QUESTION and self._chance.random() < self.weather.model_waver_rate:
            text = self._wavering(text)
        return Completion(text, "stop", Usage(100, estimate_tokens(len(text)), calls=1), "rehearsal")

    def _wavering(self, text: str) -> str:
        """Another answer about the tools than the last time: other arguments, or no call."""
        answer = json.loads(text)
        for said in answer.values():
            if not isinstance(said, dict) or "calls" not in said:
                continue
            if self._chance.random() < NOT_NOW_RATE:
                said |= {"decision": "not_now", "calls": []}
            for call in said["calls"]:
                call["why"] = {"evidence": "", "value": self._chance.choice(_WHY), "status": "given"}
        self._trace.note("model", "wavers")
        return json.dumps(answer)

    async def _take_time(self, request: Request) -> None:
        seconds = self.weather.model_seconds * (0.5 + self._chance.random())
        if self._chance.random() < self.weather.model_slow_rate:
            seconds = SLOW_SECONDS_MAX * self._chance.random()
        left = request.deadline - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, min(seconds, left)))
        if seconds >= left:
            self._trace.note("model", "timeout")
            raise DeadlineExceeded("the answer did not come in time")

    def _fail(self, request: Request) -> Completion:
        kind = self._chance.choice(("rate_limited", "server_error", "timeout", "refused", "oversized", "spoilt", "cut"))
        self._trace.note("model", kind)
        usage = Usage(100, 1, calls=1)
        match kind:
            case "refused":
                raise ModelRefused("bad_request", "the endpoint rejects the request")
            case "oversized":
                raise InvalidAnswer("oversized", "the answer is too long", usage=usage)
            case "spoilt":
                return Completion(self._chance.choice(_SPOILT), "stop", usage, "rehearsal")
            case "cut":
                return Completion('{"checks": [', "length", usage, "rehearsal")
        wait = WAIT_SECONDS_MAX * self._chance.random() if kind == "rate_limited" else None
        raise ModelUnavailable(kind, f"the endpoint says {kind} to {request.purpose}", retry_after_seconds=wait)


class _Schema:
    """A schema as a part of a cache's key: its name, which is the other part, says all."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Schema) and self.schema == other.schema


@lru_cache(maxsize=1)
def _rules() -> dict[str, Rule]:
    return load_rules()


@lru_cache(maxsize=20_000)
def _answered(schema_name: str, texts: tuple[str, ...], schema: _Schema) -> str:
    question = Question(schema_name, schema.schema, texts, 0)
    return answer(question, "\x1e".join(texts).encode(), _rules(), _SETTINGS).text
