"""
Between the services and the model: a proxy on loopback whose faults are switched on and off while the load runs.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

REQUEST_BYTES_MAX = 16 * 1_048_576
PASS_SECONDS_MAX = 120.0
STALL_SECONDS = 3_600.0
TRICKLE_SECONDS = 5.0

Misbehaviour = Callable[[web.Request, random.Random], Awaitable[web.StreamResponse]]
"""What a request meets instead of an answer."""


class ModelProxy:
    """
    Passes what services ask on to *target* (a base address), except what meets a fault; an async context manager.

    What meets one is drawn from *seed*. `url` is the address to give to services; `passed` and `faulty` count. What is
    passed on takes `wait_seconds` longer, and is shown to `look` first: the prompts, as they leave.
    """

    def __init__(self, target: str, *, seed: int) -> None:
        self._target = target.removesuffix("/v1")
        self._random = random.Random(seed)
        self._client: ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._fault: Misbehaviour | None = None
        self._share = 0.0
        self.url = ""
        self.passed = 0
        self.faulty = 0
        self.wait_seconds = 0.0
        self.look: Callable[[bytes], None] = lambda _: None

    async def __aenter__(self) -> Self:
        # aiohttp, not httpx: at hundreds of calls under way it takes a tenth of the CPU, which the load needs.
        self._client = ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(PASS_SECONDS_MAX))
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=4_096).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    @contextmanager
    def misbehaving(self, fault: Misbehaviour, share: float) -> Iterator[None]:
        """While the context lasts, *share* of the requests meets *fault*."""
        self._fault, self._share = fault, share
        try:
            yield
        finally:
            self._fault, self._share = None, 0.0

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._fault is not None and self._random.random() < self._share:
            self.faulty += 1
            try:
                return await self._fault(request, self._random)
            except ConnectionResetError:
                return web.Response(status=504)  # to nobody: the caller has given up, as it should
        self.passed += 1
        return await self._passed_on(request)

    async def _passed_on(self, request: web.Request) -> web.StreamResponse:
        if self._client is None:
            raise web.HTTPServiceUnavailable
        kept = {name: held for name, held in request.headers.items() if name.lower().startswith(("content-type", "x-"))}
        url, asked = f"{self._target}{request.path_qs}", await request.read()
        self.look(asked)
        await asyncio.sleep(self.wait_seconds)
        try:
            async with self._client.request(request.method, url, data=asked, headers=kept) as answer:
                return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)
        except ClientError:
            return web.Response(status=502)


def answering(statuses: Sequence[int], retry_after: Sequence[str] = ()) -> Misbehaviour:
    """An error of one of *statuses*, with one of *retry_after* as its header where there are any."""

    async def error(_: web.Request, source: random.Random) -> web.StreamResponse:
        response = web.json_response({"error": {"message": "a planned fault"}}, status=source.choice(statuses))
        if retry_after:
            response.headers["Retry-After"] = source.choice(retry_after)
        return response

    return error


async def silence(_: web.Request, __: random.Random) -> web.StreamResponse:
    """No byte ever."""
    await asyncio.sleep(STALL_SECONDS)
    return web.Response(status=504)


async def trickle(request: web.Request, _: random.Random) -> web.StreamResponse:
    """Headers, then one byte every few seconds."""
    response = web.StreamResponse(headers={"content-type": "application/json"})
    await response.prepare(request)
    for _byte in range(round(STALL_SECONDS / TRICKLE_SECONDS)):
        await response.write(b" ")
        await asyncio.sleep(TRICKLE_SECONDS)
    return response


async def stall(request: web.Request, _: random.Random) -> web.StreamResponse:
    """The beginning of an answer, and nothing more."""
    response = web.StreamResponse(headers={"content-type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "{')
    await asyncio.sleep(STALL_SECONDS)
    return response


async def garbage(_: web.Request, source: random.Random) -> web.StreamResponse:
    """Bytes that are no JSON, JSON that is no completion, a completion of nonsense, a refusal, a megabyte."""
    body = source.choice(
        (
            b"\xff\xfe\x00<html>",
            b'{"choices": []}',
            b'{"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "NaN"}}]}',
            b'{"choices": [{"index": 0, "finish_reason": "length", "message": {"content": "{\\"deci"}}]}',
            b'{"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": null, "refusal": "no"}}]}',
            b'{"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "'
            + b"x" * 1_048_576
            + b'"}}]}',
        )
    )
    return web.Response(body=body, content_type="application/json")
