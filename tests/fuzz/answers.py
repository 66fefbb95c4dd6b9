"""
The door of answers: what endpoints of tools, retrievers and MCP servers answer, through the reasoner to its draft, and
on to the ledger.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from services.conversations.domain.speakers import RESULT_TOPICS
from services.reasoner.adapters.guard import Outgoing
from services.reasoner.adapters.http_retriever import HttpRetrievers
from services.reasoner.adapters.runners import Runners
from services.reasoner.calling import Calling
from services.reasoner.domain.tools.results import answered
from services.reasoner.metrics import ReasonerMetrics, ToolMetrics
from services.reasoner.settings import OutgoingSection, ReasonerSection
from services.reasoner.stage import Reasoning
from shared.errors import Retryable
from shared.events import topics, turns
from shared.events.envelope import Address
from shared.events.tools import Grant, ToolCall, ToolStatus
from shared.stage.base import Output, Record
from tests.fuzz.desk import HOST, KEY, KEY_FILE, NOW_MS, Rehearsed, directory, opened
from tests.fuzz.door import OWNER, Broken, Door
from tests.fuzz.entry import Entry
from tests.fuzz.ledger_world import LedgerWorld, of_event
from tests.fuzz.results import clock, readable, stage

PATHS = {"tariff": "/tariff", "block": "/block", "rates": "/rates", "notice": "/notice", "pages": "/pages"}
INITIALIZED = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "world", "version": "1"},
}
_METRICS, _TOOLS = ReasonerMetrics(CollectorRegistry()), ToolMetrics(CollectorRegistry())


class Endpoints(httpx.AsyncBaseTransport):
    """
    What answers instead of the network: `entry` to what it is meant for, and to everything else something ordinary.
    """

    def __init__(self) -> None:
        self.entry = Entry("", b"")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to *request*."""
        name = request.url.path.strip("/")
        kind, _, part = self.entry.kind.partition(" ")
        meant = kind == name
        content = await request.aread()
        if name in {"rates", "notice"}:
            return self._mcp(content, part if meant else "")
        if meant:
            return response(self.entry)
        return _ordinary([] if name == "pages" else {"fee": "3.50"})

    def _mcp(self, content: bytes, part: str) -> httpx.Response:
        asked = json.loads(content) if content else {}
        method = asked.get("method", "")
        if method == "initialize":
            if part == "initialize":
                return response(self.entry)
            return _ordinary({"jsonrpc": "2.0", "id": asked["id"], "result": INITIALIZED})
        if method == "tools/call":
            if part in {"call", "stream"}:
                return response(self.entry)
            result = {"content": [{"type": "text", "text": "3.50"}]}
            return _ordinary({"jsonrpc": "2.0", "id": asked["id"], "result": result})
        return response(Entry("", b"", status=202))


def _ordinary(body: Any) -> httpx.Response:
    return response(Entry("", json.dumps(body).encode(), headers=JSON))


def response(entry: Entry) -> httpx.Response:
    """*entry* as an answer that is not read yet."""
    headers = [
        (name.encode("ascii", "ignore"), value)
        for name, value in entry.headers
        if value is not None and name and name.lower() != "content-encoding"
    ]
    return httpx.Response(entry.status, headers=headers, stream=_Stream(entry.body or b""))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self):
        yield self._body


class Answers:
    """A session of one turn, whose tools and retriever answer."""

    async def enter(self, entry: Entry) -> bool:
        """See `Session.enter`."""
        reasoning, endpoints = _reasoner()
        endpoints.entry = entry
        changing = entry.kind.split(" ")[0] in {"block", "notice"}
        outputs = await self._handle(reasoning, _turn(entry.kind, changing=changing))
        for output in outputs:
            readable(output)
            if KEY.encode() in (output.value or b""):
                raise Broken(f"a record of {output.topic} holds a secret that an endpoint repeated")
            if output.topic in RESULT_TOPICS:
                _told(output)
        return _is_read(entry)

    async def _handle(self, reasoning: Reasoning, entry: Entry) -> Sequence[Output]:
        work = stage("reasoner", reasoning, topics.TURNS_MATCHED)
        record = Record(entry.kind, 0, 1, NOW_MS, entry.key, entry.body, entry.headers)
        try:
            return await work.handle(record)
        except Retryable as error:
            raise Broken("an endpoint's answer makes a turn be tried again") from error


def _told(output: Output) -> None:
    """What the reasoner tells of calls is what the ledger takes."""
    world = LedgerWorld.prepared()
    letters = [
        one
        for one in world.take(Entry(output.topic, output.value, output.key, output.headers))
        if one.topic == topics.DEAD_LETTERS
    ]
    if letters:
        raise Broken(f"the ledger refuses what the reasoner tells: {dict(letters[0].headers)}")


