"""An HTTP server on loopback whose answers a test scripts."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest


class Endpoint:
    """Answers the requests in turn: each of *script* is (status, headers, body), `hang_up` or `silent`."""

    def __init__(self, *script):
        self.requests = []
        self._script = list(script)

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append((*line.split(" ")[:2], headers, body.decode()))
            await self._answer(self._script.pop(0) if self._script else (200, {}, {}), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer(self, line, writer):
        if line == "hang_up":
            return
        if line == "silent":
            await asyncio.Event().wait()
        status, headers, body = line
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        kind = "text/plain" if isinstance(body, str) else "application/json"
        told = {"content-type": kind} | headers | {"content-length": len(content), "connection": "close"}
        rows = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        writer.write(f"HTTP/1.1 {status} x\r\n{rows}\r\n".encode() + content)
        await writer.drain()


@pytest.fixture
def endpoint():
    return Endpoint
