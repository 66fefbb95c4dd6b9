"""
The rehearsal model as an OpenAI-compatible server, on loopback unless told otherwise: `/v1/chat/completions`,
`/v1/embeddings`, `/v1/models`, `/healthz`, and `/stats`, which tells how many calls were answered and how many of them
had been answered before.
"""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import structlog
from aiohttp import web

from shared.llm.rehearsal.answering import Question, answer, http_fault, read_question
from shared.llm.rehearsal.embedding import embedded
from shared.llm.rehearsal.faults import HttpFault, Reply
from shared.llm.rehearsal.rules import Rule, load_rules
from shared.llm.rehearsal.settings import RehearsalSettings
from shared.llm.tokens import estimate_tokens

LOOPBACK = "127.0.0.1"
MODEL = "rehearsal"
BACKLOG = 4_096
REQUEST_BYTES_MAX = 16 * 1_048_576
FAILED_KEPT_MAX = 65_536
"""Requests remembered as having met an error; the oldest is forgotten, and then meets its first draw again."""
KNOWN_KEPT_MAX = 1_000_000
"""Requests remembered so that repetitions can be counted."""
HEADERS: Final[Mapping[str, str]] = {"x-holdfast-model": MODEL}

log = structlog.get_logger(__name__)


class RehearsalServer:
    """
    A server of the rehearsal model; an async context manager, or `start` and `stop`.

    *rules* (default: all that `load_rules` finds) answer by schema name; *on_question* is told of each question;
    port 0 takes a free one.
    """

    def __init__(
        self,
        settings: RehearsalSettings,
        *,
        rules: Mapping[str, Rule] | None = None,
        on_question: Callable[[Question], None] = lambda _: None,
        host: str = LOOPBACK,
        port: int = 0,
    ) -> None:
        self._settings = settings
        self._rules = load_rules() if rules is None else rules
        self._on_question = on_question
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._failed: OrderedDict[bytes, int] = OrderedDict()
        self._answered = 0
        self._repeated = 0
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The base address to give as `HOLDFAST_LLM_URL`; known once started."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def requests_answered(self) -> int:
        """Completions sent since the start, errors not counted."""
        return self._answered

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/stats", self._stats)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, backlog=BACKLOG)
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._port = runner.addresses[0][1]
        self._runner = runner
        log.info("the rehearsal model listens; no quality figure may come from it", url=self.url)

    async def stop(self) -> None:
        """Stop listening and drop open connections; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.read()
        if status := self._draw_fault(body):
            return self._error(status)
        try:
            question = read_question(body)
            self._on_question(question)
            reply = answer(question, body, self._rules, self._settings)
        except ValueError as error:
            return _json({"error": {"type": "invalid_request_error", "code": None, "message": str(error)}}, status=400)
        output_tokens = estimate_tokens(len(reply.text))
        delay = self._settings.base_latency_seconds + output_tokens * self._settings.seconds_per_output_token
        if delay:
            await asyncio.sleep(delay)
        self._count(request.headers.get("x-client-request-id", "").encode() + body)
        return _json(_completion(question, reply, output_tokens))

    def _draw_fault(self, body: bytes) -> HttpFault | None:
        if not self._settings.error_rate:
            return None
        digest = hashlib.blake2b(body, digest_size=16).digest()
        seen = self._failed.pop(digest, 0)
        fault = http_fault(body, seen, self._settings)
        if fault:
            self._failed[digest] = seen + 1
            if len(self._failed) > FAILED_KEPT_MAX:
                self._failed.popitem(last=False)
        return fault

    def _error(self, status: HttpFault) -> web.Response:
        rate_limited = status == web.HTTPTooManyRequests.status_code
        kind = "rate_limit_exceeded" if rate_limited else "server_error"
        response = _json({"error": {"type": kind, "code": kind, "message": "an error by rehearsal"}}, status=status)
        if rate_limited:
            response.headers["retry-after-ms"] = str(round(self._settings.retry_after_seconds * 1_000))
        return response

    def _count(self, body: bytes) -> None:
        self._answered += 1
        digest = hashlib.blake2b(body, digest_size=8).digest()
        if digest in self._known:
            self._repeated += 1
        self._known[digest] = None
        if len(self._known) > KNOWN_KEPT_MAX:
            self._known.popitem(last=False)

    async def _stats(self, _: web.Request) -> web.Response:
        return _json({"calls": self._answered, "repeated": self._repeated})

    async def _embed(self, request: web.Request) -> web.Response:
        try:
            document = embedded(await request.json(), MODEL)
        except ValueError as error:
            return _json({"error": {"type": "invalid_request_error", "code": None, "message": str(error)}}, status=400)
        return _json(document)

    async def _models(self, _: web.Request) -> web.Response:
        return _json({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "holdfast"}]})

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n", headers=HEADERS)


def _completion(question: Question, reply: Reply, output_tokens: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    return {
        "id": f"chatcmpl-{MODEL}",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "system_fingerprint": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
        "usage": {
            "prompt_tokens": question.input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": question.input_tokens + output_tokens,
        },
    }


def _json(document: Mapping[str, Any], *, status: int = 200) -> web.Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return web.Response(body=body, status=status, content_type="application/json", headers=HEADERS)
