"""
The door of model answers: what an endpoint says to a matcher, a reasoner, a verifier, through the adapter of its API.
"""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from services.conversations.domain.speakers import RESULT_TOPICS
from services.matcher.metrics import MatcherMetrics
from services.matcher.settings import MatchingSettings
from services.matcher.stage import Matcher
from services.reasoner.metrics import ReasonerMetrics
from services.reasoner.settings import ReasonerSection
from services.reasoner.stage import Reasoning
from services.verifier.metrics import VerifierMetrics
from services.verifier.settings import VerifierSection
from services.verifier.stage import Verifying
from shared.errors import Retryable
from shared.events import codec, topics, turns
from shared.events.envelope import Address
from shared.llm.adapter import HttpModel
from shared.llm.base import Completion, Message, Request
from shared.llm.embeddings import WIRE as EMBEDDINGS
from shared.llm.embeddings import EmbeddingsSettings, unpacked
from shared.llm.errors import InvalidAnswer, ModelRefused, ModelUnavailable
from shared.llm.settings import LlmSettings
from shared.stage.base import Output, Record
from shared.stage.metrics import StageMetrics
from shared.stage.settings import StageSettings
from shared.stage.turn_stage import TurnStage
from tests.fuzz.answers import response
from tests.fuzz.desk import NOW_MS, answered, directory
from tests.fuzz.door import CANARY, OWNER, Broken, Door
from tests.fuzz.entry import Entry
from tests.fuzz.ledger_world import LedgerWorld, of_event, open_turns
from tests.fuzz.results import clock, readable

PROVIDERS = ("openai", "anthropic")
STAGES = ("matcher", "reasoner", "verifier")
CALLS = {"matcher": 1, "reasoner": 1, "verifier": 3}
"""Which of a stage's calls may be answered by an entry."""
JSON = (("content-type", b"application/json"),)
_METRICS = {stage: StageMetrics(CollectorRegistry(), stage) for stage in STAGES}
_OF = (
    MatcherMetrics(CollectorRegistry()),
    ReasonerMetrics(CollectorRegistry()),
    VerifierMetrics(CollectorRegistry()),
)
_SETTINGS = StageSettings()


class Endpoint(httpx.AsyncBaseTransport):
    """Answers as the rehearsal model would, but one call, which *entry* answers; keeps what it answered."""

    def __init__(self, provider: str, entry: Entry | None = None, nth: int = -1) -> None:
        self._provider = provider
        self._entry = entry
        self._nth = nth
        self._calls = 0
        self.kept: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to *request*."""
        asked = await request.aread()
        if CANARY.encode() in asked:
            raise Broken("a prompt of one tenant holds a word of the other")
        number, self._calls = self._calls, self._calls + 1
        if self._entry is not None and number == self._nth:
            return response(self._entry)
        body = _said(self._provider, json.loads(asked))
        self.kept.append(body)
        return response(Entry("", body, headers=JSON))


def _said(provider: str, asked: dict[str, Any]) -> bytes:
    name, schema, texts = _question(provider, asked)
    text = answered(name, texts, schema)
    if provider == "openai":
        message = {"role": "assistant", "content": text, "refusal": None}
        answer: dict[str, Any] = {
            "id": "c-1",
            "model": "m-1",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }
    else:
        answer = {
            "id": "c-1",
            "model": "m-1",
            "type": "message",
            "stop_reason": "end_turn",
            "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 0},
        }
    return json.dumps(answer).encode()


_ASKED: list[Request] = []
"""The request under way: Anthropic's API has no place for the name of a schema."""


def _question(provider: str, asked: dict[str, Any]) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    request = _ASKED[-1]
    return request.schema_name, request.schema, tuple(message.content for message in request.messages)


class _Counting:
    """The model of *endpoint*; `decoded` tells that its first decoder took the answer of the entry."""

    def __init__(self, provider: str, endpoint: Endpoint, nth: int) -> None:
        settings = LlmSettings(provider=provider)
        self._model = HttpModel(settings, transport=endpoint)
        self._nth = nth
        self._calls = 0
        self.decoded = False

    async def complete(self, request: Request) -> Completion:
        """See `LanguageModel.complete`."""
        _ASKED.append(request)
        try:
            number, self._calls = self._calls, self._calls + 1
            found = await self._model.complete(request)
            self.decoded |= number == self._nth
            return found
        finally:
            _ASKED.pop()


class Models:
    """A session of one turn in one stage."""

    async def enter(self, entry: Entry) -> bool:
        """See `Session.enter`."""
        name, provider, nth = entry.kind.split(" ")
        if name == "embeddings":
            return await _vectors(entry)
        model = _Counting(provider, Endpoint(provider, entry, int(nth)), int(nth))
        for output in await _handled(name, model):
            readable(output)
            if output.topic in RESULT_TOPICS:
                _closed(output)
        return model.decoded


