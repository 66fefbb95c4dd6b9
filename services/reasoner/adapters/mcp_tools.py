"""
Tools of MCP servers over streamable HTTP (Model Context Protocol, 2025-06-18), by the official SDK.

The SDK speaks through an HTTP client that it is given; that client's every request goes through the guard. A session
lasts for one call. MCP has no key by which a server recognises a repeated call, so none is repeated.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final, cast

import httpx
import httpx2
import structlog
from mcp import types
from mcp.client import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from services.reasoner.adapters.guard import HEADERS, GuardedTransport, NotAnswered, Outgoing, Refused
from services.reasoner.adapters.secrets import SecretMissing, Secrets
from services.reasoner.domain.tools.results import Came, answered, failed, of_value, unknown
from services.reasoner.settings import OutgoingSection
from shared.errors import HoldfastError
from shared.events.tools import ToolCall
from shared.playbook.tools import McpCall, Tool

FRAME_BYTES: Final = 16_384
"""Of an answer beside its result: the JSON-RPC and event-stream frame, the server's description of itself."""
NOT_DONE: Final = frozenset({types.PARSE_ERROR, types.INVALID_REQUEST, types.METHOD_NOT_FOUND, types.INVALID_PARAMS})
WRAPPED: Final = frozenset({"result"})
"""Servers put a result that is no object under this key, as structured content must be one."""
_EXPECTED: Final = (HoldfastError, MCPError, httpx2.HTTPError)

log = structlog.get_logger(__name__)


class McpTools:
    """Calls tools that are declared by `mcp`."""

    def __init__(self, outgoing: Outgoing, secrets: Secrets, settings: OutgoingSection) -> None:
        self._transport = outgoing.transport
        self._secrets = secrets
        self._settings = settings

    async def call(self, tool: Tool, call: ToolCall, *, deadline: float) -> Came:
        """
        What *call* of *tool* came to, by *deadline* (the event loop's clock, seconds); never raises for the tool.

        One that may have been executed, and changes something, is `unknown` where its answer stays away.
        """
        mcp = _declared(tool)
        remaining_seconds = deadline - asyncio.get_running_loop().time()
        if remaining_seconds <= 0:
            return failed("no time was left for the call")
        try:
            headers = {**HEADERS, **self._secrets.headers(mcp.headers)}
        except SecretMissing as error:
            log.warning("a tool was not called", tool=tool.id, reason=str(error))
            return failed(str(error))
        bytes_max = min(mcp.result_bytes_max, self._settings.answer_bytes_max)
        attempt = _Attempt(mcp, headers, min(mcp.timeout_seconds, remaining_seconds), bytes_max)
        try:
            return _came(await attempt.make(self._transport, mcp.tool or tool.id, call), bytes_max)
        except TimeoutError:
            told, refused = f"no answer in {attempt.timeout_seconds:g} s", False
        except _EXPECTED as error:
            told, refused = _told([error])
        except ExceptionGroup as group:
            expected, rest = group.split(_EXPECTED)
            if rest is not None or expected is None:
                raise
            told, refused = _told(list(_leaves(expected)))
        return unknown(told) if tool.consequential and attempt.delivered and not refused else failed(told)


class _Attempt:
    """One session with one call; `delivered` tells whether the server may have got it."""

    def __init__(self, mcp: McpCall, headers: Mapping[str, str], timeout_seconds: float, bytes_max: int) -> None:
        self.timeout_seconds = timeout_seconds
        self.delivered = False
        self._url = mcp.url
        self._headers = headers
        self._bytes_max = bytes_max
        self._calling = False

    async def make(self, transport: GuardedTransport, name: str, call: ToolCall) -> types.CallToolResult:
        """The server's answer to *call* of its tool *name*; raises TimeoutError and what the SDK and the guard do."""
        async with (
            asyncio.timeout(self.timeout_seconds),
            httpx2.AsyncClient(
                transport=_Bridge(transport, self, self._bytes_max + FRAME_BYTES),
                headers=dict(self._headers),
                timeout=httpx2.Timeout(self.timeout_seconds),
                trust_env=False,
            ) as client,
            streamable_http_client(self._url, http_client=client) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            self._calling = True
            # `call_tool` would fetch the list of tools after it, to check an output schema that nothing here relies on.
            parameters = types.CallToolRequestParams(name=name, arguments=dict(call.arguments))
            request = types.CallToolRequest(params=parameters)
            return cast("types.CallToolResult", await session.send_request(request, types.CallToolResult))
        raise AssertionError("a timeout's block was left without its result")

    def sent(self, method: str) -> None:
        """Note that a request of *method* may have reached the server."""
        self.delivered |= self._calling and method == "POST"


class _Bridge(httpx2.AsyncBaseTransport):
    """Sends the SDK's requests, which are httpx2's, through the guard, which speaks httpx."""

    def __init__(self, inner: GuardedTransport, attempt: _Attempt, bytes_max: int) -> None:
        self._inner = inner
        self._attempt = attempt
        self._bytes_max = bytes_max

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = httpx.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=await request.aread(),
            extensions={"timeout": request.extensions.get("timeout", {}), "response_bytes_max": self._bytes_max},
        )
        try:
            response = await self._inner.handle_async_request(sent)
        except Refused:
            raise
        except BaseException as error:
            if not isinstance(error, NotAnswered) or error.sent:
                self._attempt.sent(request.method)
            raise
        self._attempt.sent(request.method)
        return httpx2.Response(
            response.status_code, headers=response.headers.raw, stream=_Body(response), extensions=response.extensions
        )


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(cast("AsyncGenerator[bytes, None]", self._response.aiter_raw())) as chunks:
            async for chunk in chunks:
                yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


def _came(result: types.CallToolResult, bytes_max: int) -> Came:
    texts = [part.text for part in result.content if isinstance(part, types.TextContent)]
    if result.is_error:
        return failed("the tool answered with an error")
    structured: Any = result.structured_content
    if structured is not None:
        return of_value(structured["result"] if structured.keys() == WRAPPED else structured)
    text = "\n".join(texts).encode("utf-8", "replace")
    return answered("", text) if len(text) <= bytes_max else failed(f"the answer exceeds {bytes_max} bytes")


def _told(errors: list[BaseException]) -> tuple[str, bool]:
    """What *errors* say, and whether they say that nothing was done."""
    first = errors[0]
    if isinstance(first, MCPError):
        return f"MCP error {first.code}", first.code in NOT_DONE
    return (str(first) if isinstance(first, HoldfastError) else type(first).__name__), isinstance(first, Refused)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _declared(tool: Tool) -> McpCall:
    if tool.mcp is None:
        raise TypeError(f"tool {tool.id} is not declared by `mcp`")
    return tool.mcp
