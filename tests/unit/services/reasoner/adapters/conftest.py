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


ODD_ADDRESSES = [
    "https://a.test:99999/", "https://xn--.test/", "https://xn--zzzz-99.test/", "http://a..test/", "http://[::1/",
    "http://[v1.x]/", "http:///x", "http://user:word@127.0.0.1/", "http://127.0.0.1:-1/", "http://127.0.0.1:0/",
    f"https://{'a' * 70}.test/", f"https://{'a.' * 200}test/", "http://127.0.0.1:9/\ud800", "http://127.0.0.1:9/\n",
    "http://[fe80::1%25eth0]/", "http://\u00ad.test/", "https://a\x00.test/", "http://127.1/", "http://a\u3002.test/",
    f"http://127.0.0.1:9/{'a' * 70_000}", "http://a%2f.test/", "http://a test/", "http://[::ffff:7f00:1%1]/",
]  # fmt: skip


@pytest.fixture(params=ODD_ADDRESSES, ids=range(len(ODD_ADDRESSES)))
def odd_address(request):
    """An address at which nothing can be asked; the hosts are below `test`, or on loopback."""
    return request.param


class Nowhere:
    """A name server that reads a name as the system's resolver does, and knows none."""

    async def resolve(self, host, _port=0, _family=0):
        host.encode("idna")
        raise OSError("no such name")

    async def close(self):
        return


@pytest.fixture
def nowhere():
    return Nowhere()
