"""
A tenant's own endpoint that answers as a hostile one would: tools, a retriever and an MCP server on loopback.
"""

import asyncio
import json
import random
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from services.operator.faults.mutation import mutated, mutated_text
from shared.playbook.model import Playbook

STALL_SECONDS = 30.0
STALLED_SHARE = 0.02
BROKEN_SHARE = 0.05
"""Of the requests, those whose connection breaks in the middle of the answer."""
TOOL_SECONDS_MAX = 1.0
STATUSES: Final = (200, 200, 200, 200, 201, 204, 302, 400, 404, 429, 500, 503)
KINDS: Final = ("application/json", "application/json", "text/plain", "text/event-stream", "application/x-nonsense", "")
_CHANNELS: Final = {
    "data": {"fee": "3.50"},
    "metadata": {"trace": 1},
    "fields": {"fee": "3.50"},
    "guidelines": [{"condition": "It was looked up", "action": "Say when"}],
    "mode": "auto",
}
_ANSWERS: Final = tuple(
    json.dumps(answer).encode()
    for answer in (
        {"fee": "3.50", "since": "2026-01-01"},
        {"holdfast": _CHANNELS},
        ["a", "b", {"c": None}],
        {"documents": [{"text": "The account costs 3.50 euros.", "source": "https://pages.example/1"}]},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "3.50"}], "isError": False}},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": [], "structuredContent": {"fee": "3.50"}}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no"}},
    )
)
_BEGUN: Final = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "w", "version": "1"},
}


class HostileEndpoint:
    """
    An async context manager; `url` is its address, `asked` counts the requests that it answered with a hostile answer.
    """

    def __init__(self, *, seed: int) -> None:
        self._random = random.Random(f"{seed} endpoint")
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.asked = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        # A session that cannot even begin tests nothing behind its beginning.
        if (begun := _beginning(content)) is not None and self._random.random() < 0.8:  # noqa: PLR2004  a share
            return begun
        self.asked += 1
        draw = self._random.random()
        if draw < STALLED_SHARE:
            await asyncio.sleep(STALL_SECONDS)
        try:
            response = await self._answer(request)
        except ConnectionResetError:
            return web.Response(status=504)  # to nobody: the caller has given up, as it should
        if STALLED_SHARE < draw < STALLED_SHARE + BROKEN_SHARE and request.transport is not None:
            request.transport.abort()
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        source = self._random
        body = mutated(source.choice(_ANSWERS), source, _ANSWERS)
        kind = source.choice(KINDS)
        if kind == "text/event-stream":
            body = b"event: message\ndata: " + body + b"\n\n"
        response = web.StreamResponse(status=source.choice(STATUSES))
        response.headers["content-type"] = kind
        value = mutated_text("session", source).encode("ascii", "ignore").decode()
        response.headers["mcp-session-id"] = "".join(letter for letter in value if letter.isprintable())[:2_000]
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body)
        return response


def _beginning(content: bytes) -> web.Response | None:
    """The ordinary answer to what begins a session, where *content* does."""
    try:
        asked = json.loads(content)
    except ValueError:
        return None
    method = asked.get("method") if isinstance(asked, dict) else None
    if method == "initialize":
        return web.json_response({"jsonrpc": "2.0", "id": asked.get("id"), "result": _BEGUN})
    return web.Response(status=202) if method == "notifications/initialized" else None


def calling(playbook: Playbook, url: str) -> Playbook:
    """*playbook* with a retriever that is always asked, and tools that every guideline uses, all at *url*."""
    document: dict[str, Any] = playbook.model_dump(mode="json", exclude_defaults=True)
    way = {"timeout_seconds": TOOL_SECONDS_MAX}
    document["tools"] = [
        {"id": "hostile-http", "description": "Look it up", "http": {"url": f"{url}/http", **way}},
        {"id": "hostile-mcp", "description": "Look it up there", "mcp": {"url": f"{url}/mcp", **way}},
    ]
    document["retrievers"] = [{"id": "hostile-pages", "url": f"{url}/pages", **way}]
    for guideline in document["guidelines"]:
        guideline["tools"] = ["hostile-http", "hostile-mcp"]
    return Playbook.model_validate(document)
