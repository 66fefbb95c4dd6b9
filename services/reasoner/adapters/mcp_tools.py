"""
Tools of MCP servers over streamable HTTP (Model Context Protocol, 2025-06-18), by the official SDK.

The SDK speaks through an HTTP client that it is given; that client's every request goes through the guard. A session
lasts for one call. MCP has no key by which a server recognises a repeated call, so none is repeated.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from http.client import REQUEST_TIMEOUT
from typing import Any, Final, cast

import httpx
import httpx2
import structlog
from mcp import types
from mcp.client import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from services.reasoner.adapters.answers import NotAnswered, Refused
from services.reasoner.adapters.guard import HEADERS, GuardedTransport, Outgoing, declarable
from services.reasoner.adapters.mcp_content import content_of
from services.reasoner.adapters.secrets import SecretMissing, Secrets
from services.reasoner.domain.tools.results import Came, executed, failed, unknown
from services.reasoner.settings import OutgoingSection
from shared.errors import HoldfastError
from shared.events.tools import ToolCall
from shared.playbook.tools import McpCall, Tool

FRAME_BYTES: Final = 16_384
"""Of an answer beside its result: the JSON-RPC and event-stream frame, the server's description of itself."""
CALL: Final = "tools/call"
CLOSE_SECONDS_MAX: Final = 1.0
"""What a server gets to let go of a session."""
NOT_DONE: Final = frozenset({types.METHOD_NOT_FOUND, types.INVALID_PARAMS})
"""
Errors that only the server can say, and only of a call that it did not make. The SDK itself says PARSE_ERROR and
INVALID_REQUEST of answers that it cannot read.
"""

log = structlog.get_logger(__name__)


