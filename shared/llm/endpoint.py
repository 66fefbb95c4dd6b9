"""
One HTTP endpoint of a model: sends a JSON document, reads the answer within its limits of time and size.

httpx over aiohttp's transport: httpx's own pool looks through all its connections on every request, which at 1,000 in
flight costs 7.6 ms of CPU a call against 0.8 (measured on 2 cores, POST 12 KB, answer 1.5 KB).
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, cast

import aiohttp
import httpx
import structlog
from httpx_aiohttp import AiohttpTransport

from shared.llm.base import Usage
from shared.llm.body import Assemble, document_in_body, no_stream
from shared.llm.errors import DeadlineExceeded, InvalidAnswer, ModelUnavailable
from shared.llm.http_errors import from_status, from_transport, read_rejection
from shared.llm.settings import LlmSettings
from shared.llm.tokens import estimate_tokens

ERROR_BYTES_MAX = 65_536
ERROR_MESSAGE_LENGTH_MAX = 500
KEEPALIVE_SECONDS = 30.0
DNS_CACHE_SECONDS = 60
REQUEST_ID: Final = "x-client-request-id"
"""Joins an endpoint's logs with ours; OpenAI's name for it, and nobody else minds."""
BASE_HEADERS: Final[Mapping[str, str]] = {
    "content-type": "application/json",
    "accept": "application/json",
    # Answers are small; an unexpanded body keeps the size limit exact.
    "accept-encoding": "identity",
    "user-agent": "holdfast",
}

ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

log = structlog.get_logger(__name__)


def address(base: str, path: str) -> httpx.URL:
    """*base* with *path* at the end of its own path; its query, as some gateways ask for one, stays behind that."""
    url = httpx.URL(base)
    own, query, parameters = url.raw_path.partition(b"?")
    return url.copy_with(raw_path=own.rstrip(b"/") + path.encode() + query + parameters)


class Endpoint:
    """
    A pool of connections to one address.

    *assemble* puts together what comes as a stream of events; *transport* replaces the real one in tests. `close` must
    be awaited at the end.
    """

    def __init__(
        self,
        settings: LlmSettings,
        path: str,
        headers: Mapping[str, str],
        *,
        assemble: Assemble = no_stream,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._assemble = assemble
        # Parsed once: httpx parses an address given as text anew for each request.
        self._url = address(settings.url, path)
        # A query may hold a key.
        self._where = f"POST {self._url.copy_with(query=None)}"
        self._client = httpx.AsyncClient(
            transport=transport or AiohttpTransport(client=self._session),
            headers={**BASE_HEADERS, **headers},
            timeout=httpx.Timeout(
                connect=settings.connect_timeout_seconds,
                read=settings.first_byte_timeout_seconds,
                write=settings.first_byte_timeout_seconds,
                pool=settings.first_byte_timeout_seconds,
            ),
            # No cookie of an answer may travel to another tenant's request.
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            trust_env=False,
        )

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._settings.in_flight_max,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ttl_dns_cache=DNS_CACHE_SECONDS,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def post(self, payload: Mapping[str, Any], *, deadline: float, request_id: str = "") -> dict[str, Any]:
        """
        The JSON object that answers *payload*, read whole before *deadline* (the event loop's clock, seconds).

        Raises:
            ModelUnavailable, ModelRefused: see `http_errors`. DeadlineExceeded: *deadline* passed.
            InvalidAnswer: (oversized) the body is longer than `answer_bytes_max`; reading stopped there.

        """
        # A lone surrogate, which a customer can send, has no UTF-8 form.
        content = ENCODER.encode(payload).encode("utf-8", "replace")
        body = await self._post(content, deadline, {REQUEST_ID: request_id} if request_id else {})
        answer = document_in_body(body, self._assemble)
        if answer is None:
            raise ModelUnavailable(
                "server_error", f"{self._where}: a success whose body is no JSON object; is this the API?"
            )
        return answer

    async def _post(self, content: bytes, deadline: float, headers: Mapping[str, str]) -> bytes:
        now = asyncio.get_running_loop().time()
        ends = min(deadline, now + self._settings.total_timeout_seconds)
        if ends <= now:
            raise DeadlineExceeded(f"{self._where}: the deadline passed before the call")
        try:
            async with asyncio.timeout_at(ends):
                return await self._exchange(content, headers)
        except TimeoutError as error:
            if ends == deadline:
                raise DeadlineExceeded(f"{self._where}: no whole answer before the request's deadline") from error
            raise ModelUnavailable("timeout", f"{self._where}: no whole answer in {ends - now:.0f} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError) as error:
            told = from_transport(error, where=self._where)
            if told is None:
                raise
            raise told from error

    async def _exchange(self, content: bytes, headers: Mapping[str, str]) -> bytes:
        async with self._client.stream("POST", self._url, content=content, headers=headers) as response:
            if response.is_success:
                return await self._answer(response)
            body, _ = await self._read(response, ERROR_BYTES_MAX)
            self._log_rejection(response.status_code, body)
            raise from_status(
                response.status_code,
                response.headers,
                body,
                where=self._where,
                now=datetime.now(UTC),
                longest_seconds=self._settings.retry_after_max_seconds,
            )

    async def _answer(self, response: httpx.Response) -> bytes:
        body, complete = await self._read(response, self._settings.answer_bytes_max)
        if complete:
            return body
        raise InvalidAnswer(
            "oversized",
            f"{self._where}: the answer exceeds HOLDFAST_LLM_ANSWER_BYTES_MAX ({self._settings.answer_bytes_max})",
            usage=Usage(output_tokens=estimate_tokens(len(body)), calls=1),
        )

    async def _read(self, response: httpx.Response, bytes_max: int) -> tuple[bytes, bool]:
        """The body up to *bytes_max*, and whether that is all of it."""
        parts: list[bytes] = []
        size = 0
        async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_bytes())) as chunks:
            while (chunk := await self._next(chunks)) is not None:
                parts.append(chunk[: bytes_max - size])
                size += len(chunk)
                if size > bytes_max:
                    break
        return b"".join(parts), size <= bytes_max

    async def _next(self, chunks: AsyncGenerator[bytes, None]) -> bytes | None:
        limit = self._settings.chunk_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                return await anext(chunks, None)
        except TimeoutError as error:
            raise ModelUnavailable("timeout", f"{self._where}: the answer stalled for {limit:g} s") from error

    def _log_rejection(self, status: int, body: bytes) -> None:
        message = read_rejection(body).message
        if key := self._settings.key.get_secret_value():
            message = message.replace(key, "***")
        log.debug("the endpoint rejected a request", status=status, message=message[:ERROR_MESSAGE_LENGTH_MAX])
