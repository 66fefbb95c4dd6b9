"""
The tool world as an HTTP server: `POST /tools/{name}` with a JSON body, `GET /effects`, `GET /healthz`.

A tool that changes something is executed once for each `idempotency-key`, and its answer repeated; unless the server
is told not to recognise keys: then each delivery is executed, and `/effects` tells by the call's id what came twice.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, Final

from aiohttp import web

from services.operator.toolworld.desks import CHANGING, READING, Desks
from services.operator.toolworld.effects import Effect, Effects

LOOPBACK: Final = "127.0.0.1"
KEY_HEADER: Final = "idempotency-key"
CALL_HEADER: Final = "x-holdfast-call-id"
BODY_BYTES_MAX: Final = 65_536
TABLES: Final = Path(str(files("services.operator"))) / "samples" / "toolworld"


@dataclass(frozen=True, slots=True)
class Manners:
    """
    How the server behaves: `failure_rate` of the requests are turned away undone (503), `lost_answer_rate` are
    executed and not answered.
    """

    honours_keys: bool = True
    latency_seconds: float = 0.0
    failure_rate: float = 0.0
    lost_answer_rate: float = 0.0
    seed: int = 1


class ToolWorld:
    """The server; `start` and `stop`. Port 0 takes a free one."""

    def __init__(self, manners: Manners, *, port: int = 0) -> None:
        self.effects = Effects()
        self.port = port
        self._manners = manners
        self._desks = Desks(*(json.loads((TABLES / name).read_text("utf-8")) for name in ("bank.json", "ride.json")))
        self._random = Random(manners.seed)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOOPBACK}:{self.port}"

    async def start(self) -> None:
        """Listen on loopback. Raises OSError if the port is taken."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/tools/{name}", self._call)
        app.router.add_get("/effects", self._effects)
        app.router.add_get("/healthz", _health)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, self.port, backlog=1_024).start()
        self.port = runner.addresses[0][1]
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _call(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        given = await _arguments(request)
        if given is None:
            return web.json_response({"error": "the body is a JSON object of the tool's arguments"}, status=400)
        if self._random.random() < self._manners.failure_rate:
            return web.json_response({"error": "try again"}, status=503)
        if name in READING:
            await asyncio.sleep(self._manners.latency_seconds)
            status, body = READING[name](self._desks, given)
            return web.json_response(body, status=status)
        if name not in CHANGING:
            return web.json_response({"error": "there is no such tool"}, status=404)
        return await self._change(request, name, given)

    async def _change(self, request: web.Request, name: str, given: Mapping[str, Any]) -> web.Response:
        call = request.headers.get(CALL_HEADER, "")
        key = request.headers.get(KEY_HEADER, call) if self._manners.honours_keys else call
        if not key:
            return web.json_response({"error": f"a call needs {KEY_HEADER} or {CALL_HEADER}"}, status=400)
        effect = self.effects.deliver(key, name)
        if effect.answer is None or not self._manners.honours_keys:
            self._execute(effect, name, given)
        # Done, but not yet told: a caller that dies now does not know.
        await asyncio.sleep(self._manners.latency_seconds)
        if self._random.random() < self._manners.lost_answer_rate:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        answer = effect.answer or {}
        return web.json_response(answer["body"], status=answer["status"])

    def _execute(self, effect: Effect, name: str, given: Mapping[str, Any]) -> None:
        status, body = CHANGING[name](self._desks, given)
        effect.answer = {"status": status, "body": body}
        effect.executions += status == web.HTTPOk.status_code

    async def _effects(self, _: web.Request) -> web.Response:
        return web.json_response(self.effects.counts())


async def _arguments(request: web.Request) -> dict[str, Any] | None:
    try:
        given = await request.json()
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")