def _is_read(entry: Entry) -> bool:
    """Whether the body is one that the endpoint's first reader takes."""
    kind = {name.lower(): value for name, value in entry.headers}.get("content-type") or b""
    if entry.kind.partition(" ")[2]:
        try:
            body = (entry.body or b"").partition(b"data: ")[2] if b"event-stream" in kind else entry.body
            return isinstance(json.loads(body or b"").get("jsonrpc"), str)
        except (ValueError, RecursionError, AttributeError):
            return False
    return answered(kind.decode("latin-1"), entry.body or b"").status is ToolStatus.DONE


@lru_cache(maxsize=1)
def _reasoner() -> tuple[Reasoning, Endpoints]:
    folder = Path(mkdtemp(prefix="fuzz-secrets-"))
    (folder / KEY_FILE).write_text(KEY)
    section = OutgoingSection(allowed_hosts=HOST, secrets_directory=str(folder), retries_max=0)
    outgoing, endpoints = Outgoing(section), Endpoints()
    outgoing.transport._inner = endpoints
    model = Rehearsed()
    runners = Runners(outgoing, section)
    runners._mcp = runners._load_mcp()
    calling = Calling(model, runners, ReasonerSection(), _TOOLS, clock)
    finder = HttpRetrievers(outgoing, section, _METRICS, clock)
    return Reasoning(model, directory(), ReasonerSection(), _METRICS, clock, calling, finder), endpoints


@lru_cache(maxsize=16)
def _turn(kind: str, *, changing: bool) -> Entry:
    """A matched turn in which the tool of *kind* is called: with a grant, where it changes something."""
    tool = kind.split(" ", maxsplit=1)[0]
    call = ToolCall(id="call-1", tool=tool, arguments={"why": "lost"})
    grants = (Grant(call=call),) if tool == "block" else ()
    active = {"tariff": ("cost",), "rates": ("cost",), "pages": ("transfer",)}.get(tool, ("card",))
    body = turns.TurnMatched(opened=opened(conversation="c-1", grants=grants), matching=turns.Matching(active=active))
    return of_event(Address(OWNER, "c-1"), "turn.matched", body, f"x-{kind}", topics.TURNS_MATCHED, "matcher")


JSON = (("content-type", b"application/json"),)
TEXT = (("content-type", b"text/plain; charset=utf-8"),)


def samples() -> Sequence[Entry]:
    """Answers of every form, to every kind of question."""
    channels = {
        "data": {"fee": "3.50", "list": [1, 2.5, None, True]},
        "metadata": {"trace": 1},
        "fields": {"fee": "3.50"},
        "guidelines": [{"condition": "It was looked up", "action": "Say when"}],
        "mode": "auto",
    }
    bodies: list[Any] = [{"fee": "3.50", "since": "2026-01-01"}, {"holdfast": channels}, ["a", "b"], "3.50", 3.5, None]
    found = [Entry(tool, json.dumps(body).encode(), headers=JSON) for tool in ("tariff", "block") for body in bodies]
    found += [Entry("tariff", f'"{KEY}"'.encode(), headers=JSON), Entry("tariff", b"3.50 euros", headers=TEXT)]
    found += [Entry("tariff", json.dumps({"holdfast": channels}).encode())]
    pages = [{"text": "The account costs 3.50 euros.", "source": "https://pages.example/1"}, {"text": KEY}]
    found += [Entry("pages", json.dumps(body).encode(), headers=JSON) for body in (pages, {"documents": pages}, [])]
    return [*found, *_mcp_samples()]


def _mcp_samples() -> Sequence[Entry]:
    results: list[dict[str, Any]] = [
        {"content": [{"type": "text", "text": "3.50"}], "isError": False},
        {"content": [], "structuredContent": {"fee": "3.50"}},
        {"content": [{"type": "text", "text": '{"holdfast": {"data": 1}}'}], "structuredContent": {"result": [1]}},
        {
            "content": [
                {"type": "resource", "resource": {"uri": "a://b", "mimeType": "text/plain", "text": "3.50"}},
                {"type": "image", "data": "aGk=", "mimeType": "image/png"},
                {"type": "resource_link", "uri": "https://a.example/", "name": "a"},
            ]
        },
    ]
    found: list[Entry] = []
    for result in results:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
        found.append(Entry("rates call", body, headers=JSON))
        stream = b"event: message\ndata: " + body + b"\n\n"
        found.append(Entry("rates stream", stream, headers=(("content-type", b"text/event-stream"),)))
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no", "data": {"a": 1}}}
    begun = {"jsonrpc": "2.0", "id": 0, "result": INITIALIZED}
    return [
        *found,
        Entry("rates call", json.dumps(error).encode(), headers=JSON),
        Entry("rates initialize", json.dumps(begun).encode(), headers=(*JSON, ("mcp-session-id", b"s-1"))),
    ]


DOOR = Door("answers", "answers of tools, retrievers and MCP servers", samples, Answers)