class McpTools:
    """Calls tools that are declared by `mcp`."""

    def __init__(self, outgoing: Outgoing, secrets: Secrets, settings: OutgoingSection) -> None:
        self._outgoing = outgoing
        self._secrets = secrets
        self._settings = settings
        # Where an answer cannot be read, the SDK logs it.
        logging.getLogger("mcp").setLevel(logging.CRITICAL)

    async def call(self, tool: Tool, call: ToolCall, *, tenant: str, deadline: float) -> Came:
        """
        What *call* of *tool* came to, by *deadline* (the event loop's clock, seconds); never raises for the tool.

        One that may have been executed, and changes something, is `unknown` where its answer stays away or cannot be
        read.
        """
        mcp = _declared(tool)
        timeout_seconds = min(mcp.timeout_seconds, deadline - asyncio.get_running_loop().time())
        if timeout_seconds <= 0:
            return failed("no time was left for the call")
        try:
            headers = {**HEADERS, **declarable(self._secrets.headers(mcp.headers))}
        except (SecretMissing, Refused) as error:
            log.warning("a tool was not called", tool=tool.id, reason=str(error))
            return failed(str(error))
        bytes_max = min(mcp.result_bytes_max, self._settings.answer_bytes_max)
        attempt = _Attempt(mcp, headers, tenant, timeout_seconds, bytes_max)
        told, not_done = "", False
        try:
            async with asyncio.timeout(timeout_seconds), self._outgoing.places.taken(tenant):
                await attempt.make(self._outgoing.transport, mcp.tool or tool.id, call)
        except TimeoutError:
            told = f"no answer in {timeout_seconds:g} s"
        except (MemoryError, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001 - a foreign call: whatever the SDK trips over costs this call alone
            told, not_done = _told(error, attempt)
        if attempt.result.done():
            result = attempt.result.result()
            came = _came(result, bytes_max, text_speaks=tool.text_speaks)
            # The server says that it made the call; that its words cannot be kept does not undo it.
            return executed(came, consequential=tool.consequential and not result.is_error)
        return unknown(told) if tool.consequential and attempt.delivered and not not_done else failed(told)


class _Attempt:
    """
    One session with one call: its `result`, once there is one; whether the server may have got it (`delivered`), and
    whether it refused the request by its HTTP status (`rejected`).
    """

    def __init__(
        self, mcp: McpCall, headers: Mapping[str, str], tenant: str, timeout_seconds: float, bytes_max: int
    ) -> None:
        self.tenant = tenant
        self.bytes_max = bytes_max + FRAME_BYTES
        self.calling = False
        self.delivered = False
        self.rejected = False
        self._url = mcp.url
        self._headers = headers
        self._timeout_seconds = timeout_seconds
        self.result: asyncio.Future[types.CallToolResult] = asyncio.get_running_loop().create_future()

    async def make(self, transport: GuardedTransport, name: str, call: ToolCall) -> None:
        """
        Get the server's answer to *call* of its tool *name*; raises whatever the SDK and the guard do.

        The session runs in a task of its own: a cancellation that the SDK leaves behind ends there, and a server that
        does not let go of the session keeps nobody from its answer.
        """
        session = asyncio.create_task(self._session(transport, name, call))
        waited: set[asyncio.Future[Any]] = {session, self.result}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self.result.done():
                await asyncio.wait({session}, timeout=CLOSE_SECONDS_MAX)
        finally:
            await _ended(session)
        if session.cancelled():
            raise _BrokenOff("the session was given up")
        await session

    async def _session(self, transport: GuardedTransport, name: str, call: ToolCall) -> None:
        async with (
            httpx2.AsyncClient(
                transport=_Bridge(transport, self),
                headers=dict(self._headers),
                timeout=httpx2.Timeout(self._timeout_seconds),
                trust_env=False,
            ) as client,
            streamable_http_client(self._url, http_client=client) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            self.calling = True
            # `call_tool` would fetch the list of tools after it, to check an output schema that nothing here relies on.
            parameters = types.CallToolRequestParams(name=name, arguments=dict(call.arguments))
            request = types.CallToolRequest(params=parameters)
            self.result.set_result(await session.send_request(request, types.CallToolResult))

    def sent(self, content: bytes, status: int | None = None) -> None:
        """Note that a message may have reached the server, and that it was answered with *status*, if it was."""
        if self.calling and content and json.loads(content).get("method") == CALL:
            self.delivered = True
            self.rejected = status is not None and 400 <= status < 500 and status != REQUEST_TIMEOUT  # noqa: PLR2004


class _BrokenOff(HoldfastError):
    """A session that ended without an answer, given up by the SDK itself."""


class _Bridge(httpx2.AsyncBaseTransport):
    """Sends the SDK's requests, which are httpx2's, through the guard, which speaks httpx."""

    def __init__(self, inner: GuardedTransport, attempt: _Attempt) -> None:
        self._inner = inner
        self._attempt = attempt

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        attempt = self._attempt
        extensions = {
            "tenant": attempt.tenant,
            "timeout": request.extensions.get("timeout", {}),
            "response_bytes_max": attempt.bytes_max,
        }
        content = await request.aread()
        sent = httpx.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=content,
            extensions=extensions,
        )
        try:
            response = await self._inner.handle_async_request(sent)
        except Refused:
            raise
        except BaseException as error:
            if not isinstance(error, NotAnswered) or error.sent:
                attempt.sent(content)
            raise
        attempt.sent(content, response.status_code)
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


def _came(result: types.CallToolResult, bytes_max: int, *, text_speaks: bool = False) -> Came:
    if result.is_error:
        return failed("the tool answered with an error")
    return content_of(result, bytes_max, text_speaks=text_speaks)


def _told(error: BaseException, attempt: _Attempt) -> tuple[str, bool]:
    """What *error* of *attempt* says, without quoting the other side; and whether it says that nothing was done."""
    leaves = list(_leaves(error))
    if grave := next((leaf for leaf in leaves if isinstance(leaf, MemoryError | KeyboardInterrupt | SystemExit)), None):
        raise grave
    # A cancellation is what the first error did to the others.
    first = next((leaf for leaf in leaves if isinstance(leaf, Exception)), error)
    told = type(first).__name__
    if isinstance(first, MCPError):
        return f"MCP error {first.code}", attempt.rejected or first.code in NOT_DONE
    if isinstance(first, HoldfastError):
        return str(first), attempt.rejected or isinstance(first, Refused)
    if isinstance(first, ValidationError):
        told = f"not as the protocol has it, at {_place(first)}"
    return f"{'the answer' if attempt.calling else 'no session'}: {told}", attempt.rejected


def _place(error: ValidationError) -> str:
    return ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"])) or "the whole"


async def _ended(session: asyncio.Task[None]) -> None:
    """Wait until *session* has ended, by force where it does not by itself; not for ever."""
    # Its error, if it has one, is nobody's any more.
    session.add_done_callback(lambda task: task.cancelled() or task.exception())
    if not session.done():
        session.cancel()
        await asyncio.wait({session}, timeout=CLOSE_SECONDS_MAX)
    if not session.done():
        log.warning("a session with an MCP server does not end")


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for held in error.exceptions:
            yield from _leaves(held)
    else:
        yield error


def _declared(tool: Tool) -> McpCall:
    if tool.mcp is None:
        raise TypeError(f"tool {tool.id} is not declared by `mcp`")
    return tool.mcp
