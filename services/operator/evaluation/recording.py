"""
A proxy on loopback before an OpenAI-compatible endpoint, which keeps answers and gives them again.

An answer is found by the request's bytes and its `x-client-request-id`: the same question in another repeat is another
draw of the model, and the same repeat in another run is the same one.
"""

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from aiohttp import web

from shared.llm.endpoint import REQUEST_ID

HOST = "127.0.0.1"
REQUEST_BYTES_MAX = 16 * 1_048_576
CONNECT_SECONDS_MAX = 10.0
_FORWARDED = ("authorization", "content-type", REQUEST_ID)


class RecordingProxy:
    """
    Serves `/v1/chat/completions` from *folder*, and what is not there from *upstream*, a base address such as
    `http://127.0.0.1:8081/v1`. Without *upstream* it only replays: what was not recorded is answered by status 404.

    Only complete answers of status 200 are kept. `replayed` and `forwarded` count.
    """

    def __init__(self, folder: Path, upstream: str = "", *, answer_seconds_max: float = 60.0) -> None:
        self._folder = folder
        self._upstream = upstream.rstrip("/")
        self._timeout = httpx.Timeout(answer_seconds_max, connect=CONNECT_SECONDS_MAX)
        self._runner: web.AppRunner | None = None
        self._client: httpx.AsyncClient | None = None
        self.url = ""
        self.replayed = 0
        self.forwarded = 0

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        app.router.add_post("/v1/chat/completions", self._complete)
        self._client = httpx.AsyncClient(timeout=self._timeout, limits=httpx.Limits(max_connections=None))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.aclose()

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.read()
        kept = self._folder / f"{_name(body, request.headers.get(REQUEST_ID, ''))}.json"
        if kept.exists():
            self.replayed += 1
            return web.Response(body=kept.read_bytes(), content_type="application/json")
        if not self._upstream or self._client is None:
            message = f"this question was not recorded in {self._folder}; run once more with --record"
            return web.json_response({"error": {"message": message, "type": "not_recorded"}}, status=404)
        return await self._forward(self._client, request, body, kept)

    async def _forward(self, client: httpx.AsyncClient, request: web.Request, body: bytes, kept: Path) -> web.Response:
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        try:
            answer = await client.post(f"{self._upstream}/chat/completions", content=body, headers=headers)
        except httpx.HTTPError as error:
            message = f"{self._upstream} did not answer: {error!r}"
            return web.json_response({"error": {"message": message, "type": "upstream"}}, status=502)
        self.forwarded += 1
        if answer.status_code == httpx.codes.OK:
            _write(kept, answer.content)
        told = {name: answer.headers[name] for name in ("retry-after", "retry-after-ms") if name in answer.headers}
        return web.Response(
            body=answer.content, status=answer.status_code, headers=told, content_type="application/json"
        )


def _name(body: bytes, request_id: str) -> str:
    return hashlib.sha256(request_id.encode() + b"\0" + body).hexdigest()[:40]


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, whenever the run is interrupted."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)