async def _handled(name: str, model: Any) -> Sequence[Output]:
    topic, work = _work(name, model)
    stage = TurnStage(name, work, inputs=[topic], settings=_SETTINGS, metrics=_METRICS[name], clock=clock)
    entry = _input(name)
    try:
        return await stage.handle(Record(topic, 0, 1, NOW_MS, entry.key, entry.body, entry.headers))
    except Retryable:
        return ()


def _work(name: str, model: Any) -> tuple[str, Any]:
    matching, drafting, verifying = _OF
    if name == "matcher":
        return topics.TURNS_OPENED, Matcher(model, directory(), MatchingSettings(), matching, clock=clock)
    if name == "reasoner":
        return topics.TURNS_MATCHED, Reasoning(model, directory(), ReasonerSection(), drafting, clock)
    return topics.TURNS_DRAFTED, Verifying(model, directory(), VerifierSection(), verifying, clock)


def _closed(output: Output) -> None:
    """What ends the turn is what the ledger takes."""
    world = LedgerWorld.prepared()
    written = world.take(Entry(output.topic, output.value, output.key, output.headers))
    if letters := [one for one in written if one.topic == topics.DEAD_LETTERS]:
        raise Broken(f"the ledger refuses what a stage finished: {dict(letters[0].headers)['x-holdfast-reason']!r}")


async def _vectors(entry: Entry) -> bool:
    settings = EmbeddingsSettings(url="https://model.example/v1")
    model = HttpModel(settings, wire=EMBEDDINGS, transport=Endpoint("openai", entry, 0))
    deadline = asyncio.get_running_loop().time() + 5.0
    request = Request("embed", OWNER, (Message("user", "fee"), Message("user", "card")), "", {}, deadline)
    try:
        found = await model.complete(request)
    except (ModelUnavailable, ModelRefused, InvalidAnswer):
        return False
    if unpacked(found.text, 2).shape[0] != 2:
        raise Broken("two texts have not two vectors")
    return True


@lru_cache(maxsize=3)
def _input(name: str) -> Entry:
    """What *name* reads of the turn that is open in the ledger's world."""
    held = open_turns()[0]
    if name == "matcher":
        kind, body, topic = "turn.opened", held, topics.TURNS_OPENED
    elif name == "reasoner":
        kind, topic = "turn.matched", topics.TURNS_MATCHED
        body = turns.TurnMatched(opened=held, matching=turns.Matching(active=("cost", "card", "transfer")))
    else:
        kind, topic = "turn.drafted", topics.TURNS_DRAFTED
        [output] = _recorded("reasoner", "openai")[1]
        body = codec.decode(topics.TOPICS[topic].types, output.key, output.headers, output.value).data
    return of_event(Address(OWNER, held.turn.conversation), kind, body, f"in-{name}", topic, "matcher")


def _recorded(name: str, provider: str) -> tuple[Sequence[bytes], Sequence[Output]]:
    """What the rehearsal model says to *name*, and what follows; in a loop of its own."""
    endpoint = Endpoint(provider)
    with ThreadPoolExecutor(1) as aside:
        outputs = aside.submit(asyncio.run, _handled(name, _Counting(provider, endpoint, -1))).result()
    return endpoint.kept, outputs


@lru_cache(maxsize=1)
def samples() -> Sequence[Entry]:
    """What the rehearsal model answers to each stage by each API, and what endpoints say otherwise."""
    found: list[Entry] = []
    for name in STAGES:
        _input(name)
        for provider in PROVIDERS:
            kept, _ = _recorded(name, provider)
            found += [
                Entry(f"{name} {provider} {nth}", body, headers=JSON) for nth, body in enumerate(kept[: CALLS[name]])
            ]
    error = {"error": {"message": "no", "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported"}}
    found.append(Entry("reasoner openai 0", json.dumps(error).encode(), headers=JSON, status=400))
    found.append(Entry("reasoner openai 0", b'{"detail": [{"loc": ["body"], "msg": "no"}]}', headers=JSON, status=422))
    vectors = {
        "data": [{"index": n, "embedding": [0.1, 0.2, 0.3]} for n in range(2)],
        "model": "e-1",
        "usage": {"prompt_tokens": 2},
    }
    found.append(Entry("embeddings openai 0", json.dumps(vectors).encode(), headers=JSON))
    return found


DOOR = Door("models", "answers of model endpoints, to every stage", samples, Models)
