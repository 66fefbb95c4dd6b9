"""
The views as JSON: `GET /hazard`, `GET /outcomes`, `GET /conversations/{tenant}/{id}`.

An aiohttp server of its own and not Faust's, which listens on every address by default, adds pages of its own, and
starts only after the tables are restored; here a view that is not ready says so (503). Access is the network's to
guard, as with /metrics.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web

from services.observer.adapters.views import Views
from shared.errors import Fatal, Invalid
from shared.events.envelope import Address

log = structlog.get_logger(__name__)


class Web:
    """Serves *views*; *port* 0 takes a free one, which `url` tells after `start`."""

    def __init__(self, views: Views, host: str, port: int) -> None:
        self._views = views
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """
        Listen and serve.

        Raises:
            Fatal: the address cannot be listened on.

        """
        app = web.Application()
        app.router.add_get("/hazard", self._hazard)
        app.router.add_get("/outcomes", self._outcomes)
        app.router.add_get("/conversations/{tenant}/{id}", self._conversation)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            raise Fatal(
                f"the views cannot listen on {self._host}:{self._port}: {error.strerror}; "
                "set HOLDFAST_OBSERVER_WEB_HOST and HOLDFAST_OBSERVER_WEB_PORT to a free address"
            ) from None
        port = self._runner.addresses[0][1]
        self.url = f"http://[{self._host}]:{port}" if ":" in self._host else f"http://{self._host}:{port}"
        log.info("views are served", url=self.url)

    async def stop(self) -> None:
        """Stop listening; without effect where nothing was started."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _hazard(self, _: web.Request) -> web.Response:
        return self._windows(self._views.hazard())

    async def _outcomes(self, _: web.Request) -> web.Response:
        return self._windows(self._views.outcomes())

    def _windows(self, found: Mapping[str, Any] | None) -> web.Response:
        if found is None:
            return web.json_response({"error": "the tables are being restored; ask again"}, status=503)
        return web.json_response(found)

    async def _conversation(self, request: web.Request) -> web.Response:
        if not self._views.restored:
            return self._windows(None)
        try:
            address = Address.from_key(f"{request.match_info['tenant']}:{request.match_info['id']}".encode())
        except Invalid as error:
            return web.json_response({"error": str(error)}, status=400)
        state = self._views.conversation(address)
        if state is None:
            return web.json_response(
                {"error": "no turn of it has closed lately, in the partitions held here"}, status=404
            )
        return web.json_response(state, status=410 if state["erased"] else 200)
